//! graphql-sse, one stream for each operation.

use std::time::Duration;

use serde_json::json;
use tokio::time::timeout;

use crate::live::{Events, Live};

#[tokio::test]
async fn a_subscription_streams_by_post_and_by_get() {
    let live = Live::new().await;
    let (ada, order, _) = live.world.buyer();
    let query = "subscription { orderStatusChanged { eventId to order { id } } }";
    let mut by_post = Events::post(live.address, Some(&ada), query).await;
    let mut by_get = Events::get(live.address, Some(&ada), query).await;
    for events in [&by_post, &by_get] {
        assert!(events.head.starts_with("http/1.1 200"), "{}", events.head);
        for header in ["content-type: text/event-stream", "cache-control: no-store", "x-request-id: "] {
            assert!(events.head.contains(header), "{header}: {}", events.head);
        }
    }
    let event = live.confirm(&ada, &order).await;
    let expected = json!({ "data": { "orderStatusChanged": {
        "eventId": event, "to": "CONFIRMED", "order": { "id": order } } } });
    for events in [&mut by_post, &mut by_get] {
        assert_eq!(events.next().await, Some(("next".into(), expected.clone())));
    }
}

#[tokio::test]
async fn a_query_and_a_mutation_are_one_event_and_the_end() {
    let live = Live::new().await;
    let (ada, order, _) = live.world.buyer();
    let mut events = Events::get(live.address, Some(&ada), "{ me { email } }").await;
    let expected = json!({ "data": { "me": { "email": "ada@example.com" } } });
    assert_eq!(events.next().await, Some(("next".into(), expected)));
    assert_eq!(events.next().await, Some(("complete".into(), json!(null))));
    assert_eq!(events.next().await, None);
    let cancel = format!(r#"mutation {{ cancelOrder(id: "{order}") {{ status }} }}"#);
    let mut by_get = Events::get(live.address, Some(&ada), &cancel).await;
    let (_, data) = by_get.next().await.unwrap();
    assert_eq!(data["errors"][0]["extensions"]["reason"], "METHOD_NOT_ALLOWED");
    let mut by_post = Events::post(live.address, Some(&ada), &cancel).await;
    let expected = json!({ "data": { "cancelOrder": { "status": "CANCELLED" } } });
    assert_eq!(by_post.next().await, Some(("next".into(), expected)));
}

#[tokio::test]
async fn what_is_wrong_with_the_operation_is_told_in_the_stream_and_what_is_wrong_with_the_request_by_its_status()
 {
    let live = Live::new().await;
    let ada = live.world.customer("Ada");
    for (query, reason) in [
        ("subscription { nonsense }", "GRAPHQL_INVALID"),
        ("subscription {", "GRAPHQL_INVALID"),
        ("subscription { domainEvents { id } }", "FORBIDDEN"),
        ("subscription { __typename }", "SUBSCRIPTION_ROOT_INVALID"),
        (
            r#"subscription { orderStatusChanged(after: "01900000-0000-7000-8000-000000000000") { eventId } }"#,
            "EVENTS_MISSED",
        ),
    ] {
        let mut events = Events::post(live.address, Some(&ada), query).await;
        assert!(events.head.starts_with("http/1.1 200"), "{query}: {}", events.head);
        let (name, data) = events.next().await.unwrap();
        assert_eq!((name.as_str(), &data["errors"][0]["extensions"]["reason"]), ("next", &json!(reason)));
        assert!(data.get("data").is_none(), "{data}");
        assert_eq!(events.next().await.unwrap().0, "complete");
    }
    let mut spoilt = ada.clone();
    spoilt.token = "nonsense".into();
    let events = Events::post(live.address, Some(&spoilt), "{ me { id } }").await;
    assert!(events.head.starts_with("http/1.1 401"), "{}", events.head);
    assert!(events.head.contains("content-type: application/json"), "{}", events.head);
}

#[tokio::test]
async fn who_takes_json_as_well_gets_a_stream_only_where_there_is_one() {
    let live = Live::new().await;
    let request = |accept: &str, query: &str| {
        axum::http::Request::post("/graphql")
            .header("content-type", "application/json")
            .header("accept", accept)
            .body(axum::body::Body::from(json!({ "query": query }).to_string()))
            .unwrap()
    };
    let both = "application/graphql-response+json, application/json, text/event-stream;q=0.5";
    let answer = live.world.send(request(both, "{ __typename }")).await;
    assert_eq!(answer.headers["content-type"], "application/graphql-response+json; charset=utf-8");
    let answer = live.world.send(request(both, "subscription { domainEvents { id } }")).await;
    assert_eq!(crate::world::reason(&answer.body), ("UNAUTHENTICATED", "TOKEN_MISSING"));
    let answer = live.world.send(request("text/event-stream", "{ __typename }")).await;
    assert_eq!(answer.headers["content-type"], "text/event-stream");
}

#[tokio::test]
async fn an_idle_stream_shows_that_it_lives() {
    let live = Live::with(&["--keepalive", "0.05"]).await;
    let ada = live.world.customer("Ada");
    let mut events =
        Events::post(live.address, Some(&ada), "subscription { orderStatusChanged { orderId } }").await;
    timeout(Duration::from_secs(5), events.comment()).await.unwrap();
}
