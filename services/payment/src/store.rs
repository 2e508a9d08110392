//! All SQL on payments; that on attempts is in [`attempts`].
//!
//! Reads are one statement each, narrowed to what the viewer may see: `owner` is whose payments are looked at, `None`
//! for everyone's. Functions that end in `_in_tx` run in the caller's transaction.

pub mod attempts;

use chrono::{DateTime, Utc};
use identity::UserId;
use money::{Currency, Money};
use sqlx::{PgConnection, postgres::PgQueryResult};
use uuid::Uuid;

use crate::payment::{AttemptId, OrderId, Payment, PaymentId, Status};

/// A row of payments.
struct Row {
    id: Uuid,
    order_id: Uuid,
    user_id: Uuid,
    amount: i64,
    refunded: i64,
    reserved: i64,
    currency: String,
    status: Status,
    method: Option<String>,
    transaction_id: Option<String>,
    failure_reason: Option<String>,
    paid_at: Option<DateTime<Utc>>,
    window_ends_at: DateTime<Utc>,
    charging: Option<Uuid>,
    order_cancelled: bool,
    version: i64,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

/// A statement that gives payments: what stands before the columns, what stands after them, and the parameters. The
/// columns are written once.
macro_rules! payments {
    ($before:literal, $after:literal $(, $parameter:expr)* $(,)?) => {
        sqlx::query_as!(
            Row,
            $before
                + " id, order_id, user_id, amount, refunded, reserved, currency, status AS \"status: Status\", method,
                    transaction_id, failure_reason, paid_at, window_ends_at, charging, order_cancelled, version,
                    created_at, updated_at "
                + $after
            $(, $parameter)*
        )
    };
}

impl TryFrom<Row> for Payment {
    type Error = sqlx::Error;

    fn try_from(row: Row) -> Result<Self, sqlx::Error> {
        Ok(Self {
            id: PaymentId(row.id),
            order_id: OrderId(row.order_id),
            user_id: UserId(row.user_id),
            amount: Money::new(row.amount, currency(&row.currency)?),
            refunded: row.refunded,
            reserved: row.reserved,
            status: row.status,
            method: row.method,
            transaction_id: row.transaction_id,
            failure_reason: row.failure_reason,
            paid_at: row.paid_at,
            window_ends_at: row.window_ends_at,
            charging: row.charging.map(AttemptId),
            order_cancelled: row.order_cancelled,
            version: row.version,
            created_at: row.created_at,
            updated_at: row.updated_at,
        })
    }
}

fn currency(code: &str) -> Result<Currency, sqlx::Error> {
    Currency::from_code(code)
        .ok_or_else(|| sqlx::Error::Decode("a currency that ISO 4217 does not know".into()))
}

fn all(rows: Vec<Row>) -> Result<Vec<Payment>, sqlx::Error> {
    rows.into_iter().map(Payment::try_from).collect()
}

/// Those of the payments that exist and that `owner` owns.
pub async fn by_ids(
    db: &mut PgConnection,
    ids: &[Uuid],
    owner: Option<UserId>,
) -> Result<Vec<Payment>, sqlx::Error> {
    let rows = payments!(
        "SELECT",
        "FROM payments
         WHERE id = ANY($1)
           AND ($2::uuid IS NULL OR user_id = $2)",
        ids,
        owner.map(|owner| owner.0),
    )
    .fetch_all(db)
    .await?;
    all(rows)
}

/// The payments of those of the orders that have one that `owner` owns.
pub async fn by_orders(
    db: &mut PgConnection,
    orders: &[Uuid],
    owner: Option<UserId>,
) -> Result<Vec<Payment>, sqlx::Error> {
    let rows = payments!(
        "SELECT",
        "FROM payments
         WHERE order_id = ANY($1)
           AND ($2::uuid IS NULL OR user_id = $2)",
        orders,
        owner.map(|owner| owner.0),
    )
    .fetch_all(db)
    .await?;
    all(rows)
}

/// At most `limit` payments of `owner` or of everyone, newest first, older than `after`.
pub async fn list(
    db: &mut PgConnection,
    owner: Option<UserId>,
    status: Option<Status>,
    after: Option<Uuid>,
    limit: i64,
) -> Result<Vec<Payment>, sqlx::Error> {
    // Two statements, so that each has a plan of its own: one walks the owner's index, the other the table's.
    let rows = match owner {
        Some(owner) => {
            payments!(
                "SELECT",
                "FROM payments
                 WHERE user_id = $1
                   AND ($2::text IS NULL OR status = $2)
                   AND ($3::uuid IS NULL OR id < $3)
                 ORDER BY id DESC
                 LIMIT $4",
                owner.0,
                status as Option<Status>,
                after,
                limit,
            )
            .fetch_all(db)
            .await?
        }
        None => {
            payments!(
                "SELECT",
                "FROM payments
                 WHERE ($1::text IS NULL OR status = $1)
                   AND ($2::uuid IS NULL OR id < $2)
                 ORDER BY id DESC
                 LIMIT $3",
                status as Option<Status>,
                after,
                limit,
            )
            .fetch_all(db)
            .await?
        }
    };
    all(rows)
}

/// How many payments the whole list has.
pub async fn count(
    db: &mut PgConnection,
    owner: Option<UserId>,
    status: Option<Status>,
) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar!(
        r#"SELECT count(*) AS "count!"
           FROM payments
           WHERE ($1::uuid IS NULL OR user_id = $1)
             AND ($2::text IS NULL OR status = $2)"#,
        owner.map(|owner| owner.0),
        status as Option<Status>,
    )
    .fetch_one(db)
    .await
}

/// A payment that `owner` owns, locked until the transaction ends.
pub async fn lock_in_tx(
    tx: &mut PgConnection,
    id: PaymentId,
    owner: Option<UserId>,
) -> Result<Option<Payment>, sqlx::Error> {
    let row = payments!(
        "SELECT",
        "FROM payments
         WHERE id = $1
           AND ($2::uuid IS NULL OR user_id = $2)
         FOR UPDATE",
        id.0,
        owner.map(|owner| owner.0),
    )
    .fetch_optional(tx)
    .await?;
    row.map(Payment::try_from).transpose()
}

/// The payment of an order, locked until the transaction ends.
pub async fn lock_of_order_in_tx(
    tx: &mut PgConnection,
    order: OrderId,
) -> Result<Option<Payment>, sqlx::Error> {
    let row = payments!("SELECT", "FROM payments WHERE order_id = $1 FOR UPDATE", order.0)
        .fetch_optional(tx)
        .await?;
    row.map(Payment::try_from).transpose()
}

/// Adds a payment, unless its order has one.
pub async fn insert_in_tx(tx: &mut PgConnection, payment: &Payment) -> Result<PgQueryResult, sqlx::Error> {
    sqlx::query!(
        "INSERT INTO payments (id, order_id, user_id, amount, refunded, reserved, currency, status, window_ends_at,
                               order_cancelled, version, created_at, updated_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)
         ON CONFLICT (order_id) DO NOTHING",
        payment.id.0,
        payment.order_id.0,
        payment.user_id.0,
        payment.amount.minor_units,
        payment.refunded,
        payment.reserved,
        payment.currency().code(),
        payment.status as Status,
        payment.window_ends_at,
        payment.order_cancelled,
        payment.version,
        payment.created_at,
        payment.updated_at,
    )
    .execute(tx)
    .await
}

/// Writes what transitions changed. The caller holds the row's lock.
pub async fn save_in_tx(tx: &mut PgConnection, payment: &Payment) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "UPDATE payments
         SET refunded = $2, reserved = $3, status = $4, method = $5, transaction_id = $6, failure_reason = $7,
             paid_at = $8, charging = $9, order_cancelled = $10, version = $11, updated_at = $12
         WHERE id = $1",
        payment.id.0,
        payment.refunded,
        payment.reserved,
        payment.status as Status,
        payment.method.as_deref(),
        payment.transaction_id.as_deref(),
        payment.failure_reason.as_deref(),
        payment.paid_at,
        payment.charging.map(|attempt| attempt.0),
        payment.order_cancelled,
        payment.version,
        payment.updated_at,
    )
    .execute(tx)
    .await?;
    Ok(())
}

/// Cancels at most `limit` payments whose window is over and that have no charge under way, and gives them. It is
/// [`Payment::cancelled`] for many rows in one statement. Rows that another holds are left to the next time.
pub async fn expire_in_tx(
    tx: &mut PgConnection,
    now: DateTime<Utc>,
    limit: i64,
) -> Result<Vec<Payment>, sqlx::Error> {
    let rows = payments!(
        "WITH due AS MATERIALIZED (
             SELECT id AS due_id
             FROM payments
             WHERE status = 'PENDING'
               AND charging IS NULL
               AND window_ends_at <= $1
             ORDER BY window_ends_at
             LIMIT $2
             FOR UPDATE SKIP LOCKED
         )
         UPDATE payments
         SET status = 'CANCELLED', version = version + 1, updated_at = $1
         FROM due
         WHERE id = due_id
         RETURNING",
        "",
        now,
        limit,
    )
    .fetch_all(tx)
    .await?;
    all(rows)
}
