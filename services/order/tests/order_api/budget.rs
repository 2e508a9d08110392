//! The end of a call: its statements end with it, whether its time is over or its caller went away. And no more calls are
//! taken at once than there is room for.

use std::time::Duration;

use proto::order::v1::{CancelOrderRequest, GetOrderRequest};
use runtime::Kind;
use testkit::until;
use tokio::time::{Instant, timeout};
use tonic::Code;

use crate::support::{Client, World};

/// Waits until so many of the service's statements run.
async fn until_running(world: &World, count: i64) {
    until("as many statements run", async || {
        let running: i64 = sqlx::query_scalar(
            "SELECT count(*) FROM pg_stat_activity
             WHERE datname = current_database() AND application_name LIKE 'order%' AND state <> 'idle'",
        )
        .fetch_one(world.database.pool())
        .await
        .unwrap();
        running == count
    })
    .await;
}

#[tokio::test]
async fn a_statement_ends_with_the_time_of_its_call() {
    let world = World::new().await;
    let buyer = world.tokens.customer();
    let order = world.order(&buyer).await;
    let mut door = world.database.pool().begin().await.unwrap();
    sqlx::query("LOCK TABLE orders").execute(&mut *door).await.unwrap();
    until_running(&world, 0).await;
    for (way, mut client) in world.ways() {
        let mut read = buyer.request(GetOrderRequest { id: order.id.clone() });
        let mut change = buyer.request(CancelOrderRequest { id: order.id.clone() });
        read.set_timeout(Duration::from_millis(400));
        change.set_timeout(Duration::from_millis(400));
        let mut other = client.clone();
        let (read, change) = tokio::join!(client.get_order(read), other.cancel_order(change));
        for refused in [read.err(), change.err()] {
            assert_eq!(testkit::refusal(&refused.unwrap()).kind, Kind::Timeout, "{way}");
        }
        // The lock is still held: nothing else ends what waits for it.
        let begun = Instant::now();
        until_running(&world, 0).await;
        assert!(begun.elapsed() < Duration::from_secs(4), "the database's own limit ended it");
    }
    door.rollback().await.unwrap();
    world.get(&buyer, &order.id).await.unwrap();
}

#[tokio::test]
async fn a_statement_ends_when_its_caller_goes_away() {
    let world = World::new().await;
    let buyer = world.tokens.customer();
    let order = world.order(&buyer).await;
    let mut door = world.database.pool().begin().await.unwrap();
    sqlx::query("LOCK TABLE orders").execute(&mut *door).await.unwrap();
    for (_, mut client) in world.ways() {
        let call = client.get_order(buyer.request(GetOrderRequest { id: order.id.clone() }));
        let waits = async {
            until_running(&world, 1).await;
        };
        tokio::select! {
            answer = call => panic!("{answer:?}"),
            () = waits => {}
        }
        let begun = Instant::now();
        until_running(&world, 0).await;
        assert!(begun.elapsed() < Duration::from_secs(4), "the database's own limit ended it");
    }
}

#[tokio::test]
async fn no_more_calls_are_taken_than_there_is_room_for_and_health_stays() {
    let world = World::with(&["--grpc-concurrency", "2"]).await;
    let buyer = world.tokens.customer();
    let order = world.order(&buyer).await;
    let get = |client: &Client| {
        let (mut client, mut request) =
            (client.clone(), buyer.request(GetOrderRequest { id: order.id.clone() }));
        request.set_timeout(Duration::from_secs(20));
        async move { client.get_order(request).await }
    };
    let mut door = world.database.pool().begin().await.unwrap();
    sqlx::query("LOCK TABLE orders").execute(&mut *door).await.unwrap();
    for (way, client) in world.ways() {
        let waiting = [tokio::spawn(get(&client)), tokio::spawn(get(&client))];
        until_running(&world, 2).await;
        let refused = timeout(Duration::from_secs(1), get(&client)).await.expect("at once").unwrap_err();
        assert_eq!(refused.code(), Code::ResourceExhausted, "{way}");
        let refusal = testkit::refusal(&refused);
        assert_eq!((refusal.kind, refusal.reason.as_ref()), (Kind::Unavailable, "OVERLOADED"), "{way}");
        assert_eq!(refusal.retry_after, Some(Duration::from_secs(1)), "{way}");
        waiting.iter().for_each(|call| call.abort());
        until_running(&world, 0).await;
    }
    let (ready, lines) = runtime::admin::readiness(&world.app.checks()).await;
    assert!(ready, "{lines}");
    door.rollback().await.unwrap();
    get(&world.client).await.unwrap();
}

#[tokio::test]
async fn a_call_that_finds_all_connections_taken_is_refused_before_its_time_is_over() {
    let world = World::with(&["--read-database-connections", "1"]).await;
    let buyer = world.tokens.customer();
    let order = world.order(&buyer).await;
    let mut door = world.database.pool().begin().await.unwrap();
    sqlx::query("LOCK TABLE orders").execute(&mut *door).await.unwrap();
    let mut client = world.client.clone();
    let request = buyer.request(GetOrderRequest { id: order.id.clone() });
    let waiting = tokio::spawn(async move { client.get_order(request).await });
    until_running(&world, 1).await;
    let refused = world.get(&buyer, &order.id).await.unwrap_err();
    let refusal = testkit::refusal(&refused);
    assert_eq!(refusal.reason, "OVERLOADED", "{refused:?}");
    // Changes have connections of their own.
    world.product("prod-9", "Chair", 100, "USD", true).await;
    waiting.abort();
}
