//! All processes of a service: who they are, and which of them is asked.
//!
//! Calls go round all that can be reached. One that was not begun where it was sent goes to the next, so neither a
//! process that is away nor one that leaves costs a call. Names are resolved again every few seconds and at once after
//! a connection failed; a name that can't be resolved keeps the addresses that it had.

use std::{
    net::SocketAddr,
    sync::{
        Arc, Weak,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use tokio::{
    sync::{Notify, watch},
    time::{sleep, timeout},
};
use tonic::{Status, body::Body};

use super::{
    replica::Replica,
    target::{Resolve, Target},
    unreached,
    unsent::Unsent,
};

/// How often names are resolved, and how often at most.
pub(super) const LOOK_EVERY: Duration = Duration::from_secs(3);
const LOOK_AFTER: Duration = Duration::from_millis(200);
/// How long that may take.
const LOOK_WITHIN: Duration = Duration::from_secs(1);

/// All processes of a service.
pub(super) struct Replicas {
    targets: Vec<Target>,
    known: watch::Sender<Known>,
    /// Whose turn it is.
    turn: AtomicUsize,
    /// Asks for a look now.
    look: Arc<Notify>,
}

/// What was found by the last look.
#[derive(Clone, Debug, Default)]
struct Known {
    replicas: Arc<[Arc<Replica>]>,
    /// How often was looked until then.
    looks: u64,
}

impl Replicas {
    /// Those to which `targets` lead. Does no I/O but for looking names up in the background.
    pub(super) fn new(targets: Vec<Target>, resolve: Resolve) -> Arc<Self> {
        let fixed: Option<Vec<_>> = targets.iter().map(Target::address).collect();
        let (known, look) = (watch::Sender::default(), Arc::default());
        let replicas = Arc::new(Self { targets, known, turn: AtomicUsize::new(0), look });
        match fixed {
            Some(addresses) => replicas.take(addresses.into_iter().enumerate()),
            None => drop(tokio::spawn(keep_looking(Arc::downgrade(&replicas), resolve))),
        }
        replicas
    }

    /// Sends a request to one of them.
    ///
    /// # Errors
    /// When none can be reached, or the one that has it goes away.
    pub(super) async fn call(&self, request: Request<Body>) -> Result<Response<Body>, Status> {
        let (head, body) = request.into_parts();
        // Small, and whole already: no call of ours streams towards the service.
        let body: Bytes = body.collect().await?.to_bytes();
        let mut order = in_turn(&self.current().await, self.turn.fetch_add(1, Ordering::Relaxed));
        let (mut tried, at_most) = (0, 2 * order.len());
        let mut last = Status::unavailable("the service can't be reached");
        while let Some(replica) = order.get(tried).filter(|_| tried < at_most).cloned() {
            tried += 1;
            let request = Request::from_parts(head.clone(), Body::new(Full::new(body.clone())));
            let error = match replica.send(request).await {
                Ok(answer) => return Ok(answer),
                Err(error) => error,
            };
            match Unsent::of(&error) {
                None => return Err(unreached(&error)),
                Some(Unsent::NoConnection) => {
                    replica.doubt(&self.targets[replica.key.0].endpoint);
                    self.look.notify_one();
                }
                // Nothing says that it can't take a new connection: as a last resort it is asked again.
                Some(Unsent::Ended) => order.push(replica),
            }
            last = unreached(&error);
        }
        Err(last)
    }

    /// Those that are known. Where none are, it is looked once more before the caller hears so.
    async fn current(&self) -> Arc<[Arc<Replica>]> {
        let looks = {
            let known = self.known.borrow();
            if !known.replicas.is_empty() {
                return known.replicas.clone();
            }
            known.looks
        };
        self.look.notify_one();
        let mut changes = self.known.subscribe();
        let found = changes.wait_for(|known| known.looks > looks).await;
        found.map(|known| known.replicas.clone()).unwrap_or_default()
    }

    /// Takes what a look has found. Whoever was known before stays as it is; who is new is asked first once it was
    /// reached, unless there is nobody else.
    fn take(&self, found: impl Iterator<Item = (usize, SocketAddr)>) {
        self.known.send_modify(|known| {
            let before = std::mem::take(&mut known.replicas);
            let replicas = found.map(|key| {
                let old = before.iter().find(|replica| replica.key == key);
                old.cloned().unwrap_or_else(|| {
                    let endpoint = &self.targets[key.0].endpoint;
                    let new = Replica::new(key, endpoint);
                    if !before.is_empty() {
                        new.doubt(endpoint);
                    }
                    new
                })
            });
            known.replicas = replicas.collect();
            known.looks += 1;
        });
    }
}

/// The order in which they are asked: those that can be reached, beginning with another one each time, then the others.
fn in_turn(replicas: &[Arc<Replica>], turn: usize) -> Vec<Arc<Replica>> {
    let (mut good, mut doubtful) = (Vec::with_capacity(replicas.len()), Vec::new());
    for replica in replicas {
        if replica.is_doubtful() { doubtful.push(replica.clone()) } else { good.push(replica.clone()) }
    }
    for group in [&mut good, &mut doubtful] {
        if !group.is_empty() {
            let first = turn % group.len();
            group.rotate_left(first);
        }
    }
    good.append(&mut doubtful);
    good
}

/// Resolves the names again and again, until nobody calls any more.
async fn keep_looking(replicas: Weak<Replicas>, resolve: Resolve) {
    let Some((targets, look)) = replicas.upgrade().map(|all| (all.targets.clone(), all.look.clone())) else {
        return;
    };
    let mut addresses = vec![Vec::new(); targets.len()];
    loop {
        for (target, addresses) in targets.iter().zip(&mut addresses) {
            match timeout(LOOK_WITHIN, target.resolved(&resolve)).await {
                Ok(Ok(found)) => *addresses = found,
                failure => tracing::debug!(?failure, ?target, "a name can't be resolved"),
            }
        }
        let Some(replicas) = replicas.upgrade() else { return };
        let found = addresses.iter().enumerate();
        replicas.take(found.flat_map(|(target, all)| all.iter().map(move |address| (target, *address))));
        drop(replicas);
        sleep(LOOK_AFTER).await;
        let _ = timeout(LOOK_EVERY, look.notified()).await;
    }
}
