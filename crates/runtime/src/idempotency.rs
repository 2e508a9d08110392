//! A request that is repeated under its idempotency key gets the first result.
//!
//! A key belongs to a viewer and an operation, and is kept for [`KEPT`]. The caller claims it in the transaction of the
//! effect (or of the step that makes the effect certain), and stores the response in the transaction that decides it.

use std::time::Duration;

use chrono::{DateTime, Utc};
use identity::UserId;
use sqlx::PgConnection;

use crate::{Kind, Refusal, postgres::Pool};

/// How long a first result is kept.
pub const KEPT: Duration = Duration::from_secs(24 * 60 * 60);
/// The longest key, in characters.
const LONGEST_KEY: usize = 128;

/// A key in its scope, and what identifies the request that uses it.
#[derive(Clone, Debug)]
pub struct Key {
    viewer: UserId,
    operation: &'static str,
    key: String,
    /// SHA-256 of the request without its key.
    request: [u8; 32],
}

/// What a claim found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Claim {
    /// Nobody used the key: the caller goes on, in the same transaction.
    First,
    /// The request was answered before, with this encoded response.
    Repeat(Vec<u8>),
}

/// Why a key can't be claimed.
#[derive(Debug, thiserror::Error)]
pub enum ClaimError {
    /// CONFLICT or IDEMPOTENCY_KEY_REUSED.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The database failed.
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

impl Key {
    /// The key of a request; `None` when the client sent none. `request` is the whole request, encoded, with an empty
    /// key; it is hashed.
    ///
    /// # Errors
    /// `IDEMPOTENCY_KEY_INVALID` for one that is too long or holds control characters.
    pub fn parse(
        viewer: UserId,
        operation: &'static str,
        key: &str,
        request: &[u8],
    ) -> Result<Option<Self>, Refusal> {
        if key.is_empty() {
            return Ok(None);
        }
        if key.chars().count() > LONGEST_KEY || key.chars().any(char::is_control) {
            let rule = "must be at most 128 characters, none of them a control character";
            return Err(Refusal::bad_input("IDEMPOTENCY_KEY_INVALID", "idempotencyKey", rule));
        }
        let mut hash = [0; 32];
        hash.copy_from_slice(aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, request).as_ref());
        Ok(Some(Self { viewer, operation, key: key.to_owned(), request: hash }))
    }

    /// Claims the key until the caller's transaction ends: one statement for the lock, one for the row.
    ///
    /// # Errors
    /// `IDEMPOTENCY_IN_PROGRESS` (CONFLICT) while another request with the key runs, here or in a step between two
    /// transactions; `IDEMPOTENCY_KEY_REUSED` when the first request was another one.
    pub async fn claim_in_tx(&self, tx: &mut PgConnection, now: DateTime<Utc>) -> Result<Claim, ClaimError> {
        // Tried, not waited for: whoever repeats a request that still runs should hear so at once.
        let locked: bool = sqlx::query_scalar("SELECT pg_try_advisory_xact_lock(hashtextextended($1, 0))")
            .bind(format!("{}/{}/{}", self.viewer, self.operation, self.key))
            .fetch_one(&mut *tx)
            .await?;
        if !locked {
            return Err(in_progress().into());
        }
        let claimed = sqlx::query(
            "INSERT INTO idempotency (viewer, operation, key, request, created_at)
             VALUES ($1, $2, $3, $4, $5)
             ON CONFLICT (viewer, operation, key) DO UPDATE
             SET request = excluded.request, response = NULL, created_at = excluded.created_at
             WHERE idempotency.created_at <= $6",
        )
        .bind(self.viewer.0)
        .bind(self.operation)
        .bind(&self.key)
        .bind(self.request)
        .bind(now)
        .bind(now - KEPT)
        .execute(&mut *tx)
        .await?;
        if claimed.rows_affected() == 1 {
            return Ok(Claim::First);
        }
        self.earlier(tx).await
    }

    async fn earlier(&self, tx: &mut PgConnection) -> Result<Claim, ClaimError> {
        let (request, response): (Vec<u8>, Option<Vec<u8>>) = sqlx::query_as(
            "SELECT request, response FROM idempotency WHERE viewer = $1 AND operation = $2 AND key = $3",
        )
        .bind(self.viewer.0)
        .bind(self.operation)
        .bind(&self.key)
        .fetch_one(tx)
        .await?;
        if request != self.request {
            return Err(Refusal::new(
                Kind::Conflict,
                "IDEMPOTENCY_KEY_REUSED",
                "this idempotency key was used for another request",
            )
            .into());
        }
        response.map(Claim::Repeat).ok_or_else(|| in_progress().into())
    }

    /// Stores the response that repeats will get.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn store_in_tx(&self, tx: &mut PgConnection, response: &[u8]) -> Result<(), sqlx::Error> {
        store_in_tx(tx, self.viewer, self.operation, &self.key, response).await
    }

    /// The text of the key, for a row that decides the request later, such as an attempt at a payment.
    pub fn text(&self) -> &str {
        &self.key
    }
}

/// As [`Key::store_in_tx`], for one who decides a request that another process began.
///
/// # Errors
/// When the database fails.
pub async fn store_in_tx(
    tx: &mut PgConnection,
    viewer: UserId,
    operation: &str,
    key: &str,
    response: &[u8],
) -> Result<(), sqlx::Error> {
    sqlx::query("UPDATE idempotency SET response = $4 WHERE viewer = $1 AND operation = $2 AND key = $3")
        .bind(viewer.0)
        .bind(operation)
        .bind(key)
        .bind(response)
        .execute(tx)
        .await?;
    Ok(())
}

/// Deletes the keys that are no longer kept; at most 10,000 at once, to hold no lock for long.
///
/// # Errors
/// When the database fails.
pub async fn prune(pool: &Pool, now: DateTime<Utc>) -> Result<u64, sqlx::Error> {
    let pruned = sqlx::query(
        "DELETE FROM idempotency WHERE ctid IN
         (SELECT ctid FROM idempotency WHERE created_at <= $1 LIMIT 10000)",
    )
    .bind(now - KEPT)
    .execute(&mut *pool.acquire().await?)
    .await?;
    Ok(pruned.rows_affected())
}

fn in_progress() -> Refusal {
    Refusal::new(
        Kind::Conflict,
        "IDEMPOTENCY_IN_PROGRESS",
        "the first request with this idempotency key still runs",
    )
    .retry_after(Duration::from_secs(1))
}
