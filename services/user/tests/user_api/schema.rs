//! The migrations.

use testkit::Database;
use user::MIGRATOR;

#[tokio::test]
async fn the_migrations_go_down_to_nothing_and_up_again() {
    let database = Database::new("user").await;
    let tables = async || {
        sqlx::query_scalar::<_, String>(
            "SELECT tablename::text FROM pg_tables WHERE schemaname = 'public' ORDER BY tablename",
        )
        .fetch_all(database.pool())
        .await
        .unwrap()
    };
    let before = tables().await;
    assert!(before.contains(&"refresh_tokens".to_owned()));
    MIGRATOR.undo(database.pool(), 0).await.unwrap();
    assert_eq!(tables().await, ["_sqlx_migrations"]);
    MIGRATOR.run(database.pool()).await.unwrap();
    assert_eq!(tables().await, before);
}

#[tokio::test]
async fn the_schema_itself_refuses_what_breaks_its_rules() {
    let database = Database::new("user").await;
    let insert = async |email: &str, role: &str| {
        sqlx::query(
            "INSERT INTO users
                 (id, email, password_hash, first_name, last_name, role, active, version, created_at, updated_at)
             VALUES (gen_random_uuid(), $1, 'x', 'A', 'B', $2, true, 1, now(), now())",
        )
        .bind(email)
        .bind(role)
        .execute(database.pool())
        .await
        .map_err(|error| runtime::postgres::violated_constraint(&error).unwrap_or_default().to_owned())
    };
    insert("a@b.co", "CUSTOMER").await.unwrap();
    assert_eq!(insert("A@B.CO", "CUSTOMER").await.unwrap_err(), "users_email_unique");
    assert_eq!(insert("c@b.co", "ROOT").await.unwrap_err(), "users_role_known");
    assert_eq!(insert(&"x".repeat(255), "CUSTOMER").await.unwrap_err(), "users_email_length");
}
