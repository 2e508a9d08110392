//! The SQL of the relay (what services write is in [`crate::Outbox`]). That of the inbox and of the dead letters is beside
//! those.
//!
//! Plain queries, where the services use checked ones: these tables are the same in every service's database, so this
//! crate has none of its own to check them against. The tests run each of them.

use chrono::{DateTime, Utc};
use sqlx::{PgConnection, PgExecutor, PgPool};
use uuid::Uuid;

use crate::CloudEvent;

/// The name of the advisory lock of the relay that leads. Such locks belong to one database, so one serves all of them.
pub(crate) const LEAD: &str = "portico outbox relay";
/// How many rows one statement deletes at most, to hold no lock for long.
pub(crate) const PRUNED_AT_ONCE: u64 = 10_000;

/// A row of the outbox that waits.
#[derive(Debug, sqlx::FromRow)]
pub(crate) struct Row {
    pub(crate) id: Uuid,
    pub(crate) subject: Uuid,
    name: String,
    sequence: i64,
    data: serde_json::Value,
    traceparent: Option<String>,
    occurred_at: DateTime<Utc>,
}

impl Row {
    /// The event as it travels, said by `source`.
    pub(crate) fn into_event(self, source: &str) -> CloudEvent {
        CloudEvent {
            specversion: "1.0".to_owned(),
            id: self.id,
            source: source.to_owned(),
            kind: format!("portico.{}.v1", self.name),
            subject: self.subject,
            time: self.occurred_at,
            sequence: self.sequence.to_string(),
            traceparent: self.traceparent,
            datacontenttype: "application/json".to_owned(),
            data: self.data,
        }
    }
}

/// The rows that wait, oldest first, but those of the aggregates in `except`.
pub(crate) async fn unpublished(
    connection: &mut PgConnection,
    except: &[Uuid],
    limit: i64,
) -> Result<Vec<Row>, sqlx::Error> {
    // Never "position greater than the last seen": positions are not given in the order of the commits, and a row
    // that commits late would never be seen. A subquery, since that is hashed: an array would be searched for each row.
    sqlx::query_as(
        "SELECT id, subject, name, sequence, data, traceparent, occurred_at
         FROM outbox
         WHERE published_at IS NULL AND subject NOT IN (SELECT UNNEST($1))
         ORDER BY position
         LIMIT $2",
    )
    .bind(except)
    .bind(limit)
    .fetch_all(connection)
    .await
}

/// Marks rows as told.
pub(crate) async fn mark_published(connection: &mut PgConnection, ids: &[Uuid]) -> Result<(), sqlx::Error> {
    sqlx::query("UPDATE outbox SET published_at = now() WHERE id = ANY($1)")
        .bind(ids)
        .execute(connection)
        .await?;
    Ok(())
}

/// How many rows wait, and when the first of them happened.
pub(crate) async fn waiting(
    database: impl PgExecutor<'_>,
) -> Result<(i64, Option<DateTime<Utc>>), sqlx::Error> {
    sqlx::query_as(
        "SELECT count(*), (SELECT occurred_at FROM outbox WHERE published_at IS NULL ORDER BY position LIMIT 1)
         FROM outbox
         WHERE published_at IS NULL",
    )
    .fetch_one(database)
    .await
}

/// Deletes the rows that were told at `before` or earlier.
pub(crate) async fn prune_outbox(pool: &PgPool, before: DateTime<Utc>) -> Result<u64, sqlx::Error> {
    in_batches(|| async {
        // An event is told after its id was made, and ids are in the order of time: so the primary key finds the rows.
        let pruned = sqlx::query(
            "DELETE FROM outbox WHERE id IN
             (SELECT id FROM outbox WHERE id < $1 AND published_at <= $2 ORDER BY id LIMIT $3)",
        )
        .bind(first_id_after(before))
        .bind(before)
        .bind(PRUNED_AT_ONCE.cast_signed())
        .execute(pool)
        .await?;
        Ok(pruned.rows_affected())
    })
    .await
}

/// Deletes until a batch is not full; answers how many rows in all.
pub(crate) async fn in_batches<F>(mut delete: impl FnMut() -> F) -> Result<u64, sqlx::Error>
where
    F: Future<Output = Result<u64, sqlx::Error>>,
{
    let mut pruned = 0;
    loop {
        let rows = delete().await?;
        pruned += rows;
        if rows < PRUNED_AT_ONCE {
            return Ok(pruned);
        }
    }
}

/// The smallest UUIDv7 that is later than any made at `time` or before.
pub(crate) fn first_id_after(time: DateTime<Utc>) -> Uuid {
    let milliseconds = u64::try_from(time.timestamp_millis()).unwrap_or(0);
    uuid::Builder::from_unix_timestamp_millis(milliseconds + 1, &[0; 10]).into_uuid()
}
