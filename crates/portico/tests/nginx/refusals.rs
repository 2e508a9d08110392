//! What nginx itself refuses, and how it says so.

use crate::client::{Answer, Ask};
use crate::edge::{Edge, Form};
use crate::gateway::{Gateway, private};

fn assert_refused(answer: &Answer, status: u16, code: &str, reason: &str) {
    let extensions = &answer.json()["errors"][0]["extensions"];
    assert_eq!(answer.status, status, "{answer:?}");
    assert_eq!((extensions["code"].as_str(), extensions["reason"].as_str()), (Some(code), Some(reason)));
    assert_eq!(extensions["requestId"], answer.header("x-request-id"));
    assert_eq!(answer.header("content-type"), "application/json");
    assert_eq!(answer.header("cache-control"), "no-store");
    assert!(answer.json().get("data").is_none(), "{answer:?}");
}

#[tokio::test]
async fn what_is_too_large_is_refused_before_it_reaches_the_gateway() {
    let gateway = Gateway::that_answers(|_| private("{}"));
    let edge = Edge::before(&gateway.address, Form::Hash).await;
    let client = edge.client();
    let mebibyte = " ".repeat(1024 * 1024);
    let body = client.ask(&Ask::post(format!("{mebibyte}{mebibyte} ")));
    assert_refused(&body, 413, "BAD_USER_INPUT", "BODY_TOO_LARGE");
    let header = client.ask(&Ask::get("/graphql").header("X-Long", "a".repeat(20_000)));
    assert_refused(&header, 431, "BAD_USER_INPUT", "HEADERS_TOO_LARGE");
    let url = client.ask(&Ask::get(format!("/graphql?query={}", "a".repeat(20_000))));
    assert_refused(&url, 414, "BAD_USER_INPUT", "URL_TOO_LONG");
    assert_eq!(gateway.sent().len(), 0);
    // What the gateway has its own word for reaches it.
    assert_eq!(client.ask(&Ask::post(format!("{mebibyte} "))).status, 200);
    assert_eq!(client.ask(&Ask::get("/graphql").header("X-Long", "a".repeat(15_000))).status, 200);
    edge.end().await;
}

#[tokio::test]
async fn who_asks_too_often_is_refused_and_told_when_to_come_back() {
    let gateway = Gateway::that_answers(|_| private("{}"));
    let edge = Edge::with(&gateway.address, Form::Hash, &[("NGINX_REQUESTS_PER_SECOND", "5")]).await;
    let client = edge.client();
    let refused =
        (0..50).map(|_| client.ask(&Ask::get("/graphql?query=a"))).find(|answer| answer.status != 200);
    let refused = refused.expect("50 requests at once are let through");
    assert_refused(&refused, 429, "RATE_LIMITED", "TOO_MANY_REQUESTS");
    assert_eq!(refused.header("retry-after"), "1");
    edge.end().await;
}

#[tokio::test]
async fn who_opens_too_many_connections_is_refused() {
    let gateway = Gateway::that_answers(|sent| {
        if sent.target.contains("slow") {
            std::thread::sleep(std::time::Duration::from_secs(3));
        }
        private("{}")
    });
    let edge = Edge::with(&gateway.address, Form::Hash, &[("NGINX_CONNECTIONS_PER_ADDRESS", "2")]).await;
    let slow: Vec<_> = (0..2)
        .map(|_| {
            let client = edge.client();
            std::thread::spawn(move || client.ask(&Ask::get("/graphql?slow").header("Cookie", "a")))
        })
        .collect();
    testkit::until("two are open", async || gateway.sent().len() == 2).await;
    let third = edge.client().ask(&Ask::get("/graphql?query=a"));
    assert_refused(&third, 429, "RATE_LIMITED", "TOO_MANY_REQUESTS");
    assert!(slow.into_iter().all(|one| one.join().unwrap().status == 200));
    edge.end().await;
}
