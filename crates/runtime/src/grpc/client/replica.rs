//! One process of a service, at its address.

use std::{
    io,
    net::SocketAddr,
    sync::{
        Arc, Weak,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use http::{Request, Response, Uri};
use hyper_util::rt::TokioIo;
use tokio::{
    net::TcpStream,
    time::{sleep, timeout},
};
use tonic::{
    body::Body,
    transport::{Channel, Endpoint, Error},
};
use tower::{Service, ServiceExt};

/// How long it may take to connect. Somebody waits for it, and there must be time to ask another one. A first packet that
/// is lost would be sent again after a second; the next try is earlier.
const CONNECT_WITHIN: Duration = Duration::from_millis(500);
/// The pauses between two tries to reach one that was away.
const PAUSES: [Duration; 2] = [Duration::from_millis(100), Duration::from_secs(1)];

/// One process. Dropped, it hangs up once the calls under way have ended.
#[derive(Debug)]
pub(super) struct Replica {
    /// The number of the URL that led to it, and its address.
    pub(super) key: (usize, SocketAddr),
    channel: Channel,
    /// Whether it could not be reached the last time, or was not yet: others are asked first.
    doubtful: AtomicBool,
}

impl Replica {
    /// That at `key`, reached by what `endpoint` says. It connects when it is first used, and again when it was cut.
    pub(super) fn new(key: (usize, SocketAddr), endpoint: &Endpoint) -> Arc<Self> {
        let channel = endpoint.connect_with_connector_lazy(connector(key.1));
        Arc::new(Self { key, channel, doubtful: AtomicBool::new(false) })
    }

    /// Sends it a request.
    ///
    /// # Errors
    /// When it can't be reached, or goes away meanwhile.
    pub(super) async fn send(&self, request: Request<Body>) -> Result<Response<Body>, Error> {
        let answer = self.channel.clone().oneshot(request).await;
        if answer.is_ok() && self.is_doubtful() {
            self.doubtful.store(false, Ordering::Relaxed);
        }
        answer
    }

    /// Whether others are to be asked first.
    pub(super) fn is_doubtful(&self) -> bool {
        self.doubtful.load(Ordering::Relaxed)
    }

    /// Has others asked first until a connection to it was made. That is tried at once, and again and again.
    pub(super) fn doubt(self: &Arc<Self>, endpoint: &Endpoint) {
        if !self.doubtful.swap(true, Ordering::Relaxed) {
            tokio::spawn(until_reached(Arc::downgrade(self), endpoint.clone(), self.key.1));
        }
    }
}

/// Tries to connect until that goes well or the replica is gone.
async fn until_reached(replica: Weak<Replica>, endpoint: Endpoint, address: SocketAddr) {
    let mut pause = PAUSES[0];
    while replica.upgrade().is_some_and(|replica| replica.is_doubtful()) {
        if endpoint.connect_with_connector(connector(address)).await.is_ok() {
            if let Some(replica) = replica.upgrade() {
                replica.doubtful.store(false, Ordering::Relaxed);
            }
            return;
        }
        sleep(pause).await;
        pause = PAUSES[1].min(pause * 2);
    }
}

/// Connects to `address`, whatever host the URL names: that one is for TLS and for the other end to read.
fn connector(
    address: SocketAddr,
) -> impl Service<Uri, Response = TokioIo<TcpStream>, Error = io::Error, Future: Send> + Clone + Send {
    tower::service_fn(move |_: Uri| async move {
        let stream = timeout(CONNECT_WITHIN, TcpStream::connect(address)).await??;
        stream.set_nodelay(true)?;
        Ok(TokioIo::new(stream))
    })
}
