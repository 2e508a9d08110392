//! All SQL of products.

use chrono::{DateTime, Utc};
use money::Money;
use runtime::page::Page;
use sqlx::PgConnection;

use super::currency;
use crate::product::{Product, ProductDraft, ProductId};

struct ProductRow {
    id: String,
    name: String,
    unit_price: i64,
    currency: String,
    active: bool,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

/// Those of these products that exist, withdrawn ones included.
pub(crate) async fn products(db: &mut PgConnection, ids: &[&str]) -> sqlx::Result<Vec<Product>> {
    let rows = sqlx::query_as!(
        ProductRow,
        "SELECT id, name, unit_price, currency, active, created_at, updated_at FROM products WHERE id = ANY($1)",
        ids as &[&str]
    );
    entities(rows.fetch_all(db).await?)
}

/// A page of the catalogue, by id.
pub(crate) async fn page_of_products(
    db: &mut PgConnection,
    withdrawn_too: bool,
    page: &Page<ProductId>,
) -> sqlx::Result<Vec<Product>> {
    let rows = sqlx::query_as!(
        ProductRow,
        "SELECT id, name, unit_price, currency, active, created_at, updated_at
         FROM products
         WHERE id > $1 AND (active OR $2)
         ORDER BY id
         LIMIT $3",
        page.after.as_ref().map_or("", ProductId::as_str),
        withdrawn_too,
        page.fetch()
    );
    entities(rows.fetch_all(db).await?)
}

/// How many products the catalogue has.
pub(crate) async fn count_products(db: &mut PgConnection, withdrawn_too: bool) -> sqlx::Result<i64> {
    sqlx::query_scalar!(r#"SELECT count(*) AS "count!" FROM products WHERE active OR $1"#, withdrawn_too)
        .fetch_one(db)
        .await
}

/// Makes a product, or changes the one that has this id.
pub(crate) async fn upsert_product(
    db: &mut PgConnection,
    draft: &ProductDraft,
    now: DateTime<Utc>,
) -> sqlx::Result<Product> {
    sqlx::query_as!(
        ProductRow,
        "INSERT INTO products (id, name, unit_price, currency, active, created_at, updated_at)
         VALUES ($1, $2, $3, $4, COALESCE($5, true), $6, $6)
         ON CONFLICT ON CONSTRAINT products_pkey DO UPDATE
         SET name = excluded.name, unit_price = excluded.unit_price, currency = excluded.currency,
             active = COALESCE($5, products.active), updated_at = excluded.updated_at
         RETURNING id, name, unit_price, currency, active, created_at, updated_at",
        draft.id.as_str(),
        draft.name,
        draft.unit_price.minor_units,
        draft.unit_price.currency.code(),
        draft.active,
        now
    )
    .fetch_one(db)
    .await?
    .try_into()
}

/// Makes those of these products that do not exist; the others stay as they are.
pub(crate) async fn insert_missing_products(
    db: &mut PgConnection,
    drafts: &[ProductDraft],
    now: DateTime<Utc>,
) -> sqlx::Result<()> {
    let ids: Vec<_> = drafts.iter().map(|draft| draft.id.as_str()).collect();
    let names: Vec<_> = drafts.iter().map(|draft| draft.name.as_str()).collect();
    let unit_prices: Vec<_> = drafts.iter().map(|draft| draft.unit_price.minor_units).collect();
    let currencies: Vec<_> = drafts.iter().map(|draft| draft.unit_price.currency.code()).collect();
    let active: Vec<_> = drafts.iter().map(|draft| draft.active.unwrap_or(true)).collect();
    sqlx::query!(
        "INSERT INTO products (id, name, unit_price, currency, active, created_at, updated_at)
         SELECT seed.*, $6, $6
         FROM UNNEST($1::text[], $2::text[], $3::bigint[], $4::text[], $5::boolean[]) AS seed
         ON CONFLICT ON CONSTRAINT products_pkey DO NOTHING",
        &ids as &[&str],
        &names as &[&str],
        &unit_prices,
        &currencies as &[&str],
        &active,
        now
    )
    .execute(db)
    .await?;
    Ok(())
}

fn entities(rows: Vec<ProductRow>) -> sqlx::Result<Vec<Product>> {
    rows.into_iter().map(Product::try_from).collect()
}

impl TryFrom<ProductRow> for Product {
    type Error = sqlx::Error;

    fn try_from(row: ProductRow) -> sqlx::Result<Self> {
        Ok(Self {
            id: ProductId::stored(row.id),
            name: row.name,
            unit_price: Money::new(row.unit_price, currency(&row.currency)?),
            active: row.active,
            created_at: row.created_at,
            updated_at: row.updated_at,
        })
    }
}
