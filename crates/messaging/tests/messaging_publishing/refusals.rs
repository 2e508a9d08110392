//! What RabbitMQ does not take is kept, told of, and holds up nothing else.

use lapin::{
    Connection, ConnectionProperties,
    options::{BasicGetOptions, QueueBindOptions, QueueDeclareOptions},
    types::{AMQPValue, FieldTable},
};
use messaging::topology;
use testkit::{Permissions, until};
use uuid::Uuid;

use crate::world::{World, broker, counted, event, named};

#[tokio::test]
async fn an_event_that_its_account_may_not_say_waits_and_no_other_is_lost() {
    let world = World::new().await;
    let witness = world.witness(&["order.*", "payment.*"]).await;
    let order = Permissions {
        configure: r"^portico\.events$",
        write: r"^portico\.events$",
        read: "^$",
        topic: Some((topology::EXCHANGE, r"^order\.")),
    };
    let url = world.vhost.account(order).await;
    let own: Vec<_> = (0..600).map(|_| event(Uuid::now_v7(), 1)).collect();
    let foreign = [named("payment.success", Uuid::now_v7(), 1), named("payment.failed", Uuid::now_v7(), 1)];
    runtime::telemetry::metrics();
    world.say(&own[..300]).await;
    world.say(&foreign).await;
    world.say(&own[300..]).await;

    let _relay = world.run_to(&url);

    until("all but the foreign ones are told", async || world.waiting().await == 2).await;
    assert_eq!(world.names_waiting().await, ["payment.failed", "payment.success"]);
    assert!(witness.events().iter().all(|event| event.name() == Some("order.created")));
    until("the refusals are counted", async || counted("events_not_taken_total{why=\"refused\"}") >= 2.0)
        .await;
    // It goes on.
    world.say(&[event(Uuid::now_v7(), 1)]).await;
    until("the next is told", async || world.waiting().await == 2).await;
}

#[tokio::test]
async fn without_patience_a_refused_event_is_not_told_and_the_others_are() {
    let world = World::new().await;
    let _witness = world.witness(&["order.*"]).await;
    let order = Permissions {
        configure: r"^portico\.events$",
        write: r"^portico\.events$",
        read: "^$",
        topic: Some((topology::EXCHANGE, r"^order\.")),
    };
    let url = world.vhost.account(order).await;
    world.say(&[named("payment.success", Uuid::now_v7(), 1), event(Uuid::now_v7(), 1)]).await;

    assert_eq!(world.outbox.relay_once(&broker(&url)).await.unwrap(), 1);

    assert_eq!(world.names_waiting().await, ["payment.success"]);
}

#[tokio::test]
async fn an_event_that_a_full_queue_refuses_is_told_once_there_is_room() {
    let world = World::new().await;
    let connection = Connection::connect(&world.vhost.url(), ConnectionProperties::default()).await.unwrap();
    let channel = connection.create_channel().await.unwrap();
    let _exchange = world.witness(&[]).await;
    let mut one_place = FieldTable::default();
    one_place.insert("x-max-length".into(), AMQPValue::LongLongInt(1));
    one_place.insert("x-overflow".into(), AMQPValue::LongString("reject-publish".into()));
    channel.queue_declare("small".into(), QueueDeclareOptions::default(), one_place).await.unwrap();
    let (exchange, options) = (topology::EXCHANGE.into(), QueueBindOptions::default());
    channel
        .queue_bind("small".into(), exchange, "order.*".into(), options, FieldTable::default())
        .await
        .unwrap();
    let order = Uuid::now_v7();
    world.say(&[event(order, 1), event(order, 2)]).await;
    runtime::telemetry::metrics();

    let _relay = world.run();

    until("the second is refused", async || counted("events_not_taken_total{why=\"nacked\"}") >= 1.0).await;
    assert_eq!(world.waiting().await, 1);
    let no_ack = BasicGetOptions { no_ack: true };
    channel.basic_get("small".into(), no_ack).await.unwrap().unwrap();
    until("the second is told", async || world.waiting().await == 0).await;
}
