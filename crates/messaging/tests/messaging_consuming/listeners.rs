//! What a listener's queue does when the listener is slow, cut off, or gone.

use std::time::Duration;

use futures::future::try_join_all;
use lapin::{
    BasicProperties,
    options::BasicPublishOptions,
    types::{AMQPValue, FieldTable, LongString},
};
use messaging::{Broker, Heard, Listener, topology::EXCHANGE};
use serde_json::{Value, json};
use testkit::{Proxy, until};
use tokio::time::timeout;

use crate::world::{World, confirming, event, event_with, rabbitmq};

fn listen(url: &str) -> Listener {
    Broker::from(rabbitmq(url)).listen(&["order.created"])
}

async fn next(listener: &mut Listener) -> Heard {
    timeout(Duration::from_secs(30), listener.next()).await.expect("nothing is heard")
}

async fn until_anew(listener: &mut Listener) {
    while !matches!(next(listener).await, Heard::Anew) {}
}

/// The number that was given to it.
fn number(heard: &Heard) -> Option<i64> {
    match heard {
        Heard::Event(event) => event.sequence(),
        Heard::Anew => None,
    }
}

fn numbered(number: usize) -> Value {
    event_with("sequence", json!(number.to_string()))
}

#[tokio::test]
async fn a_slow_listener_hears_of_the_gap_and_holds_a_bounded_number() {
    let world = World::new().await;
    let mut listener = listen(&world.vhost.url());
    until_anew(&mut listener).await;
    let many = 13_000;
    publish_many(&world, many).await;
    let waiting: u64 = world.vhost.queues().await.iter().map(|(_, messages)| messages).sum();
    assert!(waiting <= 10_256, "{waiting}");

    let (mut events, mut told) = (0, false);
    loop {
        let heard = next(&mut listener).await;
        match number(&heard) {
            Some(last) if last == i64::try_from(many).unwrap() => break,
            Some(_) => events += 1,
            None => told = true,
        }
    }

    assert!(told, "nobody told of the gap");
    assert!((1..12_000).contains(&events), "{events}");
}

#[tokio::test]
async fn a_listener_that_keeps_up_hears_of_no_gap() {
    let world = World::new().await;
    let mut listener = listen(&world.vhost.url());
    until_anew(&mut listener).await;

    let hearing = async {
        for expected in 1..=5000 {
            assert_eq!(number(&next(&mut listener).await), Some(expected));
        }
    };
    tokio::join!(hearing, publish_many(&world, 5000));
}

#[tokio::test]
async fn a_listener_that_was_cut_off_listens_anew() {
    let world = World::new().await;
    let proxy = Proxy::new(world.vhost.address()).await;
    let mut listener = listen(&world.vhost.url_at(proxy.address));
    until_anew(&mut listener).await;
    world.publish("order.created", numbered(1).to_string()).await;
    assert_eq!(number(&next(&mut listener).await), Some(1));

    assert_eq!(proxy.cut(), 1);

    until_anew(&mut listener).await;
    world.publish("order.created", numbered(2).to_string()).await;
    assert_eq!(number(&next(&mut listener).await), Some(2));
}

#[tokio::test]
async fn a_listener_that_is_dropped_leaves_nothing_behind() {
    let world = World::new().await;
    let mut listener = listen(&world.vhost.url());
    until_anew(&mut listener).await;
    assert_eq!(world.vhost.queues().await.len(), 1);

    drop(listener);

    until("its queue is gone", async || world.vhost.queues().await.is_empty()).await;
}

#[tokio::test]
async fn what_is_no_event_or_not_what_it_says_is_not_heard() {
    let world = World::new().await;
    let mut listener = listen(&world.vhost.url());
    until_anew(&mut listener).await;
    world.publish("order.created", "order 17, please").await;
    world.publish("order.created", event_with("type", json!("portico.payment.success.v1")).to_string()).await;
    let mut headers = FieldTable::default();
    let more = vec![AMQPValue::LongString(LongString::from("order.created"))];
    headers.insert("CC".into(), AMQPValue::FieldArray(more.into()));
    let by_the_back_door = BasicProperties::default().with_headers(headers);
    world.publish_as("payment.failed", event().to_string(), by_the_back_door).await;

    world.publish("order.created", numbered(7).to_string()).await;

    assert_eq!(number(&next(&mut listener).await), Some(7));
}

/// Numbered from 1, many under way at once.
async fn publish_many(world: &World, many: usize) {
    let channel = confirming(&world.connection).await;
    let mut confirms = Vec::new();
    for number in 1..=many {
        let body = numbered(number).to_string();
        let options = BasicPublishOptions::default();
        let properties = BasicProperties::default();
        let confirm = channel
            .basic_publish(EXCHANGE.into(), "order.created".into(), options, body.as_bytes(), properties)
            .await;
        confirms.push(confirm.unwrap());
    }
    try_join_all(confirms).await.unwrap();
}
