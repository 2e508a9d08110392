//! Each account can do what it must, and nothing else.

use std::sync::Arc;

use lapin::{
    BasicProperties, Channel, Connection, ErrorKind,
    options::{
        BasicConsumeOptions, BasicGetOptions, BasicPublishOptions, QueueBindOptions, QueueDeclareOptions,
        QueueDeleteOptions, QueuePurgeOptions,
    },
    protocol::{AMQPErrorKind, AMQPSoftError},
    types::FieldTable,
};
use messaging::{
    Broker, Heard,
    topology::{Account, EXCHANGE, accounts},
};
use testkit::{Permissions, until};

use crate::world::{World, confirming, connect, event, rabbitmq, run};

async fn account(world: &World, name: &str) -> String {
    let Account { configure, write, read, topic_write, .. } =
        accounts().into_iter().find(|account| account.name == name).unwrap();
    let topic = Some((EXCHANGE, topic_write));
    world.vhost.account(Permissions { configure, write, read, topic }).await
}

/// Publishes on a channel of its own; an account that may not loses it.
async fn publish(connection: &Connection, exchange: &str, key: &str) -> lapin::Result<()> {
    let channel = confirming(connection).await;
    let (options, properties) = (BasicPublishOptions::default(), BasicProperties::default());
    let body = event().to_string();
    channel.basic_publish(exchange.into(), key.into(), options, body.as_bytes(), properties).await?.await?;
    Ok(())
}

fn assert_refused<T: std::fmt::Debug>(what: &str, outcome: lapin::Result<T>) {
    let error = outcome.expect_err(what);
    let refused = matches!(error.kind(), ErrorKind::ProtocolError(error)
        if *error.kind() == AMQPErrorKind::Soft(AMQPSoftError::ACCESSREFUSED));
    assert!(refused, "{what}: {error}");
}

async fn channel(connection: &Connection) -> Channel {
    connection.create_channel().await.unwrap()
}

/// A consumer's queue with an event in it that nobody has taken.
async fn victim(world: &World) {
    let consumer = Arc::new(world.consumer("order.payment_outcomes"));
    world.consume(vec![consumer]).await.stop().await;
    world.publish("order.created", event().to_string()).await;
}

#[tokio::test]
async fn a_subscriber_reads_events_into_a_queue_of_its_own() {
    let world = World::new().await;
    victim(&world).await;
    let connection = connect(&account(&world, "subscriber").await).await.unwrap();
    let channel = channel(&connection).await;
    let (durable, none) = (QueueDeclareOptions::durable(), FieldTable::default());
    channel.queue_declare("subscriber.audit".into(), durable, none.clone()).await.unwrap();
    let options = QueueBindOptions::default();
    channel
        .queue_bind("subscriber.audit".into(), EXCHANGE.into(), "#".into(), options, none.clone())
        .await
        .unwrap();

    world.publish("order.created", event().to_string()).await;

    until("it has it", async || {
        let got = channel.basic_get("subscriber.audit".into(), BasicGetOptions { no_ack: true }).await;
        got.unwrap().is_some()
    })
    .await;
}

#[tokio::test]
async fn a_subscriber_can_not_publish() {
    let world = World::new().await;
    victim(&world).await;
    let connection = connect(&account(&world, "subscriber").await).await.unwrap();

    for (exchange, key) in [
        (EXCHANGE, "order.created"),
        (EXCHANGE, "anything.else"),
        ("order.payment_outcomes", "work"),
        ("", "order.payment_outcomes"),
        ("amq.topic", "order.created"),
    ] {
        let what = format!("publishes {key} to {exchange:?}");
        assert_refused(&what, publish(&connection, exchange, key).await);
    }
}

#[tokio::test]
async fn a_subscriber_can_not_touch_the_queues_of_others() {
    let world = World::new().await;
    victim(&world).await;
    let connection = connect(&account(&world, "subscriber").await).await.unwrap();
    let (queue, none) = ("order.payment_outcomes", FieldTable::default());
    let channel = async || channel(&connection).await;

    let got = channel().await.basic_get(queue.into(), BasicGetOptions::default()).await;
    assert_refused("gets", got);
    let options = BasicConsumeOptions::default();
    let consumed = channel().await.basic_consume(queue.into(), "".into(), options, none.clone()).await;
    assert_refused("consumes", consumed.map(|_| ()));
    let options = QueueBindOptions::default();
    let bound =
        channel().await.queue_bind(queue.into(), EXCHANGE.into(), "#".into(), options, none.clone()).await;
    assert_refused("binds", bound);
    assert_refused("purges", channel().await.queue_purge(queue.into(), QueuePurgeOptions::default()).await);
    assert_refused(
        "deletes",
        channel().await.queue_delete(queue.into(), QueueDeleteOptions::default()).await,
    );
    let durable = QueueDeclareOptions::durable();
    let declared = channel().await.queue_declare("order.more".into(), durable, none.clone()).await;
    assert_refused("declares", declared);
    // One that sends its dead letters into the events would publish.
    let mut back = none;
    back.insert("x-dead-letter-exchange".into(), lapin::types::AMQPValue::LongString(EXCHANGE.into()));
    let declared = channel().await.queue_declare("subscriber.sly".into(), durable, back).await;
    assert_refused("declares", declared);
    assert_eq!(world.ready(queue).await, Some(1));
}

#[tokio::test]
async fn a_service_says_its_own_events_and_no_others() {
    let world = World::new().await;
    victim(&world).await;
    world.consume(vec![Arc::new(world.consumer("payment.order_created"))]).await.stop().await;
    for (service, own, others) in [
        ("user", ["user.created", "session.revoked"], ["order.created", "payment.success"]),
        ("order", ["order.created", "order.status_changed"], ["payment.success", "session.revoked"]),
        ("payment", ["payment.success", "payment.refunded"], ["order.created", "user.deleted"]),
    ] {
        let connection = connect(&account(&world, service).await).await.unwrap();
        for name in own {
            publish(&connection, EXCHANGE, name).await.unwrap();
        }
        for name in others {
            assert_refused(&format!("{service} says {name}"), publish(&connection, EXCHANGE, name).await);
        }
    }
}

#[tokio::test]
async fn a_service_can_not_write_where_only_another_may() {
    let world = World::new().await;
    victim(&world).await;
    world.consume(vec![Arc::new(world.consumer("payment.order_created"))]).await.stop().await;
    let connection = connect(&account(&world, "order").await).await.unwrap();

    let queue = "payment.order_created";
    for (exchange, key) in [(queue, "work"), (queue, "dead"), ("", queue)] {
        let what = format!("order publishes {key} to {exchange:?}");
        assert_refused(&what, publish(&connection, exchange, key).await);
    }
    let got = channel(&connection).await.basic_get(queue.into(), BasicGetOptions::default()).await;
    assert_refused("order reads another's queue", got);
    publish(&connection, "order.payment_outcomes", "work").await.unwrap();
}

#[tokio::test]
async fn a_services_account_is_enough_for_its_consumers_and_listeners() {
    let world = World::new().await;
    let consumer = world.consumer("order.payment_outcomes").that(|event| match event.sequence() {
        Some(1) => Ok(()),
        _ => Err(messaging::Failure::Retry("not yet".to_owned())),
    });
    let rabbitmq = rabbitmq(&account(&world, "order").await);
    let mut listener = Broker::from(rabbitmq.clone()).listen(&["order.created"]);
    let _running = run(&rabbitmq, vec![Arc::new(consumer)]);
    world.until_declared("order.payment_outcomes").await;
    assert!(matches!(listener.next().await, Heard::Anew));

    world.publish("order.created", event().to_string()).await;
    let failing = crate::world::event_with("sequence", "2".into());
    world.publish("order.created", failing.to_string()).await;

    world.until_effects("order.payment_outcomes", 1).await;
    world.until_dead("order.payment_outcomes", 1).await;
    assert!(matches!(listener.next().await, Heard::Event(_)));
}

#[tokio::test]
async fn a_gateway_listens_also_when_it_comes_first_and_says_nothing() {
    let world = World::new().await;
    let url = account(&world, "gateway").await;
    let mut listener = Broker::from(rabbitmq(&url)).listen(&["order.created"]);
    assert!(matches!(listener.next().await, Heard::Anew));
    world.publish("order.created", event().to_string()).await;
    assert!(matches!(listener.next().await, Heard::Event(_)));

    let connection = connect(&url).await.unwrap();
    assert_refused("says", publish(&connection, EXCHANGE, "order.created").await);
    assert_refused("writes", publish(&connection, "", "order.payment_outcomes").await);
}
