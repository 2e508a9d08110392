//! When the relay looks, and what it measures.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use messaging::{Bus, Failure, Outbox, relay};
use runtime::Stop;
use testkit::until;
use uuid::Uuid;

use crate::world::{World, event};

#[tokio::test]
async fn a_woken_relay_tells_far_quicker_than_it_polls() {
    let world = World::new().await;
    let _relay = world.run(&Bus::new(vec![Arc::new(world.consumer("orders"))]).into());
    world.say(&[event(Uuid::now_v7(), 1)]).await;
    until("the relay leads", async || world.waiting().await == 0).await;

    // Each follows right after a look, so that polling would take a second for each.
    let start = Instant::now();
    for _ in 0..10 {
        world.say(&[event(Uuid::now_v7(), 1)]).await;
        world.outbox.wake();
        until("the event is told", async || world.waiting().await == 0).await;
    }

    assert!(start.elapsed() < Duration::from_secs(4), "ten events took {:?}", start.elapsed());
}

#[tokio::test]
async fn a_relay_that_stands_by_passes_on_what_wakes_it() {
    let world = World::new().await;
    let consumer = Arc::new(world.consumer("orders"));
    let elsewhere = Outbox::new(world.pool().clone(), "order");
    let leader = relay::run(elsewhere, Bus::new(vec![consumer.clone()]).into(), Stop::new());
    let leader = tokio::spawn(leader);
    world.say(&[event(Uuid::now_v7(), 1)]).await;
    until("the other leads", async || world.waiting().await == 0).await;
    let listening = "SELECT count(*) FROM pg_stat_activity
                     WHERE datname = current_database() AND application_name = 'order relay listening'";
    until("it listens", async || world.count(listening).await == 1).await;
    let _standby = world.run(&Bus::new(vec![]).into());
    let standing_by = "SELECT count(*) FROM pg_stat_activity
                       WHERE datname = current_database() AND application_name = 'order relay'";
    until("this one stands by", async || world.count(standing_by).await == 2).await;

    let start = Instant::now();
    for _ in 0..10 {
        world.say(&[event(Uuid::now_v7(), 1)]).await;
        world.outbox.wake();
        until("the event is told", async || world.waiting().await == 0).await;
    }

    assert!(start.elapsed() < Duration::from_secs(4), "ten events took {:?}", start.elapsed());
    assert_eq!(consumer.calls(), 11);
    leader.abort();
}

#[tokio::test]
async fn an_event_that_comes_while_its_aggregate_is_busy_is_told_right_after() {
    let world = World::new().await;
    let consumer = Arc::new(world.consumer("orders").taking(Duration::from_millis(50)));
    let _relay = world.run(&Bus::new(vec![consumer.clone()]).into());
    let order = Uuid::now_v7();

    let start = Instant::now();
    for round in 0..10 {
        let before = consumer.calls();
        world.say(&[event(order, 2 * round + 1)]).await;
        world.outbox.wake();
        until("the first is being handled", async || consumer.calls() > before).await;
        world.say(&[event(order, 2 * round + 2)]).await;
        world.outbox.wake();
        until("both are told", async || world.waiting().await == 0).await;
    }

    assert_eq!(world.effects_on(order).await, (1..=20).collect::<Vec<i64>>());
    assert!(start.elapsed() < Duration::from_secs(5), "ten pairs took {:?}", start.elapsed());
}

#[tokio::test]
async fn an_event_of_which_nobody_told_the_relay_is_found() {
    let world = World::new().await;
    let _relay = world.run(&Bus::new(vec![Arc::new(world.consumer("orders"))]).into());

    for _ in 0..3 {
        world.say(&[event(Uuid::now_v7(), 1)]).await;
        until("the event is told", async || world.waiting().await == 0).await;
    }
    assert_eq!(world.effects().await, 3);
}

#[tokio::test]
async fn what_waits_is_measured() {
    let world = World::new().await;
    let failing = world.consumer("orders").that(|_| Err(Failure::Retry("never".to_owned())));
    let mut old = event(Uuid::now_v7(), 1);
    old.time -= Duration::from_secs(3600);
    world.say(&[old, event(Uuid::now_v7(), 1)]).await;
    let metrics = runtime::telemetry::metrics().unwrap();
    let gauge = |name: &str| {
        let start = format!("{name}{{source=\"measured\"}} ");
        let text = metrics.render();
        text.lines().find_map(|line| line.strip_prefix(&start)).map(|value| value.parse::<f64>().unwrap())
    };

    let outbox = Outbox::new(world.pool().clone(), "measured");
    let stop = Stop::new();
    let relay = tokio::spawn(relay::run(outbox, Bus::new(vec![Arc::new(failing)]).into(), stop.clone()));
    until("two rows wait", async || gauge("outbox_waiting_events") == Some(2.0)).await;
    let age = gauge("outbox_oldest_waiting_seconds").unwrap();
    assert!((3600.0..3700.0).contains(&age), "{age}");

    stop.cancel();
    relay.await.unwrap();
    assert_eq!(gauge("outbox_waiting_events"), Some(0.0), "one that leads no more tells nothing");
}
