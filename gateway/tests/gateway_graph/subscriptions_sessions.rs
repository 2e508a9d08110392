//! The end of a stream: its token's, its session's, and the gateway's.

use std::time::Duration;

use identity::TOKEN_LIFETIME;
use serde_json::json;
use tokio::time::{Instant, timeout};

use crate::live::{Events, Live};

const FOLLOW: &str = "subscription { orderStatusChanged { orderId } }";

#[tokio::test]
async fn a_stream_ends_with_its_token() {
    let live = Live::new().await;
    let ada = live.world.customer("Ada");
    let mut client = live.client(&ada).await;
    let mut events = Events::post(live.address, Some(&ada), FOLLOW).await;
    live.world.clock.advance(TOKEN_LIFETIME + Duration::from_secs(1));
    assert_eq!(client.closed().await, 4403);
    let (name, data) = events.next().await.unwrap();
    assert_eq!(name, "next");
    assert_eq!(data["errors"][0]["extensions"]["reason"], "TOKEN_EXPIRED", "{data}");
    assert_eq!(events.next().await.unwrap().0, "complete");
    assert!(events.next().await.is_none());
}

#[tokio::test]
async fn a_session_revoked_by_an_event_ends_its_streams_at_once_and_no_others() {
    let live = Live::new().await;
    let (ada, bob) = (live.world.customer("Ada"), live.world.customer("Bob"));
    let (mut adas, mut bobs) = (live.client(&ada).await, live.client(&bob).await);
    let mut events = Events::post(live.address, Some(&ada), FOLLOW).await;
    let data = json!({ "sessionId": ada.viewer.session_id, "userId": ada.viewer.user_id,
        "revokedAt": live.world.clock.now() });
    live.say("session.revoked", data).await;
    assert_eq!(adas.closed().await, 4403);
    assert_eq!(events.next().await.unwrap().1["errors"][0]["extensions"]["reason"], "SESSION_REVOKED");
    bobs.settle().await;
    // And nobody comes in with that token again.
    let mut again = live.connect().await;
    let token = secrecy::ExposeSecret::expose_secret(&ada.token).to_owned();
    again.send(json!({ "type": "connection_init", "payload": { "token": token } })).await;
    assert_eq!(again.closed().await, 4403);
}

#[tokio::test]
async fn a_session_revoked_without_an_event_ends_its_streams_within_two_seconds() {
    let live = Live::new().await;
    let ada = live.world.customer("Ada");
    let mut client = live.client(&ada).await;
    // What the poll of the user service does when it finds the session.
    live.world.sessions.revoke(ada.viewer.session_id, live.world.clock.now());
    assert_eq!(timeout(Duration::from_secs(2), client.closed()).await, Ok(4403));
}

#[tokio::test]
async fn what_is_told_to_a_session_in_the_moment_after_its_end_is_not_heard() {
    let live = Live::new().await;
    let (ada, order, _) = live.world.buyer();
    let mut client = live.client(&ada).await;
    client.subscribe("1", FOLLOW).await;
    client.settle().await;
    live.world.sessions.revoke(ada.viewer.session_id, live.world.clock.now());
    live.confirm(&ada, &order).await;
    // `closed` would pass over an event.
    match futures::StreamExt::next(&mut client.socket).await {
        Some(Ok(tokio_tungstenite::tungstenite::Message::Close(Some(frame)))) => {
            assert_eq!(u16::from(frame.code), 4403);
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn when_the_gateway_stops_it_says_goodbye_and_is_gone_in_time() {
    let live = Live::new().await;
    let ada = live.world.customer("Ada");
    let mut client = live.client(&ada).await;
    let mut silent = live.connect().await;
    client.subscribe("1", FOLLOW).await;
    client.settle().await;
    let mut events = Events::post(live.address, Some(&ada), FOLLOW).await;
    let started = Instant::now();
    live.stop.cancel();
    assert_eq!((client.closed().await, silent.closed().await), (1001, 1001));
    assert!(events.next().await.is_none(), "without `complete`, so that the client comes back");
    let _keeps_its_socket_open = silent;
    live.ended.await.unwrap().unwrap();
    assert!(started.elapsed() < runtime::lifecycle::DRAIN_DEADLINE / 2);
}
