//! What bounds a client, and that the others do not feel it.

use std::time::Duration;

use futures::{StreamExt, future::join_all};
use serde_json::json;
use tokio::time::timeout;

use crate::live::{Events, Live, confirmed};

const FOLLOW: &str = "subscription { orderStatusChanged { eventId } }";

#[tokio::test]
async fn a_socket_has_so_many_operations_at_once() {
    let live = Live::with(&["--operations-per-socket", "2"]).await;
    let mut client = live.client(&live.world.customer("Ada")).await;
    for id in ["1", "2"] {
        client.subscribe(id, FOLLOW).await;
    }
    client.subscribe("3", FOLLOW).await;
    assert_eq!(client.refused("3").await, ("RATE_LIMITED".into(), "TOO_MANY_OPERATIONS".into()));
    client.send(json!({ "type": "complete", "id": "1" })).await;
    client.subscribe("3", "{ __typename }").await;
    assert_eq!(client.receive().await["type"], "next");
}

#[tokio::test]
async fn a_user_has_so_many_streams_at_once() {
    let live = Live::with(&["--sockets-per-user", "2"]).await;
    let (ada, bob) = (live.world.customer("Ada"), live.world.customer("Bob"));
    let first = live.client(&ada).await;
    let _stream = Events::post(live.address, Some(&ada), FOLLOW).await;
    let mut third = live.connect().await;
    let token = secrecy::ExposeSecret::expose_secret(&ada.token).to_owned();
    third.send(json!({ "type": "connection_init", "payload": { "token": token } })).await;
    assert_eq!(third.closed().await, 4429);
    let mut refused = Events::post(live.address, Some(&ada), FOLLOW).await;
    let (_, data) = refused.next().await.unwrap();
    assert_eq!(data["errors"][0]["extensions"]["reason"], "TOO_MANY_STREAMS", "{data}");
    live.client(&bob).await.settle().await;
    drop(first);
    // The gateway notices a moment later.
    let come_in = async {
        loop {
            let mut client = live.connect().await;
            client.send(json!({ "type": "connection_init", "payload": { "token": token } })).await;
            if let Some(Ok(message)) = client.socket.next().await
                && message.is_text()
            {
                return;
            }
        }
    };
    timeout(Duration::from_secs(5), come_in).await.expect("there is room again");
}

#[tokio::test]
async fn a_slow_reader_loses_its_connection_and_the_others_no_event() {
    let live = Live::with(&["--event-window", "8", "--write-timeout", "0.3"]).await;
    let admin = live.world.admin();
    let mut quick = live.client(&admin).await;
    quick.subscribe("1", "subscription { domainEvents { id data } }").await;
    quick.settle().await;
    let mut slow = live.client(&admin).await;
    slow.subscribe("1", "subscription { domainEvents { id data } }").await;
    slow.settle().await;
    let slow_stream =
        Events::post(live.address, Some(&admin), "subscription { domainEvents { id data } }").await;
    // More than the buffers of the system take.
    let data = json!({ "notes": "x".repeat(1 << 20) });
    for _ in 0..24 {
        let event = live.say("order.deleted", data.clone()).await;
        assert_eq!(quick.next("1", "domainEvents").await["id"], json!(event));
    }
    let cut = async {
        while let Some(Ok(message)) = slow.socket.next().await {
            if message.is_close() {
                break;
            }
        }
    };
    timeout(Duration::from_secs(10), cut).await.expect("the slow reader is let go");
    let mut slow_stream = slow_stream;
    let mut last = None;
    let cut = async {
        while let Some((name, data)) = slow_stream.next().await {
            last = Some((name, data["errors"][0]["extensions"]["reason"].clone()));
        }
    };
    timeout(Duration::from_secs(10), cut).await.expect("the slow stream is let go");
    quick.settle().await;
}

#[tokio::test]
async fn one_event_reaches_each_of_many_subscribers_once() {
    let live = Live::with(&["--sockets-per-user", "1000", "--rate-limits", "off"]).await;
    let (ada, order, _) = live.world.buyer();
    let mut clients = join_all((0..200).map(|_| live.client(&ada))).await;
    join_all(clients.iter_mut().map(async |client| {
        client.subscribe("1", FOLLOW).await;
        client.settle().await;
    }))
    .await;
    let events = live.say_all(vec![("order.status_changed", confirmed(&ada, &order)); 2]).await;
    join_all(clients.iter_mut().map(async |client| {
        for event in &events {
            assert_eq!(client.next("1", "orderStatusChanged").await["eventId"], json!(event));
        }
        client.settle().await;
    }))
    .await;
}
