//! The SQL of the inbox.

use chrono::{DateTime, Utc};
use sqlx::{PgConnection, PgPool};
use uuid::Uuid;

use crate::store::{PRUNED_AT_ONCE, first_id_after, in_batches};

/// Claims an event for a consumer until the caller's transaction ends. `false` when its effect is there already, or
/// when it rests as a dead letter: then only a redrive brings it back. Waits for another transaction with that claim.
pub(crate) async fn claim_in_tx(
    tx: &mut PgConnection,
    consumer: &str,
    event: Uuid,
) -> Result<bool, sqlx::Error> {
    let claimed = sqlx::query(
        "INSERT INTO inbox (consumer, event_id)
         SELECT $1, $2
         WHERE NOT EXISTS (
             SELECT FROM dead_letters WHERE consumer = $1 AND event_id = $2 AND redriven_at IS NULL
         )
         ON CONFLICT DO NOTHING",
    )
    .bind(consumer)
    .bind(event)
    .execute(tx)
    .await?;
    Ok(claimed.rows_affected() == 1)
}

/// Whether the inbox can be asked, as a claim does.
pub(crate) async fn ask(pool: &PgPool) -> Result<(), sqlx::Error> {
    sqlx::query("SELECT EXISTS (SELECT FROM inbox), EXISTS (SELECT FROM dead_letters)").execute(pool).await?;
    Ok(())
}

/// Deletes a consumer's inbox rows of `before` or earlier.
pub(crate) async fn prune(pool: &PgPool, consumer: &str, before: DateTime<Utc>) -> Result<u64, sqlx::Error> {
    in_batches(|| async {
        // As in the outbox, the ids lead to the old rows.
        let pruned = sqlx::query(
            "DELETE FROM inbox WHERE consumer = $1 AND event_id IN
             (SELECT event_id FROM inbox
              WHERE consumer = $1 AND event_id < $2 AND handled_at <= $3
              ORDER BY event_id
              LIMIT $4)",
        )
        .bind(consumer)
        .bind(first_id_after(before))
        .bind(before)
        .bind(PRUNED_AT_ONCE.cast_signed())
        .execute(pool)
        .await?;
        Ok(pruned.rows_affected())
    })
    .await
}
