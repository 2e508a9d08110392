//! `sslmode` in the URL of a database.

use std::time::Duration;

use runtime::{
    migrate::{Failure, Schema, up},
    postgres::{Database, Place, Pool},
};
use testkit::Authority;
use tokio::time::Instant;

use crate::backends::{World, at, port_of};

async fn migrate(url: String) -> Result<Schema, Failure> {
    up(&url.into(), &order::MIGRATOR, Duration::from_secs(60), |word| panic!("it waits: {word}")).await
}

#[tokio::test]
async fn a_database_is_used_whose_certificate_is_trusted_and_has_its_name_and_no_other_is() {
    let world = World::new().await;
    let postgres = world.postgres().await;
    let url = &postgres.urls().order;
    let port = port_of(url);
    let full = |host: &str, ca: &str| {
        format!("{}?sslmode=verify-full&sslrootcert={ca}", at("postgres", url, &format!("{host}:{port}")))
    };
    migrate(full("localhost", &world.ca())).await.unwrap();
    let pool = Pool::open(&full("localhost", &world.ca()).into(), 1, "order").unwrap();
    let by_tls: bool = sqlx::query_scalar("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()")
        .fetch_one(&mut *pool.acquire().await.unwrap())
        .await
        .unwrap();
    assert!(by_tls);

    let stranger = Authority::new();
    let begun = Instant::now();
    for (what, url) in [
        ("another authority", full("localhost", &stranger.certificate().display().to_string())),
        ("another name", full("127.0.0.1", &world.ca())),
    ] {
        let refused = migrate(url.clone()).await.unwrap_err();
        assert!(matches!(refused, Failure::Refused { .. }), "{what}: {refused}");
        let place = Place { url: &url.into(), connections: 1, replica: None, read_connections: 1 };
        let database = Database::at(place, ["order", "order read", "order replica"]).unwrap();
        let (ready, lines) = runtime::admin::readiness(&[database.check(&order::MIGRATOR)]).await;
        assert!(!ready && lines.contains("its certificate is not trusted"), "{what}: {lines}");
    }
    assert!(begun.elapsed() < Duration::from_secs(30), "waiting can't help there");
    pool.raw().close().await;
    world.end(Some(postgres), None).await;
}

#[tokio::test]
async fn a_database_without_tls_and_an_authority_that_is_none_are_refused() {
    let database = testkit::Database::new("order").await;
    let plain = migrate(format!("{}?sslmode=verify-full", database.url())).await.unwrap_err();
    assert!(plain.to_string().contains("does not support TLS"), "{plain}");
    let missing = format!("{}?sslmode=verify-full&sslrootcert=/there/is/none.pem", database.url());
    let refused = migrate(missing.clone()).await.unwrap_err().to_string();
    let told = "sslrootcert in the database's URL has a bad value: can't read /there/is/none.pem: ";
    assert!(refused.starts_with(told), "{refused}");
    let refused = Pool::open(&missing.into(), 1, "order").unwrap_err().to_string();
    assert!(refused.contains(told), "{refused}");
}
