//! All SQL on attempts.

use chrono::{DateTime, Utc};
use identity::UserId;
use money::Money;
use sqlx::PgConnection;

use super::currency;
use crate::{
    attempts::{Attempt, Kind},
    payment::{AttemptId, PaymentId},
    provider::Outcome,
};

/// Adds an attempt as STARTED. From `due_at` on the recoverer takes it, should it still be that.
pub async fn insert_in_tx(
    tx: &mut PgConnection,
    attempt: &Attempt,
    now: DateTime<Utc>,
    due_at: DateTime<Utc>,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "INSERT INTO attempts (id, payment_id, kind, status, amount, reason, requested_by, idempotency_key,
                               started_at, due_at)
         VALUES ($1, $2, $3, 'STARTED', $4, $5, $6, $7, $8, $9)",
        attempt.id.0,
        attempt.payment_id.0,
        attempt.kind.name(),
        attempt.amount.minor_units,
        attempt.reason,
        attempt.requested_by.map(|user| user.0),
        attempt.idempotency_key,
        now,
        due_at,
    )
    .execute(tx)
    .await?;
    Ok(())
}

/// Writes what became of an attempt; says whether it was still STARTED. The caller holds the payment's lock.
pub async fn decide_in_tx(
    tx: &mut PgConnection,
    id: AttemptId,
    outcome: &Outcome,
    now: DateTime<Utc>,
) -> Result<bool, sqlx::Error> {
    let (status, failure_reason) = match outcome {
        Outcome::Succeeded { .. } => ("SUCCEEDED", None),
        Outcome::Declined { reason } => ("FAILED", Some(reason.as_str())),
    };
    let decided = sqlx::query!(
        "UPDATE attempts
         SET status = $2, failure_reason = $3, decided_at = $4
         WHERE id = $1
           AND status = 'STARTED'",
        id.0,
        status,
        failure_reason,
        now,
    )
    .execute(tx)
    .await?;
    Ok(decided.rows_affected() == 1)
}

/// Takes at most `limit` attempts that are STARTED and due, and puts them off until `again_at`, so that another
/// replica does not take them meanwhile.
pub async fn take_due(
    db: &mut PgConnection,
    now: DateTime<Utc>,
    again_at: DateTime<Utc>,
    limit: i64,
) -> Result<Vec<Attempt>, sqlx::Error> {
    let rows = sqlx::query!(
        "WITH due AS MATERIALIZED (
             SELECT id
             FROM attempts
             WHERE status = 'STARTED'
               AND due_at <= $1
             ORDER BY due_at
             LIMIT $3
             FOR UPDATE SKIP LOCKED
         )
         UPDATE attempts
         SET due_at = $2
         FROM due, payments
         WHERE attempts.id = due.id
           AND payments.id = attempts.payment_id
         RETURNING attempts.id, attempts.payment_id, attempts.kind, attempts.amount, attempts.reason,
                   attempts.requested_by, attempts.idempotency_key, payments.currency, payments.transaction_id",
        now,
        again_at,
        limit,
    )
    .fetch_all(db)
    .await?;
    rows.into_iter()
        .map(|row| {
            Ok(Attempt {
                id: AttemptId(row.id),
                payment_id: PaymentId(row.payment_id),
                kind: if row.kind == "CHARGE" {
                    Kind::Charge
                } else {
                    Kind::Refund { transaction_id: row.transaction_id.unwrap_or_default() }
                },
                amount: Money::new(row.amount, currency(&row.currency)?),
                reason: row.reason,
                requested_by: row.requested_by.map(UserId),
                idempotency_key: row.idempotency_key,
            })
        })
        .collect()
}
