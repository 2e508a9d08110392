//! Automatic persisted queries: a client sends the hash of its document, and the document only to who does not know it.

use axum::{
    body::Body,
    http::{Request, StatusCode, header},
};
use serde_json::{Value, json};

use crate::{
    live::Live,
    world::{Answer, World, post, reason},
};

const PRODUCT: &str = "query P($id: ID!) { product(id: $id) { name } }";

fn hash(text: &str) -> String {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, text.as_bytes());
    digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

fn world(arguments: &[&str]) -> World {
    let world = World::with(arguments);
    world.store.add_product("prod-1", "Laptop", 99_999);
    world
}

/// A request by the hash of `text`, with the text itself or without.
fn body(text: &str, with_text: bool) -> Value {
    json!({
        "query": with_text.then_some(text),
        "operationName": "P",
        "variables": { "id": "prod-1" },
        "extensions": { "persistedQuery": { "version": 1, "sha256Hash": hash(text) } },
    })
}

async fn send(world: &World, body: &Value) -> Answer {
    world.send(post(None, body)).await
}

async fn get(world: &World, body: &Value) -> Answer {
    let encode = |value: &Value| match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let members = body.as_object().unwrap().iter().filter(|(_, value)| !value.is_null());
    let pairs = members.map(|(name, value)| {
        let encoded: String = encode(value).bytes().map(|byte| format!("%{byte:02X}")).collect();
        format!("{name}={encoded}")
    });
    let uri = format!("/graphql?{}", pairs.collect::<Vec<_>>().join("&"));
    world.send(Request::get(uri).body(Body::empty()).unwrap()).await
}

fn is_not_found(body: &Value) -> bool {
    body["errors"][0]["message"] == "PersistedQueryNotFound"
        && reason(body) == ("PERSISTED_QUERY_NOT_FOUND", "PERSISTED_QUERY_NOT_FOUND")
        && body.get("data").is_none()
}

#[tokio::test]
async fn a_document_that_was_sent_once_is_known_by_its_hash_by_post_and_by_get() {
    let world = world(&[]);
    assert!(is_not_found(&send(&world, &body(PRODUCT, false)).await.body));
    assert!(is_not_found(&get(&world, &body(PRODUCT, false)).await.body));
    assert_eq!(send(&world, &body(PRODUCT, true)).await.body["data"]["product"]["name"], "Laptop");
    assert_eq!(send(&world, &body(PRODUCT, false)).await.body["data"]["product"]["name"], "Laptop");
    let by_get = get(&world, &body(PRODUCT, false)).await;
    assert_eq!(by_get.body["data"]["product"]["name"], "Laptop");
    assert_eq!(by_get.headers[header::CACHE_CONTROL], "public, max-age=60");
}

#[tokio::test]
async fn a_get_may_bring_the_document_too() {
    let world = world(&[]);
    assert_eq!(get(&world, &body(PRODUCT, true)).await.body["data"]["product"]["name"], "Laptop");
    assert_eq!(send(&world, &body(PRODUCT, false)).await.body["data"]["product"]["name"], "Laptop");
}

#[tokio::test]
async fn an_identifier_of_graphql_over_http_is_taken_as_well() {
    let world = world(&[]);
    let by_id = json!({ "documentId": format!("sha256:{}", hash(PRODUCT)), "variables": { "id": "prod-1" } });
    assert!(is_not_found(&send(&world, &by_id).await.body));
    assert!(is_not_found(&get(&world, &by_id).await.body));
    send(&world, &body(PRODUCT, true)).await;
    assert_eq!(send(&world, &by_id).await.body["data"]["product"]["name"], "Laptop");
    assert_eq!(get(&world, &by_id).await.body["data"]["product"]["name"], "Laptop");
    assert!(is_not_found(&send(&world, &json!({ "documentId": "made-up" })).await.body));
}

#[tokio::test]
async fn that_a_hash_is_not_known_is_told_so_that_clients_understand_and_no_cache_keeps_it() {
    let world = world(&[]);
    for (accept, status) in
        [("application/json", StatusCode::OK), ("application/graphql-response+json", StatusCode::BAD_REQUEST)]
    {
        let mut request = post(None, &body(PRODUCT, false));
        request.headers_mut().insert(header::ACCEPT, accept.parse().unwrap());
        let answer = world.send(request).await;
        assert_eq!(answer.status, status);
        assert_eq!(answer.headers[header::CACHE_CONTROL], "no-store");
    }
}

#[tokio::test]
async fn nobody_can_put_another_document_under_a_hash() {
    let world = world(&[]);
    for wrong in [hash("{ me { id } }"), "abc".to_owned(), String::new()] {
        let mut body = body(PRODUCT, true);
        body["extensions"]["persistedQuery"]["sha256Hash"] = json!(wrong);
        let refused = send(&world, &body).await.body;
        assert_eq!(reason(&refused), ("BAD_USER_INPUT", "PERSISTED_QUERY_HASH_WRONG"), "{refused}");
        body["query"] = Value::Null;
        assert!(is_not_found(&send(&world, &body).await.body));
    }
}

#[tokio::test]
async fn what_is_no_document_or_is_beyond_the_limits_is_not_kept() {
    let world = world(&["--limit-depth", "5"]);
    let deep = "query P { me { orders { user { orders { user { id } } } } } }";
    for text in ["query P {", deep] {
        let first = send(&world, &body(text, true)).await.body;
        assert_eq!(reason(&first).0, "BAD_USER_INPUT", "{first}");
        assert!(is_not_found(&send(&world, &body(text, false)).await.body), "{text}");
    }
}

#[tokio::test]
async fn a_mutation_by_its_hash_is_no_more_permitted_by_get_than_any_other() {
    let world = world(&[]);
    let text = "mutation P { logout }";
    send(&world, &body(text, true)).await;
    let answer = get(&world, &json!({ "documentId": format!("sha256:{}", hash(text)) })).await;
    assert_eq!(answer.status, StatusCode::METHOD_NOT_ALLOWED);
}

#[tokio::test]
async fn extensions_that_are_not_understood_are_refused_where_they_are_ours_and_ignored_where_not() {
    let world = world(&[]);
    let ask = async |persisted: Value| {
        let extensions = json!({ "persistedQuery": persisted, "other": [1] });
        send(&world, &json!({ "query": "{ __typename }", "extensions": extensions })).await.body
    };
    assert_eq!(ask(Value::Null).await["data"]["__typename"], "Query");
    for malformed in
        [json!(7), json!({}), json!({ "version": 1 }), json!({ "version": "1", "sha256Hash": "" })]
    {
        assert_eq!(reason(&ask(malformed).await), ("BAD_USER_INPUT", "REQUEST_MALFORMED"));
    }
    let other_version = ask(json!({ "version": 2, "sha256Hash": hash("{ __typename }") })).await;
    assert_eq!(reason(&other_version), ("BAD_USER_INPUT", "PERSISTED_QUERY_VERSION_UNKNOWN"));
    let nothing = send(&world, &json!({ "extensions": { "other": 1 } })).await;
    assert_eq!(reason(&nothing.body), ("BAD_USER_INPUT", "REQUEST_MALFORMED"));
}

#[tokio::test]
async fn where_they_are_switched_off_clients_are_told_to_send_their_documents() {
    let world = world(&["--persisted-queries", "off"]);
    let refused = send(&world, &body(PRODUCT, false)).await.body;
    assert_eq!(refused["errors"][0]["message"], "PersistedQueryNotSupported");
    assert_eq!(reason(&refused), ("BAD_USER_INPUT", "PERSISTED_QUERY_NOT_SUPPORTED"));
    assert_eq!(send(&world, &body(PRODUCT, true)).await.body["data"]["product"]["name"], "Laptop");
    let still = send(&world, &body(PRODUCT, false)).await.body;
    assert_eq!(reason(&still), reason(&refused));
}

#[tokio::test]
async fn over_a_socket_it_is_the_same() {
    let live = Live::new().await;
    live.world.store.add_product("prod-1", "Laptop", 99_999);
    let mut client = live.client(&live.world.customer("Ada")).await;
    let mut ask = async |id: &str, with_text| {
        client.send(json!({ "type": "subscribe", "id": id, "payload": body(PRODUCT, with_text) })).await;
        client.receive().await
    };
    let unknown = ask("1", false).await;
    assert_eq!(unknown["payload"][0]["message"], "PersistedQueryNotFound", "{unknown}");
    assert_eq!(ask("2", true).await["payload"]["data"]["product"]["name"], "Laptop");
}
