//! The outbox: the rows in which a transaction says what it did. There is no other way to emit an event.

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use runtime::trace;
use sqlx::{PgConnection, PgPool};
use tokio::sync::Notify;

use crate::{Event, store};

/// How long a row is kept after it was told, for those who look into what happened.
const KEPT: TimeDelta = TimeDelta::hours(24);

/// The outbox of one database. Clones are the same.
#[derive(Clone, Debug)]
pub struct Outbox {
    pub(crate) pool: PgPool,
    /// The service whose database it is: the `source` of its events.
    pub(crate) source: &'static str,
    pub(crate) wake: Arc<Notify>,
}

/// A checked query of the service that writes an event beside what it does: one statement is all of it or nothing, without
/// a transaction around it. The text follows `WITH event AS (...), `, so it is further parts of `WITH` and the statement
/// itself; its parameters begin with `$8`.
#[macro_export]
macro_rules! query_with_event {
    ($event:expr, $rest:literal, $($argument:expr),+ $(,)?) => {{
        let event: &$crate::Event = $event;
        sqlx::query!(
            "WITH event AS (
                 INSERT INTO outbox (id, name, subject, sequence, data, occurred_at, traceparent)
                 VALUES ($1, $2, $3, $4, $5, $6, $7)
             ), " + $rest,
            event.id,
            event.name,
            event.subject,
            event.sequence,
            event.data,
            event.time,
            $crate::traceparent(),
            $($argument),+
        )
    }};
}

/// What an event that is written now says of its trace: the caller's.
pub fn traceparent() -> Option<String> {
    trace::current().map(|context| context.to_string())
}

/// How an outbox is doing.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct OutboxStatus {
    /// How many events wait to be told.
    pub waiting: i64,
    /// When the first of those that wait happened.
    pub oldest_waiting: Option<DateTime<Utc>>,
    /// How many told events are kept, for those who look into what happened.
    pub kept: i64,
    /// Whether there is a relay that leads.
    pub led: bool,
}

impl Outbox {
    /// The outbox of the service `source` ("order") in its database.
    pub fn new(pool: PgPool, source: &'static str) -> Self {
        Self { pool, source, wake: Arc::default() }
    }

    /// Writes events in the caller's transaction: one statement, however many.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn append_in_tx(tx: &mut PgConnection, events: &[Event]) -> Result<(), sqlx::Error> {
        match events {
            [event] => store::append_one(tx, event).await,
            events => store::append_many(tx, events).await,
        }
    }

    /// Wakes this process's relay. To be called after the commit, so that it finds the rows.
    pub fn wake(&self) {
        self.wake.notify_one();
    }

    /// How the outbox in this database is doing, for people: it counts all rows.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn status(pool: &PgPool) -> Result<OutboxStatus, sqlx::Error> {
        store::status(pool).await
    }

    /// Deletes the rows that were told more than 24 hours before `now`. Answers how many. The relay does so by itself.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn prune(&self, now: DateTime<Utc>) -> Result<u64, sqlx::Error> {
        store::prune_outbox(&self.pool, now - KEPT).await
    }
}
