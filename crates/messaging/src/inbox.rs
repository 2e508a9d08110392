//! One try at one event by one consumer.
//!
//! The effect and the inbox row are in one transaction, so that an event that comes again finds the row and has no
//! second effect. Whatever a handler does, fail, panic or hang, comes back as an [`Attempt`]: it ends nothing else.

mod store;

use std::{any::Any, panic::AssertUnwindSafe, time::Duration};

use chrono::{DateTime, TimeDelta, Utc};
use futures::FutureExt;
use runtime::postgres::is_away;
use tokio::time::{Instant, timeout};

use crate::{CloudEvent, Consumer, Failure, measure, trace};

/// How long one try may take, so that a handler that hangs does not keep its aggregate's later events for ever.
const DEADLINE: Duration = Duration::from_secs(30);
/// How long an inbox row is kept: far longer than any event comes again by itself. What is replayed later is decided by
/// the aggregate's state and the event's `sequence`.
const KEPT: TimeDelta = TimeDelta::days(30);

/// How a try ended.
#[derive(Debug)]
pub(crate) enum Attempt {
    /// The effect is there.
    Done,
    /// It was there before, or the event rests as a dead letter.
    Repeated,
    /// The consumer's handler failed.
    Failed(Failure),
    /// The database could not be asked, or went away meanwhile: no fault of the event.
    Unreachable(sqlx::Error),
}

/// Tries to handle an event.
pub(crate) async fn attempt(consumer: &dyn Consumer, event: &CloudEvent) -> Attempt {
    let started = Instant::now();
    consumer.faults().slow_down().await;
    let mut span = trace::handling(consumer, event);
    let work = span.around(AssertUnwindSafe(handle(consumer, event)).catch_unwind());
    let attempt = match timeout(DEADLINE, work).await {
        Ok(Ok(attempt)) => attempt,
        Ok(Err(panic)) => Attempt::Failed(Failure::Retry(format!("it panicked: {}", message(&*panic)))),
        Err(_elapsed) => Attempt::Failed(Failure::Retry(format!("it took longer than {DEADLINE:?}"))),
    };
    measure::tried(consumer.name(), &attempt, started.elapsed());
    if let Some(fault) = attempt.fault() {
        span.fail(fault);
    }
    span.end();
    attempt
}

impl Attempt {
    /// What a span says of it.
    fn fault(&self) -> Option<&'static str> {
        match self {
            Self::Done | Self::Repeated => None,
            Self::Failed(Failure::Retry(_)) => Some("failed"),
            Self::Failed(Failure::Reject(_)) => Some("rejected"),
            Self::Unreachable(_) => Some("database_unavailable"),
        }
    }
}

/// An early return drops the transaction, which rolls it back.
async fn handle(consumer: &dyn Consumer, event: &CloudEvent) -> Attempt {
    let mut tx = match consumer.pool().begin().await {
        Ok(tx) => tx,
        Err(error) => return Attempt::Unreachable(error),
    };
    match store::claim_in_tx(&mut tx, consumer.name(), event.id).await {
        Ok(true) => {}
        Ok(false) => return Attempt::Repeated,
        Err(error) => return Attempt::Unreachable(error),
    }
    if let Err(failure) = consumer.handle(&mut tx, event).await {
        // It fails where the database went away meanwhile.
        return match tx.rollback().await {
            Ok(()) => Attempt::Failed(failure),
            Err(error) => Attempt::Unreachable(error),
        };
    }
    match tx.commit().await {
        Ok(()) => {}
        // When the answer to the commit is lost, the next try finds out what became of it.
        Err(error) if is_away(&error) => return Attempt::Unreachable(error),
        Err(error) => return Attempt::Failed(error.into()),
    }
    consumer.committed();
    Attempt::Done
}

/// Asks the consumer's database as a try does.
pub(crate) async fn ask(consumer: &dyn Consumer) -> Result<(), sqlx::Error> {
    store::ask(consumer.pool()).await
}

/// Deletes the consumer's rows that are older than 30 days at `now`. Answers how many.
pub(crate) async fn prune(consumer: &dyn Consumer, now: DateTime<Utc>) -> Result<u64, sqlx::Error> {
    store::prune(consumer.pool(), consumer.name(), now - KEPT).await
}

/// What a panic said.
fn message(panic: &(dyn Any + Send)) -> &str {
    panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("without a message")
}
