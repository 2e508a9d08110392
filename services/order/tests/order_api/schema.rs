//! The database by itself: what its constraints hold, and that its migrations go both ways.

use sqlx::AssertSqlSafe;

use crate::support::World;

async fn violation(world: &World, statement: &'static str) -> Option<String> {
    let error = sqlx::raw_sql(AssertSqlSafe(statement)).execute(world.database.pool()).await.unwrap_err();
    runtime::postgres::violated_constraint(&error).map(str::to_owned)
}

#[tokio::test]
async fn the_schema_holds_the_invariants_even_against_the_service() {
    let world = World::new().await;
    world.order(&world.tokens.customer()).await;
    for (statement, constraint) in [
        ("UPDATE orders SET status = 'PAID'", "orders_status_known"),
        ("UPDATE orders SET total = -1", "orders_total_not_negative"),
        ("UPDATE orders SET deleted_at = now()", "orders_deleted_at_the_end"),
        ("UPDATE orders SET shipping_address = ''", "orders_shipping_address_length"),
        ("UPDATE orders SET currency = 'usd'", "orders_currency_shape"),
        ("UPDATE orders SET version = 0", "orders_version_positive"),
        ("UPDATE order_items SET quantity = 0", "order_items_quantity_range"),
        ("UPDATE order_items SET unit_price = -1", "order_items_unit_price_not_negative"),
        ("DELETE FROM orders", "order_items_order_fkey"),
        ("UPDATE products SET unit_price = -1", "products_unit_price_not_negative"),
        ("UPDATE products SET id = 'a b' WHERE id = 'prod-1'", "products_id_shape"),
    ] {
        assert_eq!(violation(&world, statement).await.as_deref(), Some(constraint), "{statement}");
    }
}

#[tokio::test]
async fn the_migrations_can_be_undone_and_made_again() {
    let world = World::new().await;
    let pool = world.database.pool();
    let tables = || async {
        let tables: Vec<String> = sqlx::query_scalar(
            "SELECT relname::text FROM pg_class WHERE relnamespace = 'public'::regnamespace ORDER BY relname",
        )
        .fetch_all(pool)
        .await
        .unwrap();
        tables
    };
    let before = tables().await;
    order::MIGRATOR.undo(pool, 0).await.unwrap();
    assert_eq!(tables().await, ["_sqlx_migrations", "_sqlx_migrations_pkey"]);
    order::MIGRATOR.run(pool).await.unwrap();
    assert_eq!(tables().await, before);
}
