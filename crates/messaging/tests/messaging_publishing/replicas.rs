//! Several processes on one outbox: one tells, another takes over.

use std::{
    collections::HashSet,
    time::{Duration, Instant},
};

use testkit::until;
use uuid::Uuid;

use crate::world::{World, event};

#[tokio::test]
async fn of_two_replicas_one_tells_and_each_event_is_told_once() {
    let world = World::new().await;
    let witness = world.witness(&["order.created"]).await;
    let relays = [world.run(), world.run()];

    for relay in relays.iter().cycle().take(50) {
        let events: Vec<_> = (0..10).map(|_| event(Uuid::now_v7(), 1)).collect();
        world.say(&events).await;
        relay.outbox.wake();
    }

    until("all is told", async || world.waiting().await == 0).await;
    until("all is heard", async || witness.count() >= 500).await;
    let ids: HashSet<_> = witness.events().into_iter().map(|event| event.id).collect();
    assert_eq!((ids.len(), witness.count()), (500, 500));
}

#[tokio::test]
async fn a_leader_that_dies_is_replaced_within_seconds() {
    let world = World::new().await;
    let witness = world.witness(&["order.created"]).await;
    let first = world.run();
    world.say(&[event(Uuid::now_v7(), 1)]).await;
    until("the first leads", async || world.waiting().await == 0).await;
    let _second = world.run();

    first.task.abort();
    let start = Instant::now();
    world.say(&[event(Uuid::now_v7(), 1)]).await;

    until("the second tells", async || world.waiting().await == 0).await;
    until("it is heard", async || witness.count() == 2).await;
    assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
}
