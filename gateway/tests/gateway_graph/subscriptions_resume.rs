//! Coming back: `after` an event, as far back as the gateway keeps them.

use serde_json::json;

use crate::live::{Client, Live, confirmed};

const MISSED: (&str, &str) = ("FAILED_PRECONDITION", "EVENTS_MISSED");

async fn follow_after(client: &mut Client, id: &str, event: &uuid::Uuid) {
    let query = format!(r#"subscription {{ orderStatusChanged(after: "{event}") {{ eventId }} }}"#);
    client.subscribe(id, &query).await;
}

#[tokio::test]
async fn who_comes_back_gets_what_was_missed_and_then_what_happens() {
    let live = Live::new().await;
    let (ada, order, _) = live.world.buyer();
    let mallory = live.world.customer("Mallory");
    let seen = live.confirm(&ada, &order).await;
    let missed = live.confirm(&ada, &order).await;
    live.confirm(&mallory, &order).await;
    let also_missed = live.confirm(&ada, &order).await;
    let mut client = live.client(&ada).await;
    follow_after(&mut client, "1", &seen).await;
    for event in [missed, also_missed] {
        assert_eq!(client.next("1", "orderStatusChanged").await["eventId"], json!(event));
    }
    let now = live.confirm(&ada, &order).await;
    assert_eq!(client.next("1", "orderStatusChanged").await["eventId"], json!(now));
    client.settle().await;
}

#[tokio::test]
async fn none_is_missed_and_none_comes_twice_while_events_go_on() {
    let live = Live::new().await;
    let (ada, order, _) = live.world.buyer();
    let mut last = live.confirm(&ada, &order).await;
    let told = async {
        let mut told = vec![];
        for _ in 0..20 {
            let said = vec![("order.status_changed", confirmed(&ada, &order)); 5];
            told.extend(live.say_all(said).await);
        }
        told
    };
    let heard = async {
        let mut heard = vec![];
        while heard.len() < 100 {
            // Some at a time, then gone, then back again.
            let mut client = live.client(&ada).await;
            follow_after(&mut client, "1", &last).await;
            for _ in 0..7.min(100 - heard.len()) {
                let event = client.next("1", "orderStatusChanged").await["eventId"].clone();
                last = event.as_str().unwrap().parse().unwrap();
                heard.push(last);
            }
        }
        heard
    };
    let (told, heard) = tokio::join!(told, heard);
    assert_eq!(told, heard);
}

#[tokio::test]
async fn past_the_window_the_client_is_told_to_read_anew() {
    let live = Live::with(&["--event-window", "3"]).await;
    let (ada, order, _) = live.world.buyer();
    let mut events = vec![];
    for _ in 0..4 {
        events.push(live.confirm(&ada, &order).await);
    }
    let mut client = live.client(&ada).await;
    for (id, event) in [("gone", events[0]), ("unknown", uuid::Uuid::now_v7())] {
        follow_after(&mut client, id, &event).await;
        let (code, reason) = client.refused(id).await;
        assert_eq!((code.as_str(), reason.as_str()), MISSED);
    }
    follow_after(&mut client, "kept", &events[1]).await;
    for event in &events[2..] {
        assert_eq!(client.next("kept", "orderStatusChanged").await["eventId"], json!(event));
    }
}

#[tokio::test]
async fn another_s_event_is_a_place_to_begin_but_is_not_told() {
    let live = Live::new().await;
    let (ada, order, _) = live.world.buyer();
    let mallory = live.world.customer("Mallory");
    let adas = live.confirm(&ada, &order).await;
    live.confirm(&ada, &order).await;
    let mut client = live.client(&mallory).await;
    follow_after(&mut client, "1", &adas).await;
    client.settle().await;
    let own = live.confirm(&mallory, &order).await;
    assert_eq!(client.next("1", "orderStatusChanged").await["eventId"], json!(own));
}

#[tokio::test]
async fn without_a_broker_a_subscription_says_so() {
    let live = Live::new().await;
    // A second gateway whose broker was never reached.
    let config: gateway::Config = runtime::config::parse([
        "gateway",
        "--listen",
        "127.0.0.1:0",
        "--admin-listen",
        "127.0.0.1:0",
        "--amqp-url",
        "amqp://127.0.0.1:1/%2f",
    ])
    .unwrap();
    let clients = gateway::Clients::connect(&config).unwrap();
    let broker = messaging::RabbitMq::new(&config.broker, "gateway").unwrap();
    let app = gateway::App::build(config, clients, live.world.sessions.clone(), broker.into());
    let bound = app.bind().await.unwrap();
    let (address, stop) = (bound.address().unwrap(), runtime::Stop::new());
    let ended = tokio::spawn(bound.serve(stop.clone()));
    let protocol = [("sec-websocket-protocol", "graphql-transport-ws")];
    let mut client = Client::open(address, &protocol).await.unwrap();
    client.init(&live.world.customer("Ada")).await;
    client.subscribe("1", "subscription { orderStatusChanged { eventId } }").await;
    assert_eq!(client.refused("1").await, ("SERVICE_UNAVAILABLE".into(), "EVENTS_UNAVAILABLE".into()));
    stop.cancel();
    ended.await.unwrap().unwrap();
}
