//! What the calls of one client request came to, for those who ask for it.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use http::uri::PathAndQuery;
use tokio::time::Instant;
use tonic::Code;

/// The calls that were made, in the order in which they ended. It goes with each call, in its request's extensions. Clones
/// are the same log.
#[derive(Clone, Debug, Default)]
pub struct CallLog(Arc<Mutex<Vec<CallRecord>>>);

impl CallLog {
    /// What was written since the last call of this.
    pub fn take(&self) -> Vec<CallRecord> {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(super) fn write(&self, record: CallRecord) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(record);
    }
}

/// One call, all of its attempts together.
#[derive(Clone, Debug)]
pub struct CallRecord {
    /// The service's name: `order`.
    pub service: &'static str,
    /// The path of the RPC: `/order.v1.OrderService/GetOrder`.
    pub path: PathAndQuery,
    /// What it asks for at once, where it is the call of a loader.
    pub batch: Option<Batch>,
    /// When it began.
    pub started: Instant,
    /// How long it took.
    pub took: Duration,
    /// How often it was sent. 0 where it was refused on this side.
    pub attempts: u32,
    /// The size of the message that was sent, with its prefix of five bytes.
    pub sent_bytes: usize,
    /// The size of the message that came back, alike.
    pub received_bytes: usize,
    /// What was answered. `None` when nobody waited for the answer any more.
    pub code: Option<Code>,
}

/// What a call of a loader asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Batch {
    /// The loader's name: `users_by_id`.
    pub loader: &'static str,
    /// For how many keys it asks.
    pub keys: usize,
}
