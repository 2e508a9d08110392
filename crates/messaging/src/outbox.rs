//! The outbox: the rows in which a transaction says what it did. There is no other way to emit an event.

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
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
        let ids: Vec<_> = events.iter().map(|event| event.id).collect();
        let names: Vec<_> = events.iter().map(|event| event.name).collect();
        let subjects: Vec<_> = events.iter().map(|event| event.subject).collect();
        let sequences: Vec<_> = events.iter().map(|event| event.sequence).collect();
        let data: Vec<_> = events.iter().map(|event| &event.data).collect();
        let times: Vec<_> = events.iter().map(|event| event.time).collect();
        sqlx::query(
            "INSERT INTO outbox (id, name, subject, sequence, data, occurred_at)
             SELECT * FROM UNNEST($1::uuid[], $2::text[], $3::uuid[], $4::bigint[], $5::jsonb[], $6::timestamptz[])",
        )
        .bind(ids)
        .bind(names)
        .bind(subjects)
        .bind(sequences)
        .bind(data)
        .bind(times)
        .execute(tx)
        .await?;
        Ok(())
    }

    /// Wakes this process's relay. To be called after the commit, so that it finds the rows.
    pub fn wake(&self) {
        self.wake.notify_one();
    }

    /// Deletes the rows that were told more than 24 hours before `now`. Answers how many. The relay does so by itself.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn prune(&self, now: DateTime<Utc>) -> Result<u64, sqlx::Error> {
        store::prune_outbox(&self.pool, now - KEPT).await
    }
}
