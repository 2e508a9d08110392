//! Each event is told, and has one effect in each consumer's database.

use std::sync::{Arc, Mutex};

use messaging::{Broker, Bus, Consumer};
use serde_json::json;
use testkit::until;
use uuid::Uuid;

use crate::world::{Running, World, event, named};

#[tokio::test]
async fn each_event_is_told_to_each_consumer_once() {
    let world = World::new().await;
    let (first, second) = (Arc::new(world.consumer("first")), Arc::new(world.consumer("second")));
    let bus = Broker::from(Bus::new(vec![first.clone(), second.clone()]));
    let events: Vec<_> = (0..700).map(|_| event(Uuid::now_v7(), 1)).collect();
    world.say(&events).await;

    assert_eq!(world.outbox.relay_once(&bus).await.unwrap(), 700);
    assert_eq!(world.outbox.relay_once(&bus).await.unwrap(), 0);

    assert_eq!((first.calls(), second.calls()), (700, 700));
    let distinct = world.count("SELECT count(DISTINCT (consumer, event_id)) FROM effects").await;
    assert_eq!((world.effects().await, distinct), (1400, 1400));
}

#[tokio::test]
async fn an_event_travels_as_a_cloud_event() {
    let world = World::new().await;
    let seen = Arc::new(Mutex::new(None));
    let heard = seen.clone();
    let consumer = world.consumer("reader").that(move |event| {
        *heard.lock().unwrap() = Some(event.clone());
        Ok(())
    });
    let said = event(Uuid::now_v7(), 7);
    world.say(std::slice::from_ref(&said)).await;

    world.outbox.relay_once(&Bus::new(vec![Arc::new(consumer)]).into()).await.unwrap();

    let event = seen.lock().unwrap().take().unwrap();
    assert_eq!(
        (event.name(), event.sequence(), event.time.timestamp_micros()),
        (Some("order.created"), Some(7), said.time.timestamp_micros())
    );
    let mut json = serde_json::to_value(&event).unwrap();
    json.as_object_mut().unwrap().remove("time");
    assert_eq!(
        json,
        json!({
            "specversion": "1.0", "id": said.id, "source": "order", "type": "portico.order.created.v1",
            "subject": said.subject, "sequence": "7", "datacontenttype": "application/json",
            "data": { "sequence": 7 },
        })
    );
}

#[tokio::test]
async fn an_event_that_nobody_wants_is_marked_at_once() {
    let world = World::new().await;
    let consumer = Arc::new(world.consumer("orders"));
    world.say(&[named("user.updated", Uuid::now_v7(), 1)]).await;

    assert_eq!(world.outbox.relay_once(&Bus::new(vec![consumer.clone()]).into()).await.unwrap(), 1);

    assert_eq!((world.waiting().await, consumer.calls()), (0, 0));
}

#[tokio::test]
async fn a_row_is_marked_only_when_all_its_consumers_are_done_and_then_none_does_it_twice() {
    let world = World::new().await;
    let open = Arc::new(Mutex::new(false));
    let gate = open.clone();
    let done = Arc::new(world.consumer("done"));
    let late = Arc::new(world.consumer("late").that(move |_| match *gate.lock().unwrap() {
        true => Ok(()),
        false => Err(messaging::Failure::Retry("not yet".to_owned())),
    }));
    let bus = Broker::from(Bus::new(vec![done.clone(), late.clone()]));
    world.say(&[event(Uuid::now_v7(), 1)]).await;

    assert_eq!(world.outbox.relay_once(&bus).await.unwrap(), 0);
    assert_eq!((world.waiting().await, world.effects().await), (1, 1));

    *open.lock().unwrap() = true;
    assert_eq!(world.outbox.relay_once(&bus).await.unwrap(), 1);
    assert_eq!((world.waiting().await, world.effects().await, done.calls()), (0, 2, 1));
}

#[tokio::test]
async fn a_crash_between_the_effect_and_the_mark_has_no_second_effect() {
    let world = World::new().await;
    // The relay ends at the very moment at which the consumer has committed.
    let relay: Arc<Mutex<Option<tokio::task::AbortHandle>>> = Arc::default();
    let victim = relay.clone();
    let consumer = Arc::new(world.consumer("crashing").after_commit(move || {
        if let Some(relay) = victim.lock().unwrap().take() {
            relay.abort();
        }
    }));
    let bus = Broker::from(Bus::new(vec![consumer.clone() as Arc<dyn Consumer>]));
    world.say(&[event(Uuid::now_v7(), 1)]).await;
    let mut crashing: Running = world.run(&bus);
    *relay.lock().unwrap() = Some(crashing.task.abort_handle());
    assert!((&mut crashing.task).await.unwrap_err().is_cancelled());
    assert_eq!(
        (world.effects().await, world.waiting().await),
        (1, 1),
        "the effect is there, the mark is not"
    );

    let _next = world.run(&bus);
    until("the next relay has marked the row", async || world.waiting().await == 0).await;

    assert_eq!((world.effects().await, consumer.calls()), (1, 1));
}

#[tokio::test]
async fn a_row_that_commits_later_than_its_successors_is_not_lost() {
    let world = World::new().await;
    let consumer = Arc::new(world.consumer("orders"));
    let bus = Broker::from(Bus::new(vec![consumer.clone()]));
    let mut slow = world.pool().begin().await.unwrap();
    let early = event(Uuid::now_v7(), 1);
    messaging::Outbox::append_in_tx(&mut slow, std::slice::from_ref(&early)).await.unwrap();
    world.say(&[event(Uuid::now_v7(), 1)]).await;

    assert_eq!(world.outbox.relay_once(&bus).await.unwrap(), 1);
    slow.commit().await.unwrap();

    assert_eq!(world.outbox.relay_once(&bus).await.unwrap(), 1);
    assert_eq!(world.effects_on(early.subject).await, [1]);
}
