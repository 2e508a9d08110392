//! The SQL of the outbox and of its relay. That of the inbox and of the dead letters is beside those.
//!
//! Plain queries, where the services use checked ones: these tables are the same in every service's database, so this
//! crate has none of its own to check them against. The tests run each of them.

use chrono::{DateTime, Utc};
use serde_json::value::RawValue;
use sqlx::{PgConnection, PgExecutor, PgPool, types::Json};
use uuid::Uuid;

use crate::{Event, OutboxStatus, event::SealedEvent, outbox::traceparent};

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
    data: Json<Box<RawValue>>,
    pub(crate) traceparent: Option<String>,
    occurred_at: DateTime<Utc>,
}

impl Row {
    /// The event as it travels, said by `source`.
    pub(crate) fn into_event(self, source: &str) -> SealedEvent {
        SealedEvent {
            specversion: "1.0".to_owned(),
            id: self.id,
            source: source.to_owned(),
            kind: format!("portico.{}.v1", self.name),
            subject: self.subject,
            time: self.occurred_at,
            sequence: self.sequence.to_string(),
            traceparent: self.traceparent,
            datacontenttype: "application/json".to_owned(),
            data: self.data.0,
        }
    }
}

/// Writes an event: what nearly all transactions do, and a sixth cheaper than [`append_many`].
pub(crate) async fn append_one(tx: &mut PgConnection, event: &Event) -> Result<(), sqlx::Error> {
    sqlx::query(
        "INSERT INTO outbox (id, name, subject, sequence, data, occurred_at, traceparent)
         VALUES ($1, $2, $3, $4, $5, $6, $7)",
    )
    .bind(event.id)
    .bind(event.name)
    .bind(event.subject)
    .bind(event.sequence)
    .bind(&event.data)
    .bind(event.time)
    .bind(traceparent())
    .execute(tx)
    .await?;
    Ok(())
}

/// Writes events in one statement.
pub(crate) async fn append_many(tx: &mut PgConnection, events: &[Event]) -> Result<(), sqlx::Error> {
    let ids: Vec<_> = events.iter().map(|event| event.id).collect();
    let names: Vec<_> = events.iter().map(|event| event.name).collect();
    let subjects: Vec<_> = events.iter().map(|event| event.subject).collect();
    let sequences: Vec<_> = events.iter().map(|event| event.sequence).collect();
    let data: Vec<_> = events.iter().map(|event| &event.data).collect();
    let times: Vec<_> = events.iter().map(|event| event.time).collect();
    sqlx::query(
        "INSERT INTO outbox (id, name, subject, sequence, data, occurred_at, traceparent)
         SELECT *, $7::text
         FROM UNNEST($1::uuid[], $2::text[], $3::uuid[], $4::bigint[], $5::jsonb[], $6::timestamptz[])",
    )
    .bind(ids)
    .bind(names)
    .bind(subjects)
    .bind(sequences)
    .bind(data)
    .bind(times)
    .bind(traceparent())
    .execute(tx)
    .await?;
    Ok(())
}

// Never "position greater than the last seen": positions are not given in the order of the commits, and a row that
// commits late would never be seen. A subquery, since that is hashed: an array would be searched for each row.
const UNPUBLISHED: &str = "
    SELECT id, subject, name, sequence, data, traceparent, occurred_at
    FROM outbox
    WHERE published_at IS NULL AND subject NOT IN (SELECT UNNEST($1))
    ORDER BY position
    LIMIT $2";

/// The rows that wait, oldest first, but those of the aggregates in `except`.
pub(crate) async fn unpublished(
    connection: &mut PgConnection,
    except: &[Uuid],
    limit: i64,
) -> Result<Vec<Row>, sqlx::Error> {
    sqlx::query_as(UNPUBLISHED).bind(except).bind(limit).fetch_all(connection).await
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

/// How the outbox is doing.
pub(crate) async fn status(pool: &PgPool) -> Result<OutboxStatus, sqlx::Error> {
    // pg_locks shows the two halves of the key of an advisory lock.
    sqlx::query_as(
        "SELECT
             count(*) FILTER (WHERE published_at IS NULL) AS waiting,
             count(*) FILTER (WHERE published_at IS NOT NULL) AS kept,
             (SELECT occurred_at FROM outbox WHERE published_at IS NULL ORDER BY position LIMIT 1) AS oldest_waiting,
             EXISTS (
                 SELECT
                 FROM pg_locks JOIN pg_database ON pg_database.oid = pg_locks.database
                 WHERE datname = current_database() AND locktype = 'advisory' AND granted AND objsubid = 1
                 AND (classid::bigint << 32) | objid::bigint = hashtextextended($1, 0)
             ) AS led
         FROM outbox",
    )
    .bind(LEAD)
    .fetch_one(pool)
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

#[cfg(test)]
mod tests {
    use testkit::Database;

    use super::*;

    #[tokio::test]
    async fn looking_stays_on_the_partial_index_beside_any_number_of_told_rows() {
        let database = Database::new("order").await;
        fill(database.pool()).await;
        let mut connection = database.pool().acquire().await.unwrap();
        let busy: Vec<_> = (0..2_000).map(|_| Uuid::now_v7()).collect();
        // As a prepared statement gets it after some time: for any values.
        sqlx::query("SET plan_cache_mode = force_generic_plan").execute(&mut *connection).await.unwrap();

        let explain = format!("EXPLAIN (ANALYZE, BUFFERS, TIMING OFF) {UNPUBLISHED}");
        let plan: Vec<String> = sqlx::query_scalar(sqlx::AssertSqlSafe(explain))
            .bind(busy)
            .bind(1_000_i64)
            .fetch_all(&mut *connection)
            .await
            .unwrap();

        let plan = plan.join("\n");
        assert!(plan.contains("Index Scan using outbox_unpublished on outbox"), "{plan}");
        assert!(plan.contains("hashed SubPlan"), "{plan}");
        assert!(!plan.contains("Sort") && !plan.contains("Seq Scan"), "{plan}");
    }

    /// 200,000 told rows, between and after which 2,000 wait.
    async fn fill(pool: &PgPool) {
        sqlx::query(
            "INSERT INTO outbox (id, name, subject, sequence, data, occurred_at, published_at)
             SELECT gen_random_uuid(), 'order.created', gen_random_uuid(), 1, '{}', now(),
                 CASE WHEN number % 101 = 0 THEN NULL ELSE now() END
             FROM generate_series(1, 202000) number",
        )
        .execute(pool)
        .await
        .unwrap();
        sqlx::query("VACUUM ANALYZE outbox").execute(pool).await.unwrap();
    }
}
