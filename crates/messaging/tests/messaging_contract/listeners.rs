//! Listeners hear what is told from now on.

use std::{sync::Arc, time::Duration};

use messaging::{Heard, Listener};
use tokio::time::timeout;
use uuid::Uuid;

use crate::world::{World, event, named};

on_both_brokers![
    a_listener_hears_from_now_on,
    a_listener_hears_only_what_it_asked_for,
    two_listeners_hear_the_same,
    a_listener_that_waits_loses_nothing_to_a_lost_wait,
];

/// The id of the next event; what is heard anew in between is left out.
async fn next(listener: &mut Listener) -> Uuid {
    loop {
        let heard = timeout(Duration::from_secs(20), listener.next()).await.expect("nothing is heard");
        if let Heard::Event(event) = heard {
            return event.id;
        }
    }
}

/// Waits until it is there.
async fn anew(listener: &mut Listener) {
    let first = timeout(Duration::from_secs(20), listener.next()).await.expect("it never listens");
    assert!(matches!(first, Heard::Anew), "{first:?}");
}

async fn a_listener_hears_from_now_on(world: World) {
    let broker = world.broker(vec![]);
    let names = &["order.deleted"];
    let mut early = broker.listen(names);
    anew(&mut early).await;
    let _service = world.serve_on(broker.clone(), vec![]);
    let (before, after) =
        (named("order.deleted", Uuid::now_v7(), 1), named("order.deleted", Uuid::now_v7(), 1));
    world.say(std::slice::from_ref(&before)).await;
    assert_eq!(next(&mut early).await, before.id);

    let mut late = broker.listen(names);
    anew(&mut late).await;
    world.say(std::slice::from_ref(&after)).await;

    assert_eq!(next(&mut late).await, after.id);
    assert_eq!(next(&mut early).await, after.id);
}

async fn a_listener_hears_only_what_it_asked_for(world: World) {
    let broker = world.broker(vec![]);
    let mut listener = broker.listen(&["order.deleted", "payment.failed"]);
    anew(&mut listener).await;
    let _service = world.serve_on(broker, vec![]);
    let wanted = [named("order.deleted", Uuid::now_v7(), 1), named("payment.failed", Uuid::now_v7(), 1)];

    world.say(&[named("user.updated", Uuid::now_v7(), 1), wanted[0].clone()]).await;
    assert_eq!(next(&mut listener).await, wanted[0].id);
    world.say(&[named("session.revoked", Uuid::now_v7(), 1), wanted[1].clone()]).await;
    assert_eq!(next(&mut listener).await, wanted[1].id);
}

async fn two_listeners_hear_the_same(world: World) {
    let consumer = Arc::new(world.consumer("orders"));
    let broker = world.broker(vec![consumer.clone()]);
    world.has_run(&broker, consumer.clone()).await;
    let (mut first, mut second) = (broker.listen(&["order.created"]), broker.listen(&["order.created"]));
    anew(&mut first).await;
    anew(&mut second).await;
    let _service = world.serve_on(broker, vec![consumer]);
    let order = Uuid::now_v7();
    let said: Vec<_> = (1..=20).map(|sequence| event(order, sequence)).collect();

    world.say(&said).await;

    for event in said {
        assert_eq!((next(&mut first).await, next(&mut second).await), (event.id, event.id));
    }
    world.until_effects("orders", 21).await;
}

async fn a_listener_that_waits_loses_nothing_to_a_lost_wait(world: World) {
    let broker = world.broker(vec![]);
    let mut listener = broker.listen(&["order.deleted"]);
    anew(&mut listener).await;
    assert!(timeout(Duration::from_millis(50), listener.next()).await.is_err());
    let _service = world.serve_on(broker, vec![]);
    let said = named("order.deleted", Uuid::now_v7(), 1);

    world.say(std::slice::from_ref(&said)).await;

    assert_eq!(next(&mut listener).await, said.id);
}
