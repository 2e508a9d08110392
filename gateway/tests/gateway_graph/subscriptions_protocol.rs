//! graphql-transport-ws to the letter: what each message gets, and the code by which a socket is closed.

use std::time::Duration;

use futures::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;

use crate::live::{Client, Live};

const FOLLOW: &str = "subscription { orderStatusChanged { orderId } }";

#[tokio::test]
async fn a_socket_that_never_says_hello_is_closed() {
    let live = Live::with(&["--init-timeout", "0.2"]).await;
    assert_eq!(live.connect().await.closed().await, 4408);
}

#[tokio::test]
async fn hello_is_said_once() {
    let live = Live::new().await;
    let ada = live.world.customer("Ada");
    let mut client = live.client(&ada).await;
    client.send(json!({ "type": "connection_init" })).await;
    assert_eq!(client.closed().await, 4429);
}

#[tokio::test]
async fn nothing_is_asked_before_hello() {
    let live = Live::new().await;
    let mut client = live.connect().await;
    client.subscribe("1", "{ __typename }").await;
    assert_eq!(client.closed().await, 4401);
}

#[tokio::test]
async fn an_id_names_one_operation_at_a_time() {
    let live = Live::new().await;
    let mut client = live.client(&live.world.customer("Ada")).await;
    for _ in 0..2 {
        client.subscribe("1", FOLLOW).await;
        client.settle().await;
        client.send(json!({ "type": "complete", "id": "1" })).await;
    }
    client.subscribe("1", FOLLOW).await;
    client.subscribe("1", FOLLOW).await;
    assert_eq!(client.closed().await, 4409);
}

#[tokio::test]
async fn what_is_no_message_of_the_protocol_closes_the_socket() {
    let live = Live::new().await;
    let ada = live.world.customer("Ada");
    let deep = "[".repeat(10_000);
    for text in [
        "",
        "hello",
        "{}",
        &deep,
        r#"{"type":"start","id":"1","payload":{"query":"{ me { id } }"}}"#,
        r#"{"type":"subscribe","id":"","payload":{"query":"{ me { id } }"}}"#,
        r#"{"type":"subscribe","id":"1","payload":{"query":7}}"#,
        r#"{"type":"subscribe","id":"1","payload":{"query":"{ me { id } }","variables":[]}}"#,
    ] {
        for greeted in [true, false] {
            let mut client = if greeted { live.client(&ada).await } else { live.connect().await };
            client.socket.send(Message::text(text)).await.unwrap();
            let closed = client.closed().await;
            assert!(closed == 4400 || (!greeted && closed == 4401), "{closed}: {text}");
        }
    }
    let mut client = live.client(&ada).await;
    client.socket.send(Message::binary(br#"{"type":"ping"}"#.to_vec())).await.unwrap();
    assert_eq!(client.closed().await, 4400);
}

#[tokio::test]
async fn a_message_of_a_megabyte_closes_the_socket() {
    let live = Live::new().await;
    let ada = live.world.customer("Ada");
    for greeted in [true, false] {
        let mut client = if greeted { live.client(&ada).await } else { live.connect().await };
        let huge = json!({ "type": "subscribe", "id": "1", "payload": { "query": "x".repeat(1 << 20) } });
        let _ = client.socket.send(Message::text(huge.to_string())).await;
        assert_eq!(client.closed().await, 1009);
    }
}

#[tokio::test]
async fn who_speaks_another_protocol_is_told_by_its_code() {
    let live = Live::new().await;
    for headers in [vec![], vec![("sec-websocket-protocol", "graphql-ws")]] {
        let mut client = Client::open(live.address, &headers).await.unwrap();
        assert!(!client.head.contains("sec-websocket-protocol"), "{}", client.head);
        assert_eq!(client.closed().await, 4406);
    }
    let both = [("sec-websocket-protocol", "graphql-ws, graphql-transport-ws")];
    let client = Client::open(live.address, &both).await.unwrap();
    assert!(client.head.contains("sec-websocket-protocol: graphql-transport-ws\r\n"), "{}", client.head);
}

#[tokio::test]
async fn a_ping_is_answered_before_and_after_hello() {
    let live = Live::new().await;
    let mut client = live.connect().await;
    for greeted in [false, true] {
        if greeted {
            client.init(&live.world.customer("Ada")).await;
        }
        client.send(json!({ "type": "ping", "payload": { "n": 1 } })).await;
        assert_eq!(client.receive().await, json!({ "type": "pong", "payload": { "n": 1 } }));
        client.send(json!({ "type": "ping" })).await;
        assert_eq!(client.receive().await, json!({ "type": "pong" }));
        client.send(json!({ "type": "pong" })).await;
        client.send(json!({ "type": "complete", "id": "unknown" })).await;
    }
    client.settle().await;
}

#[tokio::test]
async fn a_goodbye_is_answered() {
    let live = Live::new().await;
    let ada = live.world.customer("Ada");
    let mut client = live.client(&ada).await;
    client.socket.close(None).await.unwrap();
    let answer = timeout(Duration::from_secs(10), client.socket.next()).await.unwrap();
    assert!(matches!(answer, Some(Ok(Message::Close(_)))), "{answer:?}");
}

#[tokio::test]
async fn a_peer_that_gives_no_sign_of_life_is_let_go_and_one_that_does_is_kept() {
    let live = Live::with(&["--keepalive", "0.1"]).await;
    let (ada, bob) = (live.world.customer("Ada"), live.world.customer("Bob"));
    let mut alive = live.client(&ada).await;
    let dead = live.client(&bob).await;
    // The client answers pings while it is asked for messages, and only then.
    let listening = tokio::time::timeout(Duration::from_millis(600), alive.receive()).await;
    assert!(listening.is_err(), "{listening:?}");
    alive.settle().await;
    let mut stream = dead.socket.into_inner();
    let cut = async {
        use tokio::io::AsyncReadExt;
        while stream.read(&mut [0; 64]).await.unwrap_or(0) > 0 {}
    };
    tokio::time::timeout(Duration::from_secs(5), cut).await.expect("the dead peer is let go");
}

#[tokio::test]
async fn a_handshake_that_is_none_is_refused_in_the_form_of_every_refusal() {
    let live = Live::new().await;
    let request = axum::http::Request::get("/graphql")
        .header("connection", "upgrade")
        .header("upgrade", "websocket")
        .body(axum::body::Body::empty())
        .unwrap();
    let answer = live.world.send(request).await;
    assert_eq!(answer.status, 400);
    assert_eq!(crate::world::reason(&answer.body).1, "REQUEST_MALFORMED");
}

#[tokio::test]
async fn a_token_may_stand_in_the_handshake_and_must_be_good_wherever_it_stands() {
    let live = Live::new().await;
    let ada = live.world.customer("Ada");
    let good = format!("Bearer {}", secrecy::ExposeSecret::expose_secret(&ada.token));
    let protocol = ("sec-websocket-protocol", "graphql-transport-ws");
    let mut client = Client::open(live.address, &[protocol, ("authorization", &good)]).await.unwrap();
    client.send(json!({ "type": "connection_init" })).await;
    assert_eq!(client.receive().await["type"], "connection_ack");
    client.subscribe("1", "{ me { email } }").await;
    assert_eq!(client.next("1", "me").await["email"], "ada@example.com");

    let refused = Client::open(live.address, &[protocol, ("authorization", "Bearer nonsense")]).await;
    assert_eq!(refused.err(), Some(401));
    for payload in [json!({ "token": "nonsense" }), json!({ "Authorization": "Bearer nonsense" })] {
        let mut client = live.connect().await;
        client.send(json!({ "type": "connection_init", "payload": payload })).await;
        assert_eq!(client.closed().await, 4403);
    }
}

#[tokio::test]
async fn after_every_abuse_the_gateway_serves_on() {
    let live = Live::with(&["--operations-per-socket", "10"]).await;
    let ada = live.world.customer("Ada");
    let mut client = live.client(&ada).await;
    for n in 0..10_000 {
        client.subscribe(&n.to_string(), FOLLOW).await;
        if n >= 10 {
            assert_eq!(client.refused(&n.to_string()).await.1, "TOO_MANY_OPERATIONS");
        }
    }
    client.send(json!({ "type": "complete", "id": "3" })).await;
    client.subscribe("q", "{ __typename }").await;
    assert_eq!(client.receive().await["payload"]["data"], json!({ "__typename": "Query" }));
    let body: Value = live.world.ask(Some(&ada), "{ me { email } }").await;
    assert_eq!(body["data"]["me"]["email"], "ada@example.com");
}
