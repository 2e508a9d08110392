//! What streams, through nginx, from the real gateway.

use futures::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Duration, timeout};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;

use crate::client::Ask;
use crate::edge::{Edge, Form};
use crate::system::System;

const FOLLOW: &str = "subscription { orderStatusChanged { to order { id } } }";

/// Places an order and cancels it; gives its id.
fn place_and_cancel(edge: &Edge, token: &str) -> String {
    let ask = |query: &str| {
        let ask = Ask::post(json!({ "query": query }).to_string());
        edge.client().ask(&ask.header("Authorization", format!("Bearer {token}"))).json()
    };
    let placed = ask("mutation { createOrder(input: {shippingAddress: \"1 Main St\", \
                      items: [{productId: \"prod-1\", quantity: 1}]}) { id } }");
    let order = placed["data"]["createOrder"]["id"].as_str().unwrap_or_else(|| panic!("{placed}")).to_owned();
    let cancelled = ask(&format!("mutation {{ cancelOrder(id: \"{order}\") {{ status }} }}"));
    assert_eq!(cancelled["data"]["cancelOrder"]["status"], "CANCELLED", "{cancelled}");
    order
}

#[tokio::test(flavor = "multi_thread")]
async fn a_websocket_and_an_event_stream_pass_and_are_told_at_once() {
    let system = System::start();
    let edge = Edge::before(&system.gateway, Form::Hash).await;
    let (token, _) = system.log_in("ada@example.com", "demo-customer-4711");
    let address = edge.nginx.url().trim_start_matches("http://").to_owned();

    let mut request = format!("ws://{address}/graphql").into_client_request().unwrap();
    request.headers_mut().insert("Sec-WebSocket-Protocol", "graphql-transport-ws".parse().unwrap());
    let stream = TcpStream::connect(&address).await.unwrap();
    let (mut socket, _) = tokio_tungstenite::client_async(request, stream).await.unwrap();
    let init = json!({"type": "connection_init", "payload": {"Authorization": format!("Bearer {token}")}});
    socket.send(Message::text(init.to_string())).await.unwrap();
    let mut next = async || -> Value {
        let message = timeout(Duration::from_secs(10), socket.next()).await.unwrap().unwrap().unwrap();
        serde_json::from_str(message.to_text().unwrap()).unwrap()
    };
    assert_eq!(next().await["type"], "connection_ack");
    let subscribe = json!({"id": "1", "type": "subscribe", "payload": {"query": FOLLOW}});
    socket.send(Message::text(subscribe.to_string())).await.unwrap();

    let mut events = TcpStream::connect(&address).await.unwrap();
    let body = json!({ "query": FOLLOW }).to_string();
    let request = format!(
        "POST /graphql HTTP/1.1\r\nHost: {address}\r\nAccept: text/event-stream\r\nAuthorization: Bearer {token}\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    events.write_all(request.as_bytes()).await.unwrap();
    let mut told = String::new();
    let mut until_told = async |what: &str| {
        let mut buffer = [0; 4096];
        while !told.contains(what) {
            let read = timeout(Duration::from_secs(10), events.read(&mut buffer)).await;
            let read = read.unwrap_or_else(|_| panic!("no {what} in {told}")).unwrap();
            assert!(read > 0, "the stream ended: {told}");
            told.push_str(&String::from_utf8_lossy(&buffer[..read]));
        }
    };
    until_told("text/event-stream").await;
    // Once the gateway has answered with the head of the stream it follows; of the socket an answered ping tells that.
    socket.send(Message::text(r#"{"type":"ping"}"#)).await.unwrap();
    let pong = timeout(Duration::from_secs(10), socket.next()).await.unwrap().unwrap().unwrap();
    assert!(pong.to_text().unwrap().contains("pong"), "{pong}");

    let order = place_and_cancel(&edge, &token);
    until_told(&order).await;
    let message = timeout(Duration::from_secs(10), socket.next()).await.unwrap().unwrap().unwrap();
    assert!(message.to_text().unwrap().contains(&order), "{message}");
    drop((socket, events));
    edge.end().await;
}
