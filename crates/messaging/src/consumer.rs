//! Consumers: what a service does when something happened elsewhere.

use std::sync::Arc;

use futures::future::BoxFuture;
use runtime::Faults;
use sqlx::{PgConnection, PgPool};

use crate::CloudEvent;

/// Why an event could not be handled.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// It may work later: it is delivered again, with growing delays.
    #[error("it can't be handled now: {0}")]
    Retry(String),
    /// It never will: it rests as a dead letter, with this reason.
    #[error("it can't be handled: {0}")]
    Reject(String),
}

impl From<sqlx::Error> for Failure {
    fn from(error: sqlx::Error) -> Self {
        Self::Retry(error.to_string())
    }
}

/// Does something with events. No consumer relies on their order, nor on getting each only once: the aggregate's
/// state and the event's `sequence` decide, and the inbox leaves repeats out.
pub trait Consumer: Send + Sync + 'static {
    /// Its name, `payment.order_created`: that of its inbox rows and of its queue.
    fn name(&self) -> &'static str;

    /// The names of the events that it handles.
    fn events(&self) -> &'static [&'static str];

    /// The database in which its effect and its inbox row commit together.
    fn pool(&self) -> &PgPool;

    /// Handles one event inside the transaction that also holds its inbox row. Events that it says itself are
    /// appended to the outbox in the same transaction.
    fn handle<'a>(
        &'a self,
        tx: &'a mut PgConnection,
        event: &'a CloudEvent,
    ) -> BoxFuture<'a, Result<(), Failure>>;

    /// Called after a commit: wakes the relay of its database.
    fn committed(&self) {}

    /// The fault switches of its service.
    fn faults(&self) -> Faults {
        Faults::none()
    }
}

/// The same consumers, of a service with these switches.
pub fn with_faults(consumers: Vec<Arc<dyn Consumer>>, faults: &Faults) -> Vec<Arc<dyn Consumer>> {
    let switched =
        |consumer| -> Arc<dyn Consumer> { Arc::new(Switched { consumer, faults: faults.clone() }) };
    if faults.is_none() { consumers } else { consumers.into_iter().map(switched).collect() }
}

/// A consumer with the switches of its service.
struct Switched {
    consumer: Arc<dyn Consumer>,
    faults: Faults,
}

impl Consumer for Switched {
    fn name(&self) -> &'static str {
        self.consumer.name()
    }

    fn events(&self) -> &'static [&'static str] {
        self.consumer.events()
    }

    fn pool(&self) -> &PgPool {
        self.consumer.pool()
    }

    fn handle<'a>(
        &'a self,
        tx: &'a mut PgConnection,
        event: &'a CloudEvent,
    ) -> BoxFuture<'a, Result<(), Failure>> {
        self.consumer.handle(tx, event)
    }

    fn committed(&self) {
        self.consumer.committed();
    }

    fn faults(&self) -> Faults {
        self.faults.clone()
    }
}
