//! The sandbox's memory. The tables stand for the outside world, so their SQL is here and not in the store, and each
//! function commits by itself.

use money::Money;
use sqlx::PgPool;
use uuid::Uuid;

use super::{Outcome, REFUND_DECLINED};
use crate::payment::AttemptId;

/// What a token makes of a charge.
pub(super) enum Charge {
    Succeeds { method: &'static str },
    Declines { reason: &'static str },
}

/// A charge as the ledger holds it.
pub(super) struct Charged {
    transaction_id: Option<String>,
    method: Option<String>,
    reason: Option<String>,
}

impl Charged {
    pub(super) fn outcome(self) -> Outcome {
        match (self.transaction_id, self.method) {
            (Some(transaction_id), Some(method)) => Outcome::Succeeded { transaction_id, method },
            _ => Outcome::Declined { reason: self.reason.unwrap_or_default() },
        }
    }
}

/// A refund as the ledger holds it.
pub(super) struct Refunded {
    pub(super) outcome: Outcome,
    /// The token of the charge.
    pub(super) token: Option<String>,
    /// Whether this call made it.
    pub(super) is_new: bool,
}

/// Charges, unless the key is known; gives what stands in the ledger.
pub(super) async fn charge(
    ledger: &PgPool,
    key: AttemptId,
    token: &str,
    amount: Money,
    charge: &Charge,
) -> Result<Charged, sqlx::Error> {
    let (status, transaction_id, method, reason) = match charge {
        Charge::Succeeds { method } => ("SUCCEEDED", Some(new_id("ch")), Some(*method), None),
        Charge::Declines { reason } => ("DECLINED", None, None, Some(*reason)),
    };
    sqlx::query!(
        "INSERT INTO sandbox_charges (key, token, amount, currency, status, transaction_id, method, reason)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
         ON CONFLICT (key) DO NOTHING",
        key.0,
        token,
        amount.minor_units,
        amount.currency.code(),
        status,
        transaction_id,
        method,
        reason,
    )
    .execute(ledger)
    .await?;
    known(ledger, key).await
}

/// Voids a key that is not known; gives what stands in the ledger.
pub(super) async fn settle(ledger: &PgPool, key: AttemptId) -> Result<Charged, sqlx::Error> {
    sqlx::query!(
        "INSERT INTO sandbox_charges (key, status, reason)
         VALUES ($1, 'VOID', 'abandoned')
         ON CONFLICT (key) DO NOTHING",
        key.0,
    )
    .execute(ledger)
    .await?;
    known(ledger, key).await
}

async fn known(ledger: &PgPool, key: AttemptId) -> Result<Charged, sqlx::Error> {
    sqlx::query_as!(
        Charged,
        "SELECT transaction_id, method, reason FROM sandbox_charges WHERE key = $1",
        key.0
    )
    .fetch_one(ledger)
    .await
}

/// Gives back, unless the key is known, what the charge has left; gives what stands in the ledger.
pub(super) async fn refund(
    ledger: &PgPool,
    key: AttemptId,
    transaction_id: &str,
    amount: Money,
) -> Result<Refunded, sqlx::Error> {
    let mut tx = ledger.begin().await?;
    // The charge's lock puts its refunds in a line, so that their sum is right.
    let charge = sqlx::query!(
        "SELECT token, amount
         FROM sandbox_charges
         WHERE transaction_id = $1
         FOR UPDATE",
        transaction_id,
    )
    .fetch_optional(&mut *tx)
    .await?;
    let given = sqlx::query_scalar!(
        r#"SELECT coalesce(sum(amount), 0)::bigint AS "given!"
           FROM sandbox_refunds
           WHERE transaction_id = $1 AND status = 'SUCCEEDED'"#,
        transaction_id,
    )
    .fetch_one(&mut *tx)
    .await?;
    let token = charge.as_ref().and_then(|charge| charge.token.clone());
    let left = charge.and_then(|charge| charge.amount).map(|charged| charged - given);
    let reason = match left {
        None => Some("charge_unknown"),
        _ if token.as_deref() == Some(REFUND_DECLINED) => Some("refund_declined"),
        Some(left) if amount.minor_units > left => Some("refund_exceeds_charge"),
        Some(_) => None,
    };
    let inserted = sqlx::query!(
        "INSERT INTO sandbox_refunds (key, transaction_id, amount, status, reason)
         VALUES ($1, $2, $3, $4, $5)
         ON CONFLICT (key) DO NOTHING",
        key.0,
        transaction_id,
        amount.minor_units,
        if reason.is_none() { "SUCCEEDED" } else { "DECLINED" },
        reason,
    )
    .execute(&mut *tx)
    .await?;
    let refused = sqlx::query_scalar!("SELECT reason FROM sandbox_refunds WHERE key = $1", key.0)
        .fetch_one(&mut *tx)
        .await?;
    tx.commit().await?;
    let outcome = match refused {
        Some(reason) => Outcome::Declined { reason },
        None => {
            Outcome::Succeeded { transaction_id: format!("re_{}", key.0.simple()), method: String::new() }
        }
    };
    Ok(Refunded { outcome, token, is_new: inserted.rows_affected() == 1 })
}

fn new_id(prefix: &str) -> String {
    format!("{prefix}_{}", Uuid::now_v7().simple())
}
