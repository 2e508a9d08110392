//! RabbitMQ that is away, or goes away, loses nothing and stops nothing.

use std::time::{Duration, Instant};

use messaging::RelayError;
use rand::RngExt;
use testkit::{Proxy, until};
use tokio::{io::AsyncReadExt, net::TcpListener, time::timeout};
use uuid::Uuid;

use crate::world::{World, broker, counted, event};

#[tokio::test]
async fn connections_that_are_cut_in_the_middle_lose_nothing_and_keep_the_order() {
    let world = World::new().await;
    let witness = world.witness(&["order.created"]).await;
    let proxy = Proxy::new(world.vhost.address()).await;
    let aggregates: Vec<_> = (0..200).map(|_| Uuid::now_v7()).collect();
    for sequence in 1..=20 {
        let events: Vec<_> = aggregates.iter().map(|aggregate| event(*aggregate, sequence)).collect();
        world.say(&events).await;
    }

    let _relay = world.run_to(&world.vhost.url_at(proxy.address));
    for _ in 0..5 {
        // An event takes some 500 bytes.
        proxy.cut_after(rand::rng().random_range(5_000..200_000));
        until("the connection is cut", async || proxy.was_cut()).await;
    }

    until("all is told", async || world.waiting().await == 0).await;
    until("all is heard", async || world.heard_all(&witness, &aggregates, 20)).await;
}

#[tokio::test]
async fn a_broker_that_is_away_at_the_start_is_waited_for() {
    let world = World::new().await;
    let witness = world.witness(&["order.created"]).await;
    let nobody = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = nobody.local_addr().unwrap();
    drop(nobody);
    runtime::telemetry::metrics();
    let connected = "broker_connected{connection=\"order publishing\"}";
    world.say(&[event(Uuid::now_v7(), 1)]).await;

    let relay = world.run_to(&world.vhost.url_at(address));
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!((world.waiting().await, relay.task.is_finished()), (1, false));
    assert!(counted(connected).abs() < f64::EPSILON);
    let _proxy = Proxy::at(TcpListener::bind(address).await.unwrap(), world.vhost.address());

    until("it is told", async || world.waiting().await == 0).await;
    until("it is heard", async || witness.count() == 1).await;
    assert!((counted(connected) - 1.0).abs() < f64::EPSILON);
}

#[tokio::test]
async fn connections_that_an_operator_closes_are_made_again() {
    let world = World::new().await;
    let _relay = world.run();
    let witness = world.witness(&["order.created"]).await;
    world.say(&[event(Uuid::now_v7(), 1)]).await;
    until("it is told", async || world.waiting().await == 0).await;
    until("it is heard", async || witness.count() == 1).await;

    // The witness' connection is closed once, the relay's as often as it is there.
    let mut closed = 0;
    until("they are closed", async || {
        closed += world.vhost.close_connections().await;
        closed >= 2
    })
    .await;
    let witness = world.witness(&["order.created"]).await;
    world.say(&[event(Uuid::now_v7(), 1)]).await;

    until("it is told", async || world.waiting().await == 0).await;
    until("it is heard", async || witness.count() == 1).await;
}

#[tokio::test]
async fn without_patience_a_broker_that_is_away_is_not_waited_for() {
    let world = World::new().await;
    world.say(&[event(Uuid::now_v7(), 1)]).await;
    let nobody = TcpListener::bind("127.0.0.1:0").await.unwrap();

    // It takes the connection and says nothing.
    let silent = broker(&world.vhost.url_at(nobody.local_addr().unwrap()));
    let start = Instant::now();
    let told: Result<usize, RelayError> = world.outbox.relay_once(&silent).await;

    assert_eq!((told.unwrap(), world.waiting().await), (0, 1));
    assert!(start.elapsed() < Duration::from_secs(20), "{:?}", start.elapsed());
}

#[tokio::test]
async fn a_relay_stops_while_the_broker_is_away() {
    let world = World::new().await;
    world.say(&[event(Uuid::now_v7(), 1)]).await;
    let mut relay = world.run_to("amqp://127.0.0.1:1/nowhere");
    tokio::time::sleep(Duration::from_millis(300)).await;

    relay.stop.cancel();
    (&mut relay.task).await.unwrap();
    assert_eq!(world.waiting().await, 1);
}

#[tokio::test]
async fn a_broker_that_says_nothing_is_let_go_before_the_next_try() {
    let world = World::new().await;
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    world.say(&[event(Uuid::now_v7(), 1)]).await;

    let _relay = world.run_to(&world.vhost.url_at(silent.local_addr().unwrap()));
    let (mut taken, _) = silent.accept().await.unwrap();

    let mut said = Vec::new();
    let ended = timeout(Duration::from_secs(20), taken.read_to_end(&mut said)).await;
    assert!(ended.is_ok(), "the connection is still there");
    assert_eq!(said, b"AMQP\0\0\x09\x01");
}
