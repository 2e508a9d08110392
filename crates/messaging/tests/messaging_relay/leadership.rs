//! One relay leads per database.

use std::{sync::Arc, time::Duration};

use messaging::{Broker, Bus, Failure, Outbox, OutboxStatus, RelayError, relay};
use runtime::Stop;
use testkit::until;
use uuid::Uuid;

use crate::world::{World, event};

/// The backends that hold the lead of this database.
async fn leaders(world: &World) -> Vec<i32> {
    sqlx::query_scalar(
        "SELECT l.pid FROM pg_locks l JOIN pg_stat_activity a ON a.pid = l.pid
         WHERE l.locktype = 'advisory' AND l.granted
         AND a.datname = current_database() AND a.application_name = 'order relay'",
    )
    .fetch_all(world.pool())
    .await
    .unwrap()
}

/// As another process would: an outbox of its own, which nobody wakes.
fn other_process(world: &World, bus: &Broker) -> crate::world::Running {
    let stop = Stop::new();
    let outbox = Outbox::new(world.pool().clone(), "order");
    let task = tokio::spawn(relay::run(outbox, bus.clone(), stop.clone()));
    crate::world::Running { stop, task }
}

#[tokio::test]
async fn one_relay_leads_and_another_takes_over_when_its_connection_is_lost() {
    let world = World::new().await;
    let (first, second) = (Arc::new(world.consumer("orders")), Arc::new(world.consumer("orders")));
    let _first = other_process(&world, &Bus::new(vec![first.clone()]).into());
    until("the first leads", async || leaders(&world).await.len() == 1).await;
    let leader = leaders(&world).await;
    let _second = other_process(&world, &Bus::new(vec![second.clone()]).into());
    world.say(&[event(Uuid::now_v7(), 1), event(Uuid::now_v7(), 1)]).await;
    until("the first has told both", async || world.waiting().await == 0).await;
    assert_eq!((first.calls(), second.calls()), (2, 0));
    assert_eq!(leaders(&world).await, leader);

    sqlx::query("SELECT pg_terminate_backend($1)").bind(leader[0]).execute(world.pool()).await.unwrap();
    world.say(&[event(Uuid::now_v7(), 1)]).await;

    until("the second has told it", async || world.waiting().await == 0).await;
    assert_eq!((first.calls(), second.calls()), (2, 1));
    let next = leaders(&world).await;
    assert!(next.len() == 1 && next != leader, "{leader:?} -> {next:?}");
}

#[tokio::test]
async fn a_relay_that_lost_its_connection_leads_again_when_there_is_no_other() {
    let world = World::new().await;
    let consumer = Arc::new(world.consumer("orders"));
    let _relay = world.run(&Bus::new(vec![consumer.clone()]).into());
    until("it leads", async || leaders(&world).await.len() == 1).await;
    let before = leaders(&world).await;

    sqlx::query("SELECT pg_terminate_backend($1)").bind(before[0]).execute(world.pool()).await.unwrap();
    world.say(&[event(Uuid::now_v7(), 1)]).await;
    world.outbox.wake();

    until("the event is told", async || world.waiting().await == 0).await;
    assert_ne!(leaders(&world).await, before);
    assert_eq!(world.effects().await, 1);
}

#[tokio::test]
async fn a_relay_that_stops_hands_the_lead_on() {
    let world = World::new().await;
    let consumer = Arc::new(world.consumer("orders").taking(Duration::from_secs(3600)));
    let mut relay = world.run(&Bus::new(vec![consumer.clone()]).into());
    world.say(&[event(Uuid::now_v7(), 1)]).await;
    until("a handler runs", async || consumer.calls() == 1).await;

    relay.stop.cancel();
    (&mut relay.task).await.unwrap();

    assert_eq!(leaders(&world).await, [] as [i32; 0]);
    let quick = Broker::from(Bus::new(vec![Arc::new(world.consumer("orders"))]));
    assert_eq!(world.outbox.relay_once(&quick).await.unwrap(), 1);
}

#[tokio::test]
async fn relaying_once_beside_a_relay_that_leads_is_refused() {
    let world = World::new().await;
    let bus = Broker::from(Bus::new(vec![]));
    let _relay = other_process(&world, &bus);
    until("it leads", async || leaders(&world).await.len() == 1).await;

    let refused = world.outbox.relay_once(&bus).await;

    assert!(matches!(refused, Err(RelayError::NotLeader)), "{refused:?}");
}

#[tokio::test]
async fn the_status_of_an_outbox_tells_what_waits_and_whether_a_relay_leads() {
    let world = World::new().await;
    let status = async || Outbox::status(world.pool()).await.unwrap();
    let empty = OutboxStatus { waiting: 0, oldest_waiting: None, kept: 0, led: false };
    assert_eq!(status().await, empty);

    let consumer = world.consumer("orders").that(|event| match event.sequence() {
        Some(1) => Ok(()),
        _ => Err(Failure::Retry("not yet".to_owned())),
    });
    let waits = event(Uuid::now_v7(), 2);
    world.say(&[event(Uuid::now_v7(), 1), waits.clone(), event(Uuid::now_v7(), 2)]).await;
    let _relay = world.run(&Bus::new(vec![Arc::new(consumer)]).into());

    until("one is told", async || status().await.kept == 1).await;
    let OutboxStatus { waiting, oldest_waiting, led, .. } = status().await;
    let oldest = oldest_waiting.unwrap().timestamp_micros();
    assert_eq!((waiting, oldest, led), (2, waits.time.timestamp_micros(), true));
    // The lead of another database is none of this one.
    assert!(!Outbox::status(World::new().await.pool()).await.unwrap().led);
}
