//! What the gateway counts for its operators.

use axum::http::Method;
use runtime::telemetry;
use serde_json::json;

use crate::rest::request;
use crate::world::{World, post};

/// How often this was told to clients so far, by all tests of this process.
fn told(code: &str, reason: &str) -> u64 {
    let metrics = telemetry::metrics().expect("no other recorder is set").render();
    let series = format!("refusals_total{{code=\"{code}\",reason=\"{reason}\"}} ");
    let value = metrics.lines().find_map(|line| line.strip_prefix(&series));
    value.map_or(0, |value| value.parse().unwrap())
}

#[tokio::test]
async fn refusals_are_counted_by_code_and_reason_in_the_graph_and_in_rest() {
    telemetry::metrics();
    let world = World::new();

    let before = told("BAD_USER_INPUT", "GRAPHQL_INVALID");
    world.send(post(None, &json!({ "query": "{ nonsense }" }))).await;
    assert!(told("BAD_USER_INPUT", "GRAPHQL_INVALID") > before);

    let before = told("UNAUTHENTICATED", "TOKEN_MISSING");
    world.send(post(None, &json!({ "query": "{ me { id } }" }))).await;
    let by_graph = told("UNAUTHENTICATED", "TOKEN_MISSING");
    assert!(by_graph > before);
    world.send(request(Method::GET, "/users/me", None, None)).await;
    assert!(told("UNAUTHENTICATED", "TOKEN_MISSING") > by_graph);
}
