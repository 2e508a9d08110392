//! A gateway that is away or fails.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::client::Ask;
use crate::edge::{Edge, Form};
use crate::gateway::{Gateway, Said, public};

/// Waits until what was kept for a second is out of date.
async fn until_stale(client: &crate::client::Client, ask: &Ask) {
    testkit::until("it is stale", async || client.cached(ask) == "STALE").await;
}

#[tokio::test]
async fn while_the_gateway_is_away_public_answers_are_given_though_they_are_old() {
    let gateway = Gateway::that_answers(|_| public("kept", 1));
    let edge = Edge::before(&gateway.address, Form::Hash).await;
    let (client, ask) = (edge.client(), Ask::post("{\"query\":\"{ products { data { id } } }\"}"));
    client.ask(&ask);
    gateway.leave();
    until_stale(&client, &ask).await;
    let answer = client.ask(&ask);
    assert_eq!((answer.status, answer.body.as_str()), (200, "kept"));
    // And no others.
    let own = client.ask(&ask.header("Authorization", "Bearer one"));
    assert_eq!((own.status, own.code().as_str()), (502, "SERVICE_UNAVAILABLE"));
    assert_eq!(own.header("retry-after"), "1");
    assert_eq!(own.json()["errors"][0]["extensions"]["requestId"], own.header("x-request-id"));
    edge.end().await;
}

#[tokio::test]
async fn while_the_gateway_fails_public_answers_are_given_though_they_are_old() {
    let fails = Arc::new(AtomicBool::new(false));
    let flag = fails.clone();
    let gateway = Gateway::that_answers(move |_| match flag.load(Ordering::SeqCst) {
        false => public("kept", 1),
        true => Said { head: "503 Service Unavailable".to_owned(), body: "no".to_owned() },
    });
    let edge = Edge::before(&gateway.address, Form::Hash).await;
    let (client, ask) = (edge.client(), Ask::get("/graphql?query=a"));
    client.ask(&ask);
    fails.store(true, Ordering::SeqCst);
    until_stale(&client, &ask).await;
    assert_eq!(client.ask(&ask).body, "kept");
    // The gateway's own words, where nothing is kept.
    let other = client.ask(&Ask::get("/graphql?query=b"));
    assert_eq!((other.status, other.body.as_str()), (503, "no"));
    edge.end().await;
}

#[tokio::test]
async fn rest_clients_are_told_in_the_form_of_rest() {
    let gateway = Gateway::that_answers(|_| public("", 1));
    let edge = Edge::before(&gateway.address, Form::Hash).await;
    gateway.leave();
    let answer = edge.client().ask(&Ask::get("/api/v1/orders"));
    assert_eq!(answer.status, 502);
    assert_eq!(answer.json()["error"]["code"], "SERVICE_UNAVAILABLE");
    assert_eq!(answer.json()["error"]["details"]["requestId"], answer.header("x-request-id"));
    edge.end().await;
}
