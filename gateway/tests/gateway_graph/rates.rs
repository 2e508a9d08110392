//! How often clients may ask, and who counts as one.

use std::{net::SocketAddr, time::Duration};

use axum::{
    body::Body,
    http::{Request, StatusCode, header},
};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::advance,
};

use crate::{
    live::Live,
    world::{Answer, World, post, reason},
};

const TYPENAME: &str = "{ __typename }";

fn query(text: &str) -> Value {
    json!({ "query": text })
}

fn is_limited(answer: &Answer, expected: &str) {
    assert_eq!(answer.status, StatusCode::TOO_MANY_REQUESTS, "{}", answer.text);
    assert_eq!(reason(&answer.body), ("RATE_LIMITED", expected));
}

#[tokio::test(start_paused = true)]
async fn a_user_may_send_so_many_requests_and_another_after_a_while() {
    let world = World::with(&["--rate-limit-per-second", "1", "--rate-limit-burst", "2"]);
    let (ada, bob) = (world.customer("Ada"), world.customer("Bob"));
    let ask = async |who| world.send(post(Some(who), &query(TYPENAME))).await;
    for left in ["\"requests\";r=1;t=1", "\"requests\";r=0;t=2"] {
        let answer = ask(&ada).await;
        assert_eq!(answer.status, StatusCode::OK);
        assert_eq!(answer.headers["ratelimit"], left);
        assert_eq!(answer.headers["ratelimit-policy"], "\"requests\";q=2;w=2, \"cost\";q=10000;w=5");
    }
    let refused = ask(&ada).await;
    is_limited(&refused, "REQUEST_RATE_EXCEEDED");
    assert_eq!(refused.headers[header::RETRY_AFTER], "1");
    assert_eq!(refused.headers["ratelimit"], "\"requests\";r=0;t=1");
    assert_eq!(ask(&bob).await.status, StatusCode::OK);
    advance(Duration::from_secs(1)).await;
    assert_eq!(ask(&ada).await.status, StatusCode::OK);
    is_limited(&ask(&ada).await, "REQUEST_RATE_EXCEEDED");
}

#[tokio::test(start_paused = true)]
async fn a_heavy_query_counts_as_what_it_is() {
    let world =
        World::with(&["--cost-limit-per-second", "10", "--cost-limit-burst", "20", "--limit-cost", "20"]);
    let ada = world.customer("Ada");
    let page = |limit| query(&format!("{{ products(limit: {limit}) {{ data {{ id }} }} }}"));
    assert_eq!(world.send(post(Some(&ada), &page(10))).await.status, StatusCode::OK);
    world.calls.take();
    let refused = world.send(post(Some(&ada), &page(10))).await;
    is_limited(&refused, "COST_RATE_EXCEEDED");
    assert_eq!(refused.headers[header::RETRY_AFTER], "2");
    assert!(world.calls.take().is_empty());
    assert_eq!(world.send(post(Some(&ada), &query(TYPENAME))).await.status, StatusCode::OK);
    advance(Duration::from_secs(2)).await;
    assert_eq!(world.send(post(Some(&ada), &page(10))).await.status, StatusCode::OK);
}

#[tokio::test(start_paused = true)]
async fn the_largest_query_that_is_permitted_is_not_refused_for_ever() {
    let world =
        World::with(&["--cost-limit-per-second", "1", "--cost-limit-burst", "1", "--limit-cost", "116"]);
    let largest = query("{ products(limit: 100) { data { id } } }");
    assert_eq!(world.send(post(None, &largest)).await.status, StatusCode::OK);
    is_limited(&world.send(post(None, &largest)).await, "COST_RATE_EXCEEDED");
    advance(Duration::from_secs(116)).await;
    assert_eq!(world.send(post(None, &largest)).await.status, StatusCode::OK);
}

#[tokio::test(start_paused = true)]
async fn each_alias_of_a_login_is_an_attempt_and_none_is_made_beyond() {
    let world = World::with(&["--login-limit-per-minute", "3"]);
    let ada = world.customer("Ada");
    let logins = |n: usize| {
        let login =
            |n| format!(r#"l{n}: login(input: {{email: "ada@example.com", password: "x"}}) {{ token }} "#);
        query(&format!("mutation {{ {} }}", (0..n).map(login).collect::<String>()))
    };
    is_limited(&world.send(post(None, &logins(4))).await, "ATTEMPT_RATE_EXCEEDED");
    assert!(world.calls.take().is_empty());
    assert_eq!(world.send(post(None, &logins(2))).await.status, StatusCode::OK);
    assert_eq!(world.calls.take()["Authenticate"], 2);
    let refused = world.send(post(None, &logins(2))).await;
    is_limited(&refused, "ATTEMPT_RATE_EXCEEDED");
    assert_eq!(refused.headers[header::RETRY_AFTER], "20");
    assert!(world.calls.take().is_empty());
    assert_eq!(world.send(post(None, &logins(1))).await.status, StatusCode::OK);
    // Those of a user who is logged in count by the address too.
    is_limited(&world.send(post(Some(&ada), &logins(1))).await, "ATTEMPT_RATE_EXCEEDED");
}

#[tokio::test(start_paused = true)]
async fn registering_and_refreshing_have_limits_of_their_own() {
    let world = World::with(&["--register-limit-per-minute", "1", "--refresh-limit-per-minute", "1"]);
    let register = query(
        r#"mutation { ...f } fragment f on Mutation { register(input: {email: "a@example.com",
            password: "violet-harbour-93", firstName: "A", lastName: "B"}) { token } }"#,
    );
    let refresh = query(r#"mutation { refreshToken(refreshToken: "r") { token } }"#);
    for mutation in [register, refresh] {
        assert_eq!(world.send(post(None, &mutation)).await.status, StatusCode::OK);
        is_limited(&world.send(post(None, &mutation)).await, "ATTEMPT_RATE_EXCEEDED");
    }
}

#[tokio::test(start_paused = true)]
async fn who_sends_tokens_that_are_not_good_is_counted_by_address() {
    let world = World::with(&["--rate-limit-per-second", "1", "--rate-limit-burst", "2"]);
    let guess = || {
        let request = Request::post("/graphql").header(header::CONTENT_TYPE, "application/json");
        let request = request.header(header::AUTHORIZATION, "Bearer nonsense");
        request.body(Body::from(query(TYPENAME).to_string())).unwrap()
    };
    for _ in 0..2 {
        assert_eq!(world.send(guess()).await.status, StatusCode::UNAUTHORIZED);
    }
    is_limited(&world.send(guess()).await, "REQUEST_RATE_EXCEEDED");
}

#[tokio::test]
async fn operations_on_a_socket_count_like_requests() {
    let live = Live::with(&["--rate-limit-per-second", "1", "--rate-limit-burst", "3"]).await;
    let mut client = live.client(&live.world.customer("Ada")).await;
    for id in ["1", "2"] {
        client.subscribe(id, TYPENAME).await;
        assert_eq!(client.receive().await["type"], "next");
        assert_eq!(client.receive().await["type"], "complete");
    }
    client.subscribe("3", "subscription { orderStatusChanged { eventId } }").await;
    client.subscribe("4", TYPENAME).await;
    assert_eq!(client.refused("4").await, ("RATE_LIMITED".into(), "REQUEST_RATE_EXCEEDED".into()));
}

#[tokio::test]
async fn switched_off_nothing_is_counted() {
    let world =
        World::with(&["--rate-limits", "off", "--rate-limit-burst", "1", "--login-limit-per-minute", "1"]);
    for _ in 0..3 {
        let answer = world.send(post(None, &query(TYPENAME))).await;
        assert_eq!(answer.status, StatusCode::OK);
        assert!(!answer.headers.contains_key("ratelimit"));
    }
}

/// The head of the answer to a query that came with this `X-Forwarded-For`.
async fn forwarded(address: SocketAddr, forwarded_for: &str) -> String {
    let body = r#"{"query":"{ products { data { id } } }"}"#;
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!(
        "POST /graphql HTTP/1.1\r\nHost: gateway\r\nConnection: close\r\nContent-Type: application/json\r\n\
         X-Forwarded-For: {forwarded_for}\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

#[tokio::test]
async fn behind_a_trusted_proxy_each_client_is_one() {
    let settings = ["--rate-limit-per-second", "1", "--rate-limit-burst", "1", "--public-max-age", "0"];
    let trusting = Live::with(&[&settings[..], &["--trusted-proxies", "127.0.0.0/8"]].concat()).await;
    let status = async |live: &Live, client: &str| forwarded(live.address, client).await[9..12].to_owned();
    assert_eq!(status(&trusting, "192.0.2.1").await, "200");
    let heard = trusting.world.heard.metadata("x-client-address");
    assert_eq!(heard.as_deref(), Some("192.0.2.1"));
    assert_eq!(status(&trusting, "192.0.2.1").await, "429");
    assert_eq!(status(&trusting, "192.0.2.66, 192.0.2.1").await, "429");
    assert_eq!(status(&trusting, "192.0.2.2").await, "200");
    assert_eq!(status(&trusting, "2001:db8:1:2::1").await, "200");
    assert_eq!(status(&trusting, "2001:db8:1:2::2").await, "429");
    assert_eq!(status(&trusting, "2001:db8:1:3::1").await, "200");

    let distrusting = Live::with(&settings).await;
    assert_eq!(status(&distrusting, "192.0.2.1").await, "200");
    let heard = distrusting.world.heard.metadata("x-client-address");
    assert_eq!(heard.as_deref(), Some("127.0.0.1"));
    assert_eq!(status(&distrusting, "192.0.2.2").await, "429");
}
