//! Whatever is published, each message has a defined end, and those behind it are handled.

use std::sync::Arc;

use lapin::{
    BasicProperties,
    types::{AMQPValue, FieldTable, LongString},
    uri::AMQPUri,
};
use messaging::Failure;
use serde_json::json;
use uuid::Uuid;

use crate::world::{World, event, event_with};

/// Publishes these, and a good one behind them; gives the reasons for which they rest.
async fn reasons(bodies: &[Vec<u8>]) -> Vec<String> {
    let world = World::new().await;
    let _running = world.consume(vec![Arc::new(world.consumer("orders"))]).await;
    for body in bodies {
        world.publish("order.created", body).await;
    }
    world.publish("order.created", event().to_string()).await;

    world.until_effects("orders", 1).await;
    let dead = world.until_dead("orders", bodies.len()).await;
    assert_eq!(world.ready("orders").await, Some(0));
    dead.into_iter().map(|letter| letter.reason).collect()
}

#[tokio::test]
async fn what_is_no_event_rests_with_its_reason() {
    let bodies = [
        b"order 17, please".to_vec(),
        vec![],
        vec![0xff; 100],
        br#"{"hello": "world"}"#.to_vec(),
        event_with("specversion", json!("0.3")).to_string().into_bytes(),
        event_with("id", json!("17")).to_string().into_bytes(),
        event_with("subject", json!("the first one")).to_string().into_bytes(),
        event_with("sequence", json!("first")).to_string().into_bytes(),
        "[".repeat(100_000).into_bytes(),
    ];
    let mut starts = [
        "it is no JSON: line 1 column 1",
        "it is no JSON: line 1 column 0",
        "it is no JSON: line 1 column 1",
        "it is no CloudEvent: missing field `specversion`",
        "it is of an unknown version of CloudEvents",
        "it is none of the system's events: line 1",
        "it is none of the system's events: line 1",
        "its sequence is no number",
        "it is no",
    ];

    let mut reasons = reasons(&bodies).await;

    // They are handled at the same time, and rest in any order.
    reasons.sort();
    starts.sort_unstable();
    for start in starts {
        let at = reasons.iter().position(|reason| reason.starts_with(start));
        reasons.remove(at.unwrap_or_else(|| panic!("nothing starts with {start:?}: {reasons:?}")));
    }
    assert_eq!(reasons, [] as [String; 0]);
}

#[tokio::test]
async fn a_message_of_ten_megabytes_rests() {
    let large = event_with("data", json!({ "notes": "x".repeat(10_000_000) })).to_string().into_bytes();
    let bytes = large.len();

    assert_eq!(reasons(&[large]).await, [format!("it has {bytes} bytes, more than 1048576")]);
}

#[tokio::test]
async fn events_of_unknown_types_and_versions_are_left_out() {
    let world = World::new().await;
    let consumer = Arc::new(world.consumer("orders"));
    let _running = world.consume(vec![consumer.clone()]).await;
    for kind in ["portico.order.created.v2", "portico.order.invented.v1", "com.example.something"] {
        world.publish("order.created", event_with("type", json!(kind)).to_string()).await;
    }
    world.publish("order.created", event().to_string()).await;

    world.until_effects("orders", 1).await;

    assert_eq!(consumer.calls(), 1);
    world.until_dead("orders", 0).await;
    assert_eq!(world.ready("orders").await, Some(0));
}

#[tokio::test]
async fn an_event_with_a_foreign_subject_is_the_consumers_to_refuse() {
    let world = World::new().await;
    let ours = Uuid::now_v7();
    let consumer = world.consumer("orders").that(move |event| match event.subject == ours {
        true => Ok(()),
        false => Err(Failure::Reject("its payload is another's".to_owned())),
    });
    let _running = world.consume(vec![Arc::new(consumer)]).await;

    world.publish("order.created", event().to_string()).await;
    world.publish("order.created", event_with("subject", json!(ours)).to_string()).await;

    world.until_effects("orders", 1).await;
    assert_eq!(world.until_dead("orders", 1).await[0].reason, "its payload is another's");
}

#[tokio::test]
async fn an_event_from_a_year_ago_is_handled_once_however_often_it_comes() {
    let world = World::new().await;
    let consumer = Arc::new(world.consumer("orders"));
    let _running = world.consume(vec![consumer.clone()]).await;
    let mut old = event_with("time", json!("2025-11-21T10:00:00Z"));
    // Its id is from then, too.
    old["id"] = json!("019aa5b0-0000-7000-8000-000000000001");

    for _ in 0..5 {
        world.publish("order.created", old.to_string()).await;
    }
    world.publish("order.created", event().to_string()).await;

    world.until_effects("orders", 2).await;
    assert_eq!(consumer.calls(), 2);
    world.until_dead("orders", 0).await;
}

/// RabbitMQ 3.10 looks only at the first key when it asks what an account may say, and delivers to those in CC too.
#[tokio::test]
async fn an_event_that_came_in_by_the_back_door_rests() {
    let world = World::new().await;
    let consumer = Arc::new(world.consumer("orders"));
    let _running = world.consume(vec![consumer.clone()]).await;
    let mut headers = FieldTable::default();
    let more = vec![AMQPValue::LongString(LongString::from("order.created"))];
    headers.insert("CC".into(), AMQPValue::FieldArray(more.into()));
    let properties = BasicProperties::default().with_headers(headers);

    world.publish_as("payment.failed", event().to_string(), properties).await;

    let dead = world.until_dead("orders", 1).await;
    assert_eq!(dead[0].reason, "its type is not the key under which it was published");
    assert_eq!(consumer.calls(), 0);
}

/// A copy with the original's CC would go elsewhere too, and one with its time to live would be gone.
#[tokio::test]
async fn a_copy_takes_no_orders_from_its_original() {
    let world = World::new().await;
    let consumer = world.consumer("orders").that(|_| Err(Failure::Reject("no".to_owned())));
    let consumers = vec![Arc::new(consumer), Arc::new(world.consumer("others"))];
    let _running = world.consume(consumers.clone()).await;
    let mut headers = FieldTable::default();
    let more = vec![AMQPValue::LongString(LongString::from("work"))];
    headers.insert("CC".into(), AMQPValue::FieldArray(more.into()));
    let publisher: AMQPUri = world.vhost.url().parse().unwrap();
    let properties = BasicProperties::default()
        .with_headers(headers)
        .with_expiration("300".into())
        .with_user_id(publisher.authority.userinfo.username.into());

    world.publish_as("order.created", event().to_string(), properties).await;

    world.until_dead("orders", 1).await;
    world.until_effects("others", 1).await;
    // Longer than it had to live.
    tokio::time::sleep(std::time::Duration::from_millis(500)).await;
    world.until_dead("orders", 1).await;
    assert_eq!(consumers[0].calls(), 1);
}
