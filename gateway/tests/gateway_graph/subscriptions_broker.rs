//! Streams while RabbitMQ is cut off, and while there is none at all.

use std::time::{Duration, Instant};

use messaging::{Broker, BrokerConfig, RabbitMq, topology};
use testkit::{Proxy, until};
use uuid::Uuid;

use crate::{live::Live, real_world::RealWorld, world::World};

const FOLLOW: &str = "subscription { orderStatusChanged { orderId } }";

fn rabbitmq(url: &str, name: &str) -> Broker {
    RabbitMq::new(&BrokerConfig::at(url), name).unwrap().into()
}

/// A gateway that hears a virtual host of its own through a proxy. Events are told there without it.
async fn behind_proxy() -> (Live, Proxy, testkit::Broker) {
    let vhost = testkit::Broker::new().await;
    topology::declare_all(&BrokerConfig::at(vhost.url())).await.unwrap();
    let proxy = Proxy::new(vhost.address()).await;
    let world = World::hearing(rabbitmq(&vhost.url_at(proxy.address), "gateway"), &[]);
    (Live::of(world, rabbitmq(&vhost.url(), "order")).await, proxy, vhost)
}

#[tokio::test]
async fn a_broker_that_was_cut_off_ends_the_streams_and_those_who_come_back_hear_on() {
    let (live, proxy, _vhost) = behind_proxy().await;
    let (ada, order, _) = live.world.buyer();
    let mut client = live.client(&ada).await;
    until("the gateway hears the broker", async || {
        let after = Uuid::now_v7();
        client
            .subscribe("0", &format!(r#"subscription {{ orderStatusChanged(after: "{after}") {{ to }} }}"#))
            .await;
        // That event is known to nobody; before the gateway hears anything, it says that instead.
        client.refused("0").await.1 == "EVENTS_MISSED"
    })
    .await;
    client.subscribe("1", FOLLOW).await;
    client.settle().await;
    let seen = live.confirm(&ada, &order).await;
    assert_eq!(client.next("1", "orderStatusChanged").await["orderId"], order);

    assert_eq!(proxy.cut(), 1);
    // Nobody here hears this one: its queue went with the connection.
    live.confirm(&ada, &order).await;

    let missed = ("FAILED_PRECONDITION".to_owned(), "EVENTS_MISSED".to_owned());
    assert_eq!(client.refused("1").await, missed);
    let after = format!(r#"subscription {{ orderStatusChanged(after: "{seen}") {{ orderId }} }}"#);
    client.subscribe("2", &after).await;
    assert_eq!(client.refused("2").await, missed, "nobody resumes across the gap");
    client.subscribe("3", FOLLOW).await;
    client.settle().await;
    live.confirm(&ada, &order).await;
    assert_eq!(client.next("3", "orderStatusChanged").await["orderId"], order);
}

#[tokio::test]
async fn without_a_broker_the_streams_of_a_session_that_logs_out_end_within_seconds() {
    let world = RealWorld::new().await;
    let gateway = world.gateway_apart(rabbitmq("amqp://127.0.0.1:1/%2f", "gateway")).await;
    let (ada, bob) = (world.register("ada").await, world.register("bob").await);
    let (mut adas, mut bobs) = (gateway.client(&ada).await, gateway.client(&bob).await);

    assert_eq!(world.data(&ada, "mutation { logout }").await["logout"], true);

    let started = Instant::now();
    assert_eq!(adas.closed().await, 4403);
    // Two seconds from poll to poll, half a second from look to look, and some for a machine that is busy.
    assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
    bobs.settle().await;
}
