//! Several operations in one POST: off unless allowed, and then each as if it had come alone.

use axum::http::{StatusCode, header};
use serde_json::{Value, json};

use crate::world::{Answer, World, post, reason};

const TYPENAME: &str = "{ __typename }";

async fn send(world: &World, batch: &Value) -> Answer {
    world.send(post(None, batch)).await
}

fn of(queries: &[&str]) -> Value {
    queries.iter().map(|query| json!({ "query": query })).collect()
}

#[tokio::test]
async fn batches_are_refused_unless_they_are_allowed() {
    let world = World::new();
    for batch in [json!([]), of(&[TYPENAME]), of(&[TYPENAME; 20])] {
        let answer = send(&world, &batch).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST);
        assert_eq!(reason(&answer.body), ("BAD_USER_INPUT", "BATCH_NOT_ALLOWED"));
    }
}

#[tokio::test]
async fn a_batch_is_answered_in_its_order_up_to_the_size_that_is_allowed() {
    let world = World::with(&["--batch", "3"]);
    let answer = send(&world, &of(&["{ a: __typename }", "{ b: __typename }", "{ c: __typename }"])).await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(answer.headers[header::CONTENT_TYPE], "application/json; charset=utf-8");
    assert_eq!(answer.headers[header::CACHE_CONTROL], "no-store");
    let data = |alias: &str| json!({ "data": { alias: "Query" } });
    assert_eq!(answer.body, json!([data("a"), data("b"), data("c")]));
    for size in [4, 10, 11, 1000] {
        let answer = send(&world, &of(&vec![TYPENAME; size])).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{size}");
        assert_eq!(reason(&answer.body), ("BAD_USER_INPUT", "BATCH_TOO_LARGE"), "{size}");
    }
    assert_eq!(reason(&send(&world, &json!([])).await.body), ("BAD_USER_INPUT", "REQUEST_MALFORMED"));
}

#[tokio::test]
async fn no_setting_allows_more_than_ten() {
    let allowed =
        |most: &str| runtime::config::parse::<gateway::Config>(["gateway", "--batch", most]).is_ok();
    assert!(allowed("0") && allowed("10"));
    assert!(!allowed("11") && !allowed("-1"));
    assert_eq!(send(&World::with(&["--batch", "10"]), &of(&[TYPENAME; 10])).await.status, StatusCode::OK);
}

#[tokio::test]
async fn what_is_wrong_with_one_operation_is_told_in_its_place() {
    let world = World::with(&["--batch", "10"]);
    let batch = json!([
        { "query": TYPENAME },
        { "query": "{ nonsense }" },
        7,
        { "query": TYPENAME, "variables": [] },
        [{ "query": TYPENAME }],
        { "query": "subscription { orderStatusChanged { id } }" },
        { "query": "{ me { id } }" },
        { "query": TYPENAME },
    ]);
    let answer = send(&world, &batch).await;
    assert_eq!(answer.status, StatusCode::OK);
    let answers = answer.body.as_array().unwrap();
    assert_eq!(answers.len(), 8);
    let fine = json!({ "data": { "__typename": "Query" } });
    assert_eq!((&answers[0], &answers[7]), (&fine, &fine));
    for (at, expected) in [
        (1, ("BAD_USER_INPUT", "GRAPHQL_INVALID")),
        (2, ("BAD_USER_INPUT", "REQUEST_MALFORMED")),
        (3, ("BAD_USER_INPUT", "REQUEST_MALFORMED")),
        (4, ("BAD_USER_INPUT", "REQUEST_MALFORMED")),
    ] {
        assert_eq!(reason(&answers[at]), expected, "{at}");
        assert!(answers[at].get("data").is_none(), "{at}");
        assert_eq!(
            answers[at]["errors"][0]["extensions"]["requestId"],
            answer.headers["x-request-id"].to_str().unwrap()
        );
    }
    assert_eq!(reason(&answers[5]).0, "BAD_USER_INPUT");
    assert_eq!(reason(&answers[6]).0, "UNAUTHENTICATED");
}

#[tokio::test]
async fn each_operation_of_a_batch_counts_as_a_request() {
    let world = World::with(&["--batch", "10", "--rate-limit-per-second", "1", "--rate-limit-burst", "4"]);
    let body = send(&world, &of(&[TYPENAME; 6])).await.body;
    let limited: Vec<bool> =
        body.as_array().unwrap().iter().map(|answer| reason(answer).0 == "RATE_LIMITED").collect();
    assert_eq!(limited, [false, false, false, false, true, true]);
    assert_eq!(send(&world, &of(&[TYPENAME])).await.status, StatusCode::TOO_MANY_REQUESTS);
}

#[tokio::test]
async fn the_operations_of_a_batch_run_at_the_same_time() {
    let world = World::with(&["--batch", "10"]);
    let slow = std::time::Duration::from_millis(300);
    world.faults.set("ListProducts", crate::world::Fault::Slow(slow));
    let started = tokio::time::Instant::now();
    // No two alike: those would be executed once.
    let queries: Vec<String> =
        (1..=10).map(|limit| format!("{{ products(limit: {limit}) {{ data {{ id }} }} }}")).collect();
    let answer = send(&world, &of(&queries.iter().map(String::as_str).collect::<Vec<_>>())).await;
    assert_eq!(answer.body.as_array().unwrap().len(), 10);
    assert!(started.elapsed() < slow * 8, "{:?}", started.elapsed());
}
