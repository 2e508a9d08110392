//! The connections of a gRPC port. While a switch says that nobody is to be found there, who connects is refused and who is
//! connected is cut off, as by a process that dies.

use std::io;

use futures::Stream;
use tokio::net::TcpListener;
use tokio_util::task::TaskTracker;

use super::linger::Lingering;
use crate::{Accepting, Faults, Stop};

/// What comes to a port until the stop.
pub(super) struct Incoming {
    accepting: Accepting,
    faults: Faults,
    ends: TaskTracker,
}

impl Incoming {
    /// What comes to `listener`. The ends of connections are told to `ends`.
    pub(super) fn new(listener: TcpListener, faults: Faults, ends: TaskTracker, stop: Stop) -> Self {
        Self { accepting: Accepting::new(listener, stop), faults, ends }
    }

    /// The connections, one after the other.
    pub(super) fn connections(self) -> impl Stream<Item = io::Result<Lingering>> {
        futures::stream::unfold(self, async |mut incoming| Some((incoming.next().await?, incoming)))
    }

    async fn next(&mut self) -> Option<io::Result<Lingering>> {
        loop {
            tokio::select! {
                taken = self.accepting.next() => {
                    let lingering = |stream| Lingering::new(stream, self.ends.clone()).until(self.faults.cut());
                    return Some(taken?.map(|(stream, _)| lingering(stream)));
                }
                () = self.faults.until(|fault| fault.unreachable) => {}
            }
            self.accepting.away(self.faults.until(|fault| !fault.unreachable)).await;
        }
    }
}
