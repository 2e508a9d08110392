//! The service as a process: when it is ready, how it stops, and what it does beside the requests.

use std::time::Duration;

use order::{App, Config};
use proto::order::v1::CreateOrderRequest;
use runtime::{Clock, Stop};
use testkit::{Tokens, until};

use crate::support::{World, create_request};

fn app(arguments: &[&str]) -> App {
    let clock = Clock::system();
    let nowhere =
        ["order", "--database-url", "postgres://127.0.0.1:1/none", "--user-grpc-url", "http://127.0.0.1:1"];
    let config: Config = runtime::config::parse(nowhere.iter().chain(arguments)).unwrap();
    App::build(config, Tokens::new().sessions(&clock), clock).unwrap()
}

#[tokio::test]
async fn the_service_is_ready_when_its_database_is_migrated_and_not_before() {
    let world = World::new().await;
    let (ready, lines) = runtime::admin::readiness(&world.app.checks()).await;
    assert!(ready, "{lines}");
    let mut versions: Vec<_> = order::MIGRATOR.iter().map(|migration| migration.version).collect();
    versions.dedup();
    order::MIGRATOR.undo(world.database.pool(), versions[versions.len() - 2]).await.unwrap();
    let (ready, lines) = runtime::admin::readiness(&world.app.checks()).await;
    assert!(!ready && lines.contains("database: 1 migrations missing"), "{lines}");
}

#[tokio::test]
async fn a_process_starts_and_stops_with_nothing_around_it() {
    let stop = Stop::new();
    let running =
        tokio::spawn(app(&["--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"]).run(stop.clone()));
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert!(!running.is_finished(), "it waits for its database and the user service");
    stop.cancel();
    tokio::time::timeout(Duration::from_secs(15), running).await.expect("it stops in time").unwrap().unwrap();
}

#[tokio::test]
async fn a_taken_port_is_named() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let error =
        app(&["--listen", &address, "--admin-listen", "127.0.0.1:0"]).run(Stop::new()).await.unwrap_err();
    assert!(error.to_string().contains(&address), "{error}");
}

#[tokio::test]
async fn idempotency_keys_are_deleted_when_their_day_is_over() {
    let world = World::new().await;
    let buyer = world.tokens.customer();
    let with_key =
        |key: &str| CreateOrderRequest { idempotency_key: key.into(), ..create_request(&[("prod-1", 1)]) };
    world.create(&buyer, with_key("old")).await.unwrap();
    world.clock.advance(Duration::from_secs(10 * 60));
    world.create(&buyer, with_key("new")).await.unwrap();
    world.clock.advance(Duration::from_secs(24 * 60 * 60 - 10 * 60));

    let stop = Stop::new();
    let pruned = async {
        until("the old key is gone", || async {
            let kept: Vec<String> = sqlx::query_scalar("SELECT key FROM idempotency")
                .fetch_all(world.database.pool())
                .await
                .unwrap();
            kept == ["new"]
        })
        .await;
        stop.cancel();
    };
    let (ended, ()) = tokio::join!(world.app.background(stop.clone()), pruned);
    ended.unwrap();
}
