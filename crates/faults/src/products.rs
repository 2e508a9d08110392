//! What can be ordered, and what it costs: known beforehand, so that every amount can be compared with what it must be.

use anyhow::Result;
use sqlx::{Connection, PgConnection};

/// Ids, and prices in cents.
pub(crate) const PRODUCTS: [(&str, i64); 4] =
    [("prod-1", 99_999), ("prod-2", 2_999), ("prod-3", 7_950), ("prod-4", 1)];

/// Puts them into the order service's database.
///
/// # Errors
/// When the database fails.
pub(crate) async fn stock(database: &str) -> Result<()> {
    let mut connection = PgConnection::connect(database).await?;
    let (ids, prices): (Vec<_>, Vec<_>) = PRODUCTS.into_iter().unzip();
    sqlx::query(
        "INSERT INTO products (id, name, unit_price, currency, active, created_at, updated_at)
         SELECT id, id, price, 'USD', true, now(), now()
         FROM UNNEST($1::text[], $2::bigint[]) AS stock (id, price)",
    )
    .bind(ids)
    .bind(prices)
    .execute(&mut connection)
    .await?;
    Ok(connection.close().await?)
}

/// What lines of product and quantity cost, in cents.
pub(crate) fn total(lines: &[(usize, i64)]) -> i64 {
    lines.iter().map(|(product, quantity)| PRODUCTS[*product].1 * quantity).sum()
}

/// Cents as the graph writes them: `1999.98`.
pub(crate) fn decimal(cents: i64) -> String {
    format!("{}.{:02}", cents / 100, cents % 100)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_total_is_exact_to_the_cent() {
        assert_eq!(total(&[(0, 2), (3, 5)]), 200_003);
        assert_eq!(decimal(200_003), "2000.03");
        assert_eq!(decimal(5), "0.05");
    }
}
