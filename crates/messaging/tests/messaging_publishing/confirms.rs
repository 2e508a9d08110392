//! A row is marked once RabbitMQ answers for its event.

use std::collections::HashSet;

use messaging::CloudEvent;
use testkit::until;
use uuid::Uuid;

use crate::world::{World, broker, event, named};

#[tokio::test]
async fn an_event_that_is_confirmed_is_marked() {
    let world = World::new().await;
    let witness = world.witness(&["order.created"]).await;
    let said = event(Uuid::now_v7(), 7);
    world.say(std::slice::from_ref(&said)).await;

    let _relay = world.run();

    until("the row is marked", async || world.waiting().await == 0).await;
    until("it is heard", async || witness.count() == 1).await;
    let heard: CloudEvent = witness.events().remove(0);
    assert_eq!((heard.id, heard.subject, heard.sequence()), (said.id, said.subject, Some(7)));
    assert_eq!((&*heard.source, heard.name(), &heard.data), ("order", Some("order.created"), &said.data));
}

#[tokio::test]
async fn a_message_says_what_it_is_without_being_opened() {
    let world = World::new().await;
    let witness = world.witness(&["order.created"]).await;
    let said = event(Uuid::now_v7(), 1);
    world.say(std::slice::from_ref(&said)).await;

    assert_eq!(world.outbox.relay_once(&broker(&world.vhost.url())).await.unwrap(), 1);

    until("it is heard", async || witness.count() == 1).await;
    let message = witness.take().remove(0);
    let text = |text: &Option<lapin::types::ShortString>| text.as_ref().unwrap().to_string();
    let properties = &message.properties;
    assert_eq!(
        (message.exchange.as_str(), message.routing_key.as_str()),
        ("portico.events", "order.created")
    );
    assert_eq!(text(properties.content_type()), "application/cloudevents+json");
    assert_eq!(text(properties.message_id()), said.id.to_string());
    assert_eq!(text(properties.kind()), "portico.order.created.v1");
    assert_eq!(text(properties.app_id()), "order");
    assert_eq!(*properties.delivery_mode(), Some(2), "it outlives a restart");
    assert_eq!(*properties.timestamp(), Some(said.time.timestamp().cast_unsigned()));
}

#[tokio::test]
async fn an_event_that_no_queue_takes_waits_until_one_does_and_holds_up_no_other() {
    let world = World::new().await;
    let (waits, goes) = (Uuid::now_v7(), Uuid::now_v7());
    world.say(&[event(waits, 1), named("order.deleted", waits, 2), named("order.deleted", goes, 1)]).await;

    let _relay = world.run();

    until("the other aggregate is told", async || world.waiting().await == 2).await;
    let witness = world.witness(&["order.created", "order.deleted"]).await;
    until("all is told", async || world.waiting().await == 0).await;
    until("it is heard", async || witness.count() == 2).await;
    assert_eq!(witness.sequences()[&waits], [1, 2]);
}

#[tokio::test]
async fn an_event_that_no_queue_of_ours_wants_is_told_to_nobody() {
    let world = World::new().await;
    world.say(&[named("order.deleted", Uuid::now_v7(), 1)]).await;

    assert_eq!(world.outbox.relay_once(&broker(&world.vhost.url())).await.unwrap(), 1);
}

#[tokio::test]
async fn of_many_at_once_those_that_are_returned_are_told_apart() {
    let world = World::new().await;
    let witness = world.witness(&["order.created"]).await;
    // Nobody takes the changes yet.
    let events: Vec<_> = (0..1000)
        .map(|i| named(["order.created", "order.status_changed"][i % 2], Uuid::now_v7(), 1))
        .collect();
    world.say(&events).await;

    let told = world.outbox.relay_once(&broker(&world.vhost.url())).await.unwrap();

    assert_eq!((told, world.names_waiting().await), (500, vec!["order.status_changed".to_owned()]));
    until("the others are heard", async || witness.count() == 500).await;
}

#[tokio::test]
async fn the_events_of_an_aggregate_arrive_in_their_order() {
    let world = World::new().await;
    let witness = world.witness(&["order.*"]).await;
    let aggregates: Vec<_> = (0..50).map(|_| Uuid::now_v7()).collect();
    for sequence in 1..=20 {
        let events: Vec<_> = aggregates.iter().map(|aggregate| event(*aggregate, sequence)).collect();
        world.say(&events).await;
    }

    let _relay = world.run();

    until("all is told", async || world.waiting().await == 0).await;
    until("all is heard", async || witness.count() == 1000).await;
    let in_order: Vec<i64> = (1..=20).collect();
    assert!(witness.sequences().values().all(|sequences| *sequences == in_order));
    let ids: HashSet<_> = witness.events().into_iter().map(|event| event.id).collect();
    assert_eq!(ids.len(), 1000);
}

#[tokio::test]
async fn a_crash_between_the_confirm_and_the_mark_tells_it_again() {
    let world = World::new().await;
    let witness = world.witness(&["order.created"]).await;
    world.say(&[event(Uuid::now_v7(), 1)]).await;
    // Whoever holds the row keeps it from being marked.
    let mut holder = world.pool().begin().await.unwrap();
    sqlx::query("SELECT FROM outbox FOR UPDATE").execute(&mut *holder).await.unwrap();
    let relay = world.run();
    until("it is heard", async || witness.count() == 1).await;

    relay.task.abort();
    world.cut_off_leader().await;
    holder.rollback().await.unwrap();
    assert_eq!(world.waiting().await, 1);
    let _next = world.run();

    until("it is marked", async || world.waiting().await == 0).await;
    until("it is heard again", async || witness.count() == 2).await;
    let ids: HashSet<_> = witness.events().into_iter().map(|event| event.id).collect();
    assert_eq!(ids.len(), 1);
}
