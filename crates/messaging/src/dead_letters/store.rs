//! The SQL of the dead letters of the in-process bus.

use chrono::{DateTime, Utc};
use sqlx::{PgPool, types::Json};

use crate::CloudEvent;

/// A row of a dead letter.
#[derive(Debug, sqlx::FromRow)]
pub(crate) struct Row {
    pub(crate) consumer: String,
    pub(crate) event: Json<CloudEvent>,
    pub(crate) reason: String,
    pub(crate) tries: i32,
    pub(crate) died_at: DateTime<Utc>,
}

/// Lays an event to rest, with the reason: for the first time, or again after it was redriven in vain.
pub(crate) async fn bury(
    pool: &PgPool,
    consumer: &str,
    event: &CloudEvent,
    reason: &str,
    tries: u32,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "INSERT INTO dead_letters (consumer, event_id, event, reason, tries)
         VALUES ($1, $2, $3, $4, $5)
         ON CONFLICT (consumer, event_id)
         DO UPDATE SET reason = excluded.reason, tries = excluded.tries, died_at = now(), redriven_at = NULL",
    )
    .bind(consumer)
    .bind(event.id)
    .bind(Json(event))
    // Postgres text holds no NUL, and a reason that can't be written would keep the event from its rest for ever.
    .bind(reason.replace('\0', ""))
    .bind(i32::try_from(tries).unwrap_or(i32::MAX))
    .execute(pool)
    .await?;
    Ok(())
}

/// The dead letters of a consumer, or of all, with this event, or with any; oldest first.
pub(crate) async fn list(
    pool: &PgPool,
    consumer: Option<&str>,
    id: Option<&str>,
    limit: i64,
) -> Result<Vec<Row>, sqlx::Error> {
    sqlx::query_as(
        "SELECT consumer, event, reason, tries, died_at
         FROM dead_letters
         WHERE redriven_at IS NULL AND ($1::text IS NULL OR consumer = $1) AND ($2::text IS NULL OR event_id::text = $2)
         ORDER BY died_at, event_id
         LIMIT $3",
    )
    .bind(consumer)
    .bind(id)
    .bind(limit)
    .fetch_all(pool)
    .await
}

/// Asks for such dead letters to be handled again; answers how many.
pub(crate) async fn redrive(
    pool: &PgPool,
    consumer: Option<&str>,
    id: Option<&str>,
) -> Result<u64, sqlx::Error> {
    let redriven = sqlx::query(
        "UPDATE dead_letters SET redriven_at = now()
         WHERE redriven_at IS NULL AND ($1::text IS NULL OR consumer = $1) AND ($2::text IS NULL OR event_id::text = $2)",
    )
    .bind(consumer)
    .bind(id)
    .execute(pool)
    .await?;
    Ok(redriven.rows_affected())
}

/// Deletes such dead letters; answers how many.
pub(crate) async fn delete(
    pool: &PgPool,
    consumer: Option<&str>,
    id: Option<&str>,
) -> Result<u64, sqlx::Error> {
    let deleted = sqlx::query(
        "DELETE FROM dead_letters
         WHERE redriven_at IS NULL AND ($1::text IS NULL OR consumer = $1) AND ($2::text IS NULL OR event_id::text = $2)",
    )
    .bind(consumer)
    .bind(id)
    .execute(pool)
    .await?;
    Ok(deleted.rows_affected())
}

/// The events of a consumer that are to be handled again.
pub(crate) async fn redriven(
    pool: &PgPool,
    consumer: &str,
    limit: i64,
) -> Result<Vec<Json<CloudEvent>>, sqlx::Error> {
    sqlx::query_scalar(
        "SELECT event FROM dead_letters
         WHERE consumer = $1 AND redriven_at IS NOT NULL
         ORDER BY redriven_at, event_id
         LIMIT $2",
    )
    .bind(consumer)
    .bind(limit)
    .fetch_all(pool)
    .await
}

/// Deletes one that was handled again, unless that was in vain and it rests once more.
pub(crate) async fn settle(pool: &PgPool, consumer: &str, event: &CloudEvent) -> Result<(), sqlx::Error> {
    sqlx::query("DELETE FROM dead_letters WHERE consumer = $1 AND event_id = $2 AND redriven_at IS NOT NULL")
        .bind(consumer)
        .bind(event.id)
        .execute(pool)
        .await?;
    Ok(())
}
