//! The data set in the services' databases, written at once and not through the services, which would take minutes.

use anyhow::{Context, Result};
use chrono::{DateTime, Utc};
use pbjson_types::Timestamp;
use proto::{common::v1::Money, order::v1::Order, payment::v1::Payment, user::v1::User};
use sqlx::{Connection, PgConnection};
use uuid::Uuid;

use crate::{dataset::Dataset, up::Up};

/// Writes `data`, and for each user a session whose refresh token has the bytes `refresh`. The databases are migrated
/// and hold none of it yet.
///
/// # Errors
/// When they can't be reached, or hold it already.
pub(crate) async fn fill(up: &Up, data: &Dataset, refresh: &[[u8; 32]]) -> Result<()> {
    let mut users = PgConnection::connect(up.database("user")?).await?;
    insert_users(&mut users, &data.users).await?;
    insert_sessions(&mut users, &data.users, refresh).await?;
    finish(users).await?;
    let mut orders = PgConnection::connect(up.database("order")?).await?;
    insert_products(&mut orders, data).await?;
    let all: Vec<_> = data.orders.iter().flatten().collect();
    insert_orders(&mut orders, &all).await?;
    insert_items(&mut orders, &all).await?;
    finish(orders).await?;
    let mut payments = PgConnection::connect(up.database("payment")?).await?;
    insert_payments(&mut payments, &data.payments.values().collect::<Vec<_>>()).await?;
    finish(payments).await
}

/// So that the first queries are planned as all later ones.
async fn finish(mut connection: PgConnection) -> Result<()> {
    sqlx::raw_sql("VACUUM ANALYZE").execute(&mut connection).await?;
    Ok(connection.close().await?)
}

/// Their password is no hash: nobody logs in, since each has a session.
async fn insert_users(connection: &mut PgConnection, users: &[User]) -> Result<()> {
    sqlx::query(
        "INSERT INTO users (id, email, password_hash, first_name, last_name, role, active, version, created_at, updated_at)
         SELECT id, email, '-', first_name, last_name, 'CUSTOMER', true, 1, created_at, created_at
         FROM UNNEST($1::uuid[], $2::text[], $3::text[], $4::text[], $5::timestamptz[])
              AS one (id, email, first_name, last_name, created_at)",
    )
    .bind(ids(users.iter().map(|user| &user.id))?)
    .bind(users.iter().map(|user| user.email.as_str()).collect::<Vec<_>>())
    .bind(users.iter().map(|user| user.first_name.as_str()).collect::<Vec<_>>())
    .bind(users.iter().map(|user| user.last_name.as_str()).collect::<Vec<_>>())
    .bind(times(users.iter().map(|user| user.created_at.as_ref()))?)
    .execute(connection)
    .await?;
    Ok(())
}

async fn insert_sessions(connection: &mut PgConnection, users: &[User], refresh: &[[u8; 32]]) -> Result<()> {
    sqlx::query(
        "WITH one AS (
             SELECT * FROM UNNEST($1::uuid[], $2::bytea[]) AS one (user_id, token)
         ), session AS (
             INSERT INTO sessions (id, user_id, created_at, last_used_at, version)
             SELECT user_id, user_id, $3, $3, 1 FROM one
         )
         INSERT INTO refresh_tokens (hash, session_id, created_at)
         SELECT sha256(token), user_id, $3 FROM one",
    )
    .bind(ids(users.iter().map(|user| &user.id))?)
    .bind(refresh.iter().map(<[u8; 32]>::as_slice).collect::<Vec<_>>())
    .bind(Utc::now())
    .execute(connection)
    .await?;
    Ok(())
}

/// Writes the products, unless they are there.
///
/// # Errors
/// When the database fails.
pub(crate) async fn insert_products(connection: &mut PgConnection, data: &Dataset) -> Result<()> {
    sqlx::query(
        "INSERT INTO products (id, name, unit_price, currency, active, created_at, updated_at)
         SELECT id, name, unit_price, 'USD', true, $4, $4
         FROM UNNEST($1::text[], $2::text[], $3::bigint[]) AS one (id, name, unit_price)
         ON CONFLICT DO NOTHING",
    )
    .bind(data.products.iter().map(|product| product.id.as_str()).collect::<Vec<_>>())
    .bind(data.products.iter().map(|product| product.name.as_str()).collect::<Vec<_>>())
    .bind(amounts(data.products.iter().map(|product| product.unit_price.as_ref())))
    .bind(Utc::now())
    .execute(connection)
    .await?;
    Ok(())
}

async fn insert_orders(connection: &mut PgConnection, orders: &[&Order]) -> Result<()> {
    let status = |order: &&Order| order.status().as_str_name().trim_start_matches("ORDER_STATUS_");
    sqlx::query(
        "INSERT INTO orders (id, user_id, status, total, currency, shipping_address, notes, version, created_at, updated_at)
         SELECT id, user_id, status, total, 'USD', address, '', 1, created_at, created_at
         FROM UNNEST($1::uuid[], $2::uuid[], $3::text[], $4::bigint[], $5::text[], $6::timestamptz[])
              AS one (id, user_id, status, total, address, created_at)",
    )
    .bind(ids(orders.iter().map(|order| &order.id))?)
    .bind(ids(orders.iter().map(|order| &order.user_id))?)
    .bind(orders.iter().map(status).collect::<Vec<_>>())
    .bind(amounts(orders.iter().map(|order| order.total.as_ref())))
    .bind(orders.iter().map(|order| order.shipping_address.as_str()).collect::<Vec<_>>())
    .bind(times(orders.iter().map(|order| order.created_at.as_ref()))?)
    .execute(connection)
    .await?;
    Ok(())
}

async fn insert_items(connection: &mut PgConnection, orders: &[&Order]) -> Result<()> {
    let lines = || orders.iter().flat_map(|order| order.items.iter().map(|item| (&order.id, item)));
    let positions: Vec<i16> =
        orders.iter().flat_map(|order| order.items.iter().zip(1..).map(|(_, n)| n)).collect();
    sqlx::query(
        "INSERT INTO order_items (order_id, position, product_id, product_name, quantity, unit_price)
         SELECT * FROM UNNEST($1::uuid[], $2::smallint[], $3::text[], $4::text[], $5::integer[], $6::bigint[])",
    )
    .bind(ids(lines().map(|(order, _)| order))?)
    .bind(positions)
    .bind(lines().map(|(_, item)| item.product_id.as_str()).collect::<Vec<_>>())
    .bind(lines().map(|(_, item)| item.product_name.as_str()).collect::<Vec<_>>())
    .bind(lines().map(|(_, item)| item.quantity).collect::<Vec<_>>())
    .bind(amounts(lines().map(|(_, item)| item.unit_price.as_ref())))
    .execute(connection)
    .await?;
    Ok(())
}

/// Those that are not paid can be for a day, so that none expires meanwhile.
async fn insert_payments(connection: &mut PgConnection, payments: &[&Payment]) -> Result<()> {
    let status = |payment: &&Payment| payment.status().as_str_name().trim_start_matches("PAYMENT_STATUS_");
    sqlx::query(
        "INSERT INTO payments (id, order_id, user_id, amount, refunded, reserved, currency, status, method,
                               transaction_id, paid_at, window_ends_at, order_cancelled, version, created_at, updated_at)
         SELECT id, order_id, user_id, amount, 0, 0, 'USD', status,
                CASE WHEN status = 'SUCCEEDED' THEN method END,
                CASE WHEN status = 'SUCCEEDED' THEN transaction_id END,
                CASE WHEN status = 'SUCCEEDED' THEN created_at END,
                $9, false, 1, created_at, created_at
         FROM UNNEST($1::uuid[], $2::uuid[], $3::uuid[], $4::bigint[], $5::text[], $6::text[], $7::text[],
                     $8::timestamptz[])
              AS one (id, order_id, user_id, amount, status, method, transaction_id, created_at)",
    )
    .bind(ids(payments.iter().map(|payment| &payment.id))?)
    .bind(ids(payments.iter().map(|payment| &payment.order_id))?)
    .bind(ids(payments.iter().map(|payment| &payment.user_id))?)
    .bind(amounts(payments.iter().map(|payment| payment.amount.as_ref())))
    .bind(payments.iter().map(status).collect::<Vec<_>>())
    .bind(payments.iter().map(|payment| payment.method.as_str()).collect::<Vec<_>>())
    .bind(payments.iter().map(|payment| payment.transaction_id.as_str()).collect::<Vec<_>>())
    .bind(times(payments.iter().map(|payment| payment.created_at.as_ref()))?)
    .bind(Utc::now() + chrono::TimeDelta::days(1))
    .execute(connection)
    .await?;
    Ok(())
}

fn ids<'a>(texts: impl Iterator<Item = &'a String>) -> Result<Vec<Uuid>> {
    Ok(texts.map(|text| text.parse()).collect::<Result<_, _>>()?)
}

fn amounts<'a>(all: impl Iterator<Item = Option<&'a Money>>) -> Vec<i64> {
    all.map(|money| money.map_or(0, |money| money.minor_units)).collect()
}

fn times<'a>(all: impl Iterator<Item = Option<&'a Timestamp>>) -> Result<Vec<DateTime<Utc>>> {
    let read = |time: Option<&Timestamp>| DateTime::from_timestamp(time?.seconds, 0);
    all.map(|time| read(time).context("a time is missing from the data")).collect()
}
