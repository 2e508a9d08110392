//! A consumer that ends, in whatever way, loses nothing.

use std::{sync::Arc, time::Duration};
use testkit::until;

use crate::world::{World, events};

on_both_brokers![
    consumers_that_are_stopped_and_started_lose_nothing,
    consumers_that_die_lose_nothing,
    what_is_told_while_no_consumer_runs_waits_for_one,
];

async fn consumers_that_are_stopped_and_started_lose_nothing(world: World) {
    let slow = || Arc::new(world.consumer("orders").taking(Duration::from_millis(10)));
    let service = world.serve(vec![slow()]);
    world.say(&events(100)).await;
    until("some are handled", async || handled(&world).await >= 10).await;
    service.stop().await;
    assert!(handled(&world).await < 100, "it ended too late to tell");

    let service = world.serve(vec![slow()]);
    until("more are handled", async || handled(&world).await >= 50).await;
    service.stop().await;
    let _service = world.serve(vec![slow()]);

    world.until_effects("orders", 100).await;
    assert_eq!(world.dead_letters_of("orders").await, []);
}

async fn consumers_that_die_lose_nothing(world: World) {
    let slow = || Arc::new(world.consumer("orders").taking(Duration::from_millis(10)));
    world.say(&events(100)).await;
    for enough in [10, 30, 50] {
        let service = world.serve(vec![slow()]);
        until("some are handled", async || handled(&world).await >= enough).await;
        drop(service);
    }
    assert!(handled(&world).await < 100, "it ended too late to tell");
    let _service = world.serve(vec![slow()]);

    world.until_effects("orders", 100).await;
    assert_eq!(world.dead_letters_of("orders").await, []);
}

async fn what_is_told_while_no_consumer_runs_waits_for_one(world: World) {
    world.serve(vec![Arc::new(world.consumer("orders"))]).stop().await;

    world.say(&events(10)).await;

    let _service = world.serve(vec![Arc::new(world.consumer("orders"))]);
    world.until_effects("orders", 10).await;
}

async fn handled(world: &World) -> i64 {
    crate::recorder::effects(world.pool(), "orders").await.0
}
