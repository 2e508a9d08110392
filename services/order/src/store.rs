//! All SQL of orders: reads see no deleted order, and an owner narrows them to what is theirs. Each function is one
//! statement, however many rows. Those named `_in_tx` belong to a transaction of the caller's.
//!
//! A first page begins before the largest id, or after the smallest, and not after NULL: with `$1 IS NULL OR id < $1` the
//! kept plan of a prepared statement can't begin in the index.

mod products;

use chrono::{DateTime, Utc};
use identity::UserId;
use messaging::{Event, query_with_event};
use money::{Currency, Money};
use runtime::page::Page;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::{
    order::{Item, Order, OrderId, Status},
    product::ProductId,
};

pub(crate) use products::{
    count_products, insert_missing_products, page_of_products, products, upsert_product,
};

/// Which orders a list has.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct OrderFilter {
    /// Whose; `None` for everyone's.
    pub(crate) user: Option<UserId>,
    /// In which status; `None` for any.
    pub(crate) status: Option<Status>,
}

/// An order with its items column by column, as one row.
struct OrderRow {
    id: Uuid,
    user_id: Uuid,
    status: Status,
    total: i64,
    currency: String,
    shipping_address: String,
    notes: String,
    version: i64,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
    product_ids: Vec<String>,
    product_names: Vec<String>,
    quantities: Vec<i32>,
    unit_prices: Vec<i64>,
}

/// Reads whole orders, each with its items in one row. `$orders` is the statement that picks them; its limit applies
/// before any item is looked at. `$sequence` is the order in which they come.
macro_rules! select_orders {
    ($orders:literal, $sequence:literal, $($argument:expr),+) => {
        sqlx::query_as!(
            OrderRow,
            r#"SELECT o.id, o.user_id, o.status AS "status: Status", o.total, o.currency, o.shipping_address, o.notes,
                      o.version, o.created_at, o.updated_at, i.product_ids AS "product_ids!",
                      i.product_names AS "product_names!", i.quantities AS "quantities!",
                      i.unit_prices AS "unit_prices!"
               FROM ("# + $orders + r#") o
               CROSS JOIN LATERAL (
                   SELECT array_agg(product_id) AS product_ids, array_agg(product_name) AS product_names,
                          array_agg(quantity) AS quantities, array_agg(unit_price) AS unit_prices
                   FROM (SELECT * FROM order_items WHERE order_id = o.id ORDER BY position) item
               ) i
               ORDER BY "# + $sequence,
            $($argument),+
        )
    };
}

/// One order of `owner`, or anyone's for `None`.
pub(crate) async fn order(
    db: &mut PgConnection,
    id: OrderId,
    owner: Option<UserId>,
) -> sqlx::Result<Option<Order>> {
    let row = select_orders!(
        "SELECT * FROM orders WHERE id = $1 AND deleted_at IS NULL AND ($2::uuid IS NULL OR user_id = $2)",
        "o.id",
        id.0,
        owner.map(|owner| owner.0)
    );
    row.fetch_optional(db).await?.map(Order::try_from).transpose()
}

/// As [`order`], and locks its row, so that nobody else changes it before the transaction ends.
pub(crate) async fn lock_order_in_tx(
    tx: &mut PgConnection,
    id: OrderId,
    owner: Option<UserId>,
) -> sqlx::Result<Option<Order>> {
    let row = select_orders!(
        "SELECT * FROM orders WHERE id = $1 AND deleted_at IS NULL AND ($2::uuid IS NULL OR user_id = $2) FOR UPDATE",
        "o.id",
        id.0,
        owner.map(|owner| owner.0)
    );
    row.fetch_optional(tx).await?.map(Order::try_from).transpose()
}

/// Those of these orders that exist and belong to `owner` (anyone for `None`).
pub(crate) async fn orders(
    db: &mut PgConnection,
    ids: &[OrderId],
    owner: Option<UserId>,
) -> sqlx::Result<Vec<Order>> {
    let ids: Vec<_> = ids.iter().map(|id| id.0).collect();
    let rows = select_orders!(
        "SELECT * FROM orders WHERE id = ANY($1) AND deleted_at IS NULL AND ($2::uuid IS NULL OR user_id = $2)",
        "o.id DESC",
        &ids,
        owner.map(|owner| owner.0)
    );
    entities(rows.fetch_all(db).await?)
}

/// A page of orders, newest first.
pub(crate) async fn page_of_orders(
    db: &mut PgConnection,
    filter: OrderFilter,
    page: &Page<OrderId>,
) -> sqlx::Result<Vec<Order>> {
    let before = page.after.map_or(Uuid::max(), |id| id.0);
    // A statement for each index: with one for all, the kept plan would use none of them.
    let rows = match (filter.user, filter.status) {
        (Some(user), status) => {
            select_orders!(
                "SELECT * FROM orders
                 WHERE user_id = $1 AND id < $2 AND ($3::text IS NULL OR status = $3) AND deleted_at IS NULL
                 ORDER BY id DESC
                 LIMIT $4",
                "o.id DESC",
                user.0,
                before,
                status as Option<Status>,
                page.fetch()
            )
            .fetch_all(db)
            .await?
        }
        (None, Some(status)) => {
            select_orders!(
                "SELECT * FROM orders
                 WHERE status = $1 AND id < $2 AND deleted_at IS NULL
                 ORDER BY id DESC
                 LIMIT $3",
                "o.id DESC",
                status as Status,
                before,
                page.fetch()
            )
            .fetch_all(db)
            .await?
        }
        (None, None) => {
            select_orders!(
                "SELECT * FROM orders WHERE id < $1 AND deleted_at IS NULL ORDER BY id DESC LIMIT $2",
                "o.id DESC",
                before,
                page.fetch()
            )
            .fetch_all(db)
            .await?
        }
    };
    entities(rows)
}

/// How many orders the list has.
pub(crate) async fn count_orders(db: &mut PgConnection, filter: OrderFilter) -> sqlx::Result<i64> {
    match filter.user {
        Some(user) => {
            sqlx::query_scalar!(
                r#"SELECT count(*) AS "count!" FROM orders
                   WHERE user_id = $1 AND ($2::text IS NULL OR status = $2) AND deleted_at IS NULL"#,
                user.0,
                filter.status as Option<Status>
            )
            .fetch_one(db)
            .await
        }
        None => {
            sqlx::query_scalar!(
                r#"SELECT count(*) AS "count!" FROM orders
                   WHERE ($1::text IS NULL OR status = $1) AND deleted_at IS NULL"#,
                filter.status as Option<Status>
            )
            .fetch_one(db)
            .await
        }
    }
}

/// The newest `limit` orders of each of these users, grouped by user, newest first. `users` holds none twice.
pub(crate) async fn newest_orders_of_each(
    db: &mut PgConnection,
    users: &[UserId],
    limit: i64,
) -> sqlx::Result<Vec<Order>> {
    let users: Vec<_> = users.iter().map(|user| user.0).collect();
    let rows = select_orders!(
        "SELECT newest.*
         FROM UNNEST($1::uuid[]) AS buyer (id)
         CROSS JOIN LATERAL (
             SELECT * FROM orders WHERE user_id = buyer.id AND deleted_at IS NULL ORDER BY id DESC LIMIT $2
         ) newest",
        "o.user_id, o.id DESC",
        &users,
        limit
    );
    entities(rows.fetch_all(db).await?)
}

/// Writes a new order, its items, and the event that tells of it: all of them or none.
pub(crate) async fn insert_order(db: &mut PgConnection, order: &Order, created: &Event) -> sqlx::Result<()> {
    let product_ids: Vec<_> = order.items.iter().map(|item| item.product_id.as_str()).collect();
    let product_names: Vec<_> = order.items.iter().map(|item| item.product_name.as_str()).collect();
    let quantities: Vec<_> = order.items.iter().map(|item| item.quantity).collect();
    let unit_prices: Vec<_> = order.items.iter().map(|item| item.unit_price.minor_units).collect();
    query_with_event!(
        created,
        "placed AS (
             INSERT INTO orders (id, user_id, status, total, currency, shipping_address, notes, version, created_at,
                                 updated_at)
             VALUES ($8, $9, $10, $11, $12, $13, $14, $15, $16, $17)
         )
         INSERT INTO order_items (order_id, position, product_id, product_name, quantity, unit_price)
         SELECT $8, item.position, item.product_id, item.product_name, item.quantity, item.unit_price
         FROM UNNEST($18::text[], $19::text[], $20::integer[], $21::bigint[])
              WITH ORDINALITY AS item (product_id, product_name, quantity, unit_price, position)",
        order.id.0,
        order.user_id.0,
        order.status as Status,
        order.total.minor_units,
        order.total.currency.code(),
        order.shipping_address,
        order.notes,
        order.version,
        order.created_at,
        order.updated_at,
        &product_ids as &[&str],
        &product_names as &[&str],
        &quantities,
        &unit_prices
    )
    .execute(db)
    .await?;
    Ok(())
}

/// Writes the status of an order whose row the caller has locked.
pub(crate) async fn update_status_in_tx(tx: &mut PgConnection, order: &Order) -> sqlx::Result<()> {
    sqlx::query!(
        "UPDATE orders SET status = $2, version = $3, updated_at = $4 WHERE id = $1",
        order.id.0,
        order.status as Status,
        order.version,
        order.updated_at
    )
    .execute(tx)
    .await?;
    Ok(())
}

/// Deletes an order whose row the caller has locked: it stays in the table, and no read sees it any more.
pub(crate) async fn delete_order_in_tx(tx: &mut PgConnection, order: &Order) -> sqlx::Result<()> {
    sqlx::query!(
        "UPDATE orders SET deleted_at = $3, version = $2, updated_at = $3 WHERE id = $1",
        order.id.0,
        order.version,
        order.updated_at
    )
    .execute(tx)
    .await?;
    Ok(())
}

fn entities(rows: Vec<OrderRow>) -> sqlx::Result<Vec<Order>> {
    rows.into_iter().map(Order::try_from).collect()
}

impl TryFrom<OrderRow> for Order {
    type Error = sqlx::Error;

    fn try_from(row: OrderRow) -> sqlx::Result<Self> {
        let currency = currency(&row.currency)?;
        let names_and_numbers =
            row.product_names.into_iter().zip(row.quantities.into_iter().zip(row.unit_prices));
        let item = |(product_id, (product_name, (quantity, unit_price)))| Item {
            product_id: ProductId::stored(product_id),
            product_name,
            quantity,
            unit_price: Money::new(unit_price, currency),
        };
        Ok(Self {
            id: OrderId(row.id),
            user_id: UserId(row.user_id),
            status: row.status,
            total: Money::new(row.total, currency),
            shipping_address: row.shipping_address,
            notes: row.notes,
            items: row.product_ids.into_iter().zip(names_and_numbers).map(item).collect(),
            version: row.version,
            created_at: row.created_at,
            updated_at: row.updated_at,
        })
    }
}

/// The currency of a row. Only codes that were known are written, so another one is a fault.
fn currency(code: &str) -> sqlx::Result<Currency> {
    Currency::from_code(code).ok_or_else(|| sqlx::Error::Decode("a row holds a currency that is none".into()))
}
