//! Consumers come back by themselves, whatever is lost.

use std::{sync::Arc, time::Duration};

use lapin::{
    options::{QueueDeclareOptions, QueueDeleteOptions},
    types::FieldTable,
};
use testkit::{Proxy, until};
use tokio::net::TcpListener;

use crate::{
    recorder,
    world::{World, event, rabbitmq, run},
};

#[tokio::test]
async fn a_broker_that_is_away_at_the_start_is_waited_for() {
    let world = World::new().await;
    let consumer = Arc::new(world.consumer("orders"));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let _running = run(&rabbitmq(&world.vhost.url_at(address)), vec![consumer]);
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(world.ready("orders").await, None);

    let _proxy = Proxy::at(TcpListener::bind(address).await.unwrap(), world.vhost.address());

    world.until_declared("orders").await;
    world.publish("order.created", event().to_string()).await;
    world.until_effects("orders", 1).await;
}

#[tokio::test]
async fn a_consumer_that_waits_for_a_broker_stops_at_once() {
    let world = World::new().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    // It accepts, and never says a word.
    let url = world.vhost.url_at(listener.local_addr().unwrap());
    let running = run(&rabbitmq(&url), vec![Arc::new(world.consumer("orders"))]);
    tokio::time::sleep(Duration::from_millis(200)).await;

    tokio::time::timeout(Duration::from_secs(3), running.stop()).await.expect("it does not stop");
}

#[tokio::test]
async fn connections_that_are_cut_lose_nothing_and_have_no_second_effect() {
    let world = World::new().await;
    let proxy = Proxy::new(world.vhost.address()).await;
    let consumer = Arc::new(world.consumer("orders").taking(Duration::from_millis(20)));
    let _running = run(&rabbitmq(&world.vhost.url_at(proxy.address)), vec![consumer]);
    world.until_declared("orders").await;
    for _ in 0..200 {
        world.publish("order.created", event().to_string()).await;
    }

    for handled in [20, 60, 100, 140] {
        until("more are handled", async || recorder::effects(world.pool(), "orders").await.0 >= handled)
            .await;
        proxy.cut();
    }

    world.until_effects("orders", 200).await;
    world.until_dead("orders", 0).await;
    until("all is acknowledged", async || world.ready("orders").await == Some(0)).await;
}

#[tokio::test]
async fn connections_that_an_operator_closes_are_made_again() {
    let mut world = World::new().await;
    let _running = world.consume(vec![Arc::new(world.consumer("orders"))]).await;
    // The test's own is closed once, the consumer's as often as it is there.
    let mut closed = 0;
    until("they are known and closed", async || {
        closed += world.vhost.close_connections().await;
        closed >= 2
    })
    .await;

    // The test's own is closed too.
    world.reconnect().await;
    world.publish("order.created", event().to_string()).await;

    world.until_effects("orders", 1).await;
}

#[tokio::test]
async fn a_channel_that_an_error_closes_takes_no_other_with_it_and_comes_back() {
    let world = World::new().await;
    // Under the name of one of them is something else.
    let channel = world.connection.create_channel().await.unwrap();
    let options = QueueDeclareOptions::durable();
    channel.queue_declare("troubled".into(), options, FieldTable::default()).await.unwrap();
    let consumers = vec![Arc::new(world.consumer("troubled")), Arc::new(world.consumer("orders"))];
    let _running = run(&rabbitmq(&world.vhost.url()), consumers);
    world.until_declared("orders").await;
    world.publish("order.created", event().to_string()).await;
    world.until_effects("orders", 1).await;

    channel.queue_delete("troubled".into(), QueueDeleteOptions::default()).await.unwrap();

    world.until_declared("troubled").await;
    world.publish("order.created", event().to_string()).await;
    world.until_effects("troubled", 1).await;
    world.until_effects("orders", 2).await;
}

#[tokio::test]
async fn a_queue_that_is_deleted_is_made_again() {
    let world = World::new().await;
    let _running = world.consume(vec![Arc::new(world.consumer("orders"))]).await;
    let channel = world.connection.create_channel().await.unwrap();
    world.publish("order.created", event().to_string()).await;
    world.until_effects("orders", 1).await;

    channel.queue_delete("orders".into(), QueueDeleteOptions::default()).await.unwrap();

    until("it is there again", async || world.ready("orders").await.is_some()).await;
    until("it is bound", async || world.is_taken("order.created", event().to_string()).await).await;
    world.until_effects("orders", 2).await;
}
