//! The table `signing_keys`.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;

use crate::keys::StoredKey;

/// The advisory lock under which keys are made and removed: "keys" in ASCII.
const KEYS: i64 = 0x6b_65_79_73;

/// Waits for other transactions that make or remove keys, and keeps them waiting until this one ends.
pub(crate) async fn lock_signing_keys(tx: &mut PgConnection) -> Result<(), sqlx::Error> {
    sqlx::query!("SELECT pg_advisory_xact_lock($1)", KEYS).execute(tx).await?;
    Ok(())
}

/// All keys.
pub(crate) async fn signing_keys(conn: &mut PgConnection) -> Result<Vec<StoredKey>, sqlx::Error> {
    sqlx::query_as!(
        StoredKey,
        "SELECT id, public_key AS public, sealed_private_key AS sealed_private, signs_from
         FROM signing_keys
         ORDER BY signs_from, id",
    )
    .fetch_all(conn)
    .await
}

/// Adds a key.
pub(crate) async fn insert_signing_key(
    conn: &mut PgConnection,
    key: &StoredKey,
    now: DateTime<Utc>,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "INSERT INTO signing_keys (id, public_key, sealed_private_key, signs_from, created_at)
         VALUES ($1, $2, $3, $4, $5)",
        key.id,
        key.public,
        key.sealed_private,
        key.signs_from,
        now,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Removes keys.
pub(crate) async fn delete_signing_keys(conn: &mut PgConnection, ids: &[String]) -> Result<(), sqlx::Error> {
    sqlx::query!("DELETE FROM signing_keys WHERE id = ANY ($1)", ids).execute(conn).await?;
    Ok(())
}
