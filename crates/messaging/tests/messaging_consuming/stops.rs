//! A consumer that stops finishes what it is at, and leaves the rest to others.

use std::{sync::Arc, time::Duration};

use testkit::until;

use crate::world::{World, event};

#[tokio::test]
async fn what_is_being_handled_at_the_stop_is_finished() {
    let world = World::new().await;
    let consumer = Arc::new(world.consumer("orders").taking(Duration::from_millis(500)));
    let running = world.consume(vec![consumer.clone()]).await;
    for _ in 0..50 {
        world.publish("order.created", event().to_string()).await;
    }
    until("some are being handled", async || consumer.calls() >= 4).await;

    running.stop().await;

    let effects = i64::try_from(consumer.calls()).unwrap();
    world.until_effects("orders", effects).await;
    let rest = 50 - u32::try_from(effects).unwrap();
    until("the others go back", async || world.ready("orders").await == Some(rest)).await;
}

#[tokio::test]
async fn a_consumer_stops_while_its_database_is_away() {
    let world = World::new().await;
    let consumer = Arc::new(world.consumer("orders"));
    let running = world.consume(vec![consumer.clone()]).await;
    sqlx::query("ALTER TABLE inbox RENAME TO away").execute(world.pool()).await.unwrap();
    world.publish("order.created", event().to_string()).await;
    until("it is held", async || world.ready("orders").await == Some(0)).await;

    running.stop().await;

    until("it goes back", async || world.ready("orders").await == Some(1)).await;
    assert_eq!(consumer.calls(), 0);
}

#[tokio::test]
async fn a_database_that_goes_away_while_an_event_is_handled_fails_no_try() {
    let world = World::new().await;
    let consumer = Arc::new(world.consumer("orders").taking(Duration::from_millis(300)));
    let _running = world.consume(vec![consumer.clone()]).await;
    world.publish("order.created", event().to_string()).await;

    // More often than a failing event is tried.
    for _ in 0..6 {
        until("it is cut off", async || cut_off(&world).await == 1).await;
    }

    world.until_effects("orders", 1).await;
    world.until_dead("orders", 0).await;
}

/// Ends the database's connections in which an event is being handled; answers how many.
async fn cut_off(world: &World) -> i64 {
    sqlx::query_scalar(
        "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
         WHERE datname = current_database() AND state = 'idle in transaction'",
    )
    .fetch_one(world.pool())
    .await
    .unwrap()
}
