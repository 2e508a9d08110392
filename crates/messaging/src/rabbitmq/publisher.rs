//! Publishing: one task per process that owns the connection for it, and takes events from everyone who tells some.
//!
//! - An event is told once RabbitMQ has confirmed it and, where a queue of ours must get it, has not returned it. Those of
//!   names that no queue of ours is bound to may go to nobody.
//! - Whatever goes wrong, an event is tried again until it is told or its teller has left: at once when only the
//!   connection was lost, with growing delays when it was returned or refused.
//! - Many are on their way at a time, in no order: whoever needs one tells the next only once the one before is told.
//! - An event that RabbitMQ answers by closing the channel is found out and holds up no other.

mod desk;
mod lane;
mod letter;

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use futures::future::try_join_all;
use runtime::{Faults, Stop};
use tokio::{
    sync::{mpsc, oneshot},
    time::timeout,
};

use self::{desk::Desk, lane::Lane, letter::Letter};
use super::connection::{self, Address, Session};
use crate::{bus::Patience, event::SealedEvent};

/// How many channels publish at a time. Each has one batch under way, since lapin hands a returned message to any confirm
/// of the channel; so there must be several for the broker to have something to do while a batch ends.
const LANES: usize = 4;
/// How long one without patience waits: for the one try, or for a broker that is away.
const ONE_TRY: Duration = Duration::from_secs(5);

/// Publishes. It connects when it is first asked to, and ends with its last clone.
#[derive(Clone)]
pub(super) struct Publisher {
    inner: Arc<Inner>,
}

struct Inner {
    address: Address,
    letters: OnceLock<mpsc::UnboundedSender<Letter>>,
    stop: Stop,
}

impl Publisher {
    pub(super) fn new(address: Address) -> Self {
        Self { inner: Arc::new(Inner { address, letters: OnceLock::new(), stop: Stop::new() }) }
    }

    pub(super) fn with_faults(&self, faults: &Faults) -> Self {
        Self::new(self.inner.address.with_faults(faults))
    }

    /// Publishes an event; `false` only without patience. Dropping the future forgets the event.
    pub(super) async fn tell(&self, event: &SealedEvent, patience: Patience) -> bool {
        let (answer, told) = oneshot::channel();
        let Some(letter) = Letter::new(event, patience, answer) else { return false };
        // Unbounded: each relay has a bounded number of events in hand.
        if self.inner.letters.get_or_init(|| self.inner.start()).send(letter).is_err() {
            return false;
        }
        match patience {
            Patience::Wait => told.await.unwrap_or(false),
            Patience::Leave => matches!(timeout(ONE_TRY, told).await, Ok(Ok(true))),
        }
    }
}

impl Inner {
    fn start(&self) -> mpsc::UnboundedSender<Letter> {
        let (sender, letters) = mpsc::unbounded_channel();
        let desk = Desk::new(sender.clone(), letters);
        tokio::spawn(publish(self.address.clone(), desk, self.stop.clone()));
        sender
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

async fn publish(address: Address, desk: Desk, stop: Stop) {
    connection::keep(&address, &stop, |session| work(session, &desk, &stop)).await;
}

async fn work(session: Session, desk: &Desk, stop: &Stop) -> lapin::Result<()> {
    let open = || Lane::open(&session.connection, desk);
    let suspects = open().await?;
    let lanes = try_join_all((0..LANES).map(|_| open())).await?;
    session.ready();
    tokio::select! {
        ended = try_join_all(lanes.into_iter().map(Lane::publish_many)) => ended.map(|_| ()),
        ended = suspects.publish_one_by_one() => ended,
        () = stop.cancelled() => Ok(()),
    }
}
