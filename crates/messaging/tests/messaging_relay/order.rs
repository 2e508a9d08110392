//! The events of one aggregate are told one after the other, and hold up no other aggregate.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use messaging::{Broker, Bus, Failure, Retries};
use testkit::until;
use uuid::Uuid;

use crate::world::{World, event};

#[tokio::test]
async fn the_events_of_an_aggregate_are_told_in_their_order() {
    let world = World::new().await;
    let bus = Broker::from(Bus::new(vec![Arc::new(world.consumer("orders"))]));
    let aggregates: Vec<_> = (0..5).map(|_| Uuid::now_v7()).collect();
    for sequence in 1..=20 {
        let events: Vec<_> = aggregates.iter().map(|aggregate| event(*aggregate, sequence)).collect();
        world.say(&events).await;
    }

    assert_eq!(world.outbox.relay_once(&bus).await.unwrap(), 100);

    let in_order: Vec<i64> = (1..=20).collect();
    for aggregate in aggregates {
        assert_eq!(world.effects_on(aggregate).await, in_order);
    }
}

#[tokio::test]
async fn an_aggregate_that_fails_keeps_its_order_and_holds_up_no_other() {
    let world = World::new().await;
    let (failing, healthy) = (Uuid::now_v7(), Uuid::now_v7());
    let mended = Arc::new(AtomicBool::new(false));
    let works = mended.clone();
    let consumer = world.consumer("orders").that(move |event| {
        if event.subject == failing && event.sequence() == Some(1) && !works.load(Ordering::SeqCst) {
            return Err(Failure::Retry("not yet".to_owned()));
        }
        Ok(())
    });
    let quick =
        Retries { tries: u32::MAX, first: Duration::from_millis(5), longest: Duration::from_millis(20) };
    let _relay = world.run(&Bus::new(vec![Arc::new(consumer)]).retrying(quick).into());

    world.say(&[event(failing, 1), event(failing, 2), event(healthy, 1), event(healthy, 2)]).await;
    world.outbox.wake();
    until("the healthy aggregate is told", async || world.effects_on(healthy).await == [1, 2]).await;
    // What comes while it fails waits behind it too, although nothing of it is in the relay's hands yet.
    world.say(&[event(failing, 3), event(healthy, 3)]).await;
    world.outbox.wake();
    until("the healthy aggregate is told", async || world.effects_on(healthy).await == [1, 2, 3]).await;
    assert_eq!(world.effects_on(failing).await, [] as [i64; 0]);

    mended.store(true, Ordering::SeqCst);
    until("all is told", async || world.waiting().await == 0).await;
    assert_eq!(world.effects_on(failing).await, [1, 2, 3]);
}

#[tokio::test]
async fn a_thousand_aggregates_that_fail_hold_up_no_other() {
    let world = World::new().await;
    let healthy = Uuid::now_v7();
    let consumer = world.consumer("orders").that(move |event| match event.subject == healthy {
        true => Ok(()),
        false => Err(Failure::Retry("never".to_owned())),
    });
    let failing: Vec<_> = (0..1000).map(|_| event(Uuid::now_v7(), 1)).collect();
    world.say(&failing).await;
    world.say(&[event(healthy, 1)]).await;
    let slow = Retries { tries: u32::MAX, first: Duration::from_secs(60), longest: Duration::from_secs(60) };

    let _relay = world.run(&Bus::new(vec![Arc::new(consumer)]).retrying(slow).into());

    until("the healthy aggregate is told", async || world.effects_on(healthy).await == [1]).await;
    until("its row is marked", async || world.waiting().await == 1000).await;
}

#[tokio::test]
async fn a_consumer_handles_a_bounded_number_of_events_at_once() {
    let world = World::new().await;
    let consumer = Arc::new(world.consumer("orders").taking(Duration::from_millis(20)));
    let events: Vec<_> = (0..40).map(|_| event(Uuid::now_v7(), 1)).collect();
    world.say(&events).await;

    assert_eq!(world.outbox.relay_once(&Bus::new(vec![consumer.clone()]).into()).await.unwrap(), 40);

    assert_eq!(consumer.most_at_once(), 4);
}
