//! Trusted documents: where they are enforced, nothing else runs, whatever carries it.

use std::{fs, path::PathBuf};

use axum::{
    body::Body,
    http::{Request, StatusCode, header},
};
use gateway::Config;
use serde_json::{Value, json};

use crate::{
    alone::alone,
    live::Live,
    world::{Answer, World, post, reason},
};

const SHOP: &str = "query Shop { products { data { name } } }";
const ME: &str = "query Me { me { firstName } }";
const FOLLOW: &str = "subscription Follow { orderStatusChanged { orderId } }";

/// A manifest in a file that goes with it.
struct Manifest(PathBuf);

impl Manifest {
    fn of(operations: Value) -> Self {
        let path = std::env::temp_dir().join(format!("manifest-{}.json", uuid::Uuid::now_v7()));
        let manifest =
            json!({ "format": "apollo-persisted-query-manifest", "version": 1, "operations": operations });
        fs::write(&path, manifest.to_string()).unwrap();
        Self(path)
    }

    fn ours() -> Self {
        Self::of(json!([
            { "id": "shop-1", "name": "Shop", "type": "query", "body": SHOP },
            { "id": "me-1", "name": "Me", "type": "query", "body": ME },
            { "id": "follow-1", "name": "Follow", "type": "subscription", "body": FOLLOW },
            { "id": "out-1", "name": "Out", "type": "mutation", "body": "mutation Out { logout }" },
        ]))
    }

    fn path(&self) -> &str {
        self.0.to_str().unwrap()
    }

    fn arguments<'a>(&'a self, mode: &'a str) -> Vec<&'a str> {
        vec!["--trusted-documents", self.path(), "--trusted-documents-mode", mode]
    }
}

impl Drop for Manifest {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

fn world(mode: &str) -> World {
    let manifest = Manifest::ours();
    let world = World::with(&manifest.arguments(mode));
    world.store.add_product("prod-1", "Laptop", 99_999);
    world
}

async fn send(world: &World, body: Value) -> Answer {
    world.send(post(None, &body)).await
}

fn is_not_trusted(answer: &Answer) -> bool {
    reason(&answer.body) == ("FORBIDDEN", "DOCUMENT_NOT_TRUSTED") && answer.body.get("data").is_none()
}

fn names_the_laptop(answer: &Answer) -> bool {
    answer.body["data"]["products"]["data"][0]["name"] == "Laptop"
}

#[tokio::test]
async fn a_trusted_document_is_answered_by_its_text_its_identifier_and_its_hash() {
    let world = world("enforce");
    let hash = "sha256:".to_owned() + &sha256(SHOP);
    for body in [
        json!({ "query": SHOP }),
        json!({ "documentId": "shop-1" }),
        json!({ "documentId": hash }),
        json!({ "documentId": "shop-1", "query": SHOP, "operationName": "Shop" }),
        json!({ "operationName": "Shop", "extensions": persisted("shop-1") }),
        json!({ "extensions": persisted(&sha256(SHOP)) }),
    ] {
        let answer = send(&world, body.clone()).await;
        assert!(names_the_laptop(&answer), "{body} {}", answer.text);
    }
    for uri in [
        "/graphql?documentId=shop-1".to_owned(),
        format!("/graphql?documentId={hash}&operationName=Shop"),
        format!("/graphql?query={}", SHOP.replace(' ', "+")),
        format!("/graphql?extensions={}", persisted("shop-1").to_string().replace('"', "%22")),
    ] {
        let answer = world.send(Request::get(&uri).body(Body::empty()).unwrap()).await;
        assert!(names_the_laptop(&answer), "{uri} {}", answer.text);
        assert_eq!(answer.headers[header::CACHE_CONTROL], "public, max-age=60");
    }
}

fn sha256(text: &str) -> String {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, text.as_bytes());
    digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

fn persisted(hash: &str) -> Value {
    json!({ "persistedQuery": { "version": 1, "sha256Hash": hash } })
}

#[tokio::test]
async fn no_other_document_is_answered_whoever_asks_however() {
    let world = world("enforce");
    let admin = world.admin();
    let other = "query Shop { products { data { id } } }";
    for body in [
        json!({ "query": other }),
        json!({ "query": format!("{SHOP} ") }),
        json!({ "query": "{ __typename }" }),
        json!({ "query": "{ __schema { queryType { name } } }" }),
        json!({ "query": "{" }),
        json!({ "documentId": "unknown" }),
        json!({ "extensions": persisted(&sha256(other)) }),
        json!({ "query": other, "extensions": persisted(&sha256(other)) }),
    ] {
        let answer = send(&world, body.clone()).await;
        assert!(is_not_trusted(&answer), "{body} {}", answer.text);
    }
    for body in [json!({ "query": other }), json!({ "documentId": "unknown" })] {
        let answer = world.send(post(Some(&admin), &body)).await;
        assert!(is_not_trusted(&answer), "{body} {}", answer.text);
    }
    let uri = "/graphql?query=%7Bproducts%7Bdata%7Bid%7D%7D%7D";
    assert!(is_not_trusted(&world.send(Request::get(uri).body(Body::empty()).unwrap()).await));
    assert!(world.calls.take().is_empty());
}

#[tokio::test]
async fn a_trusted_name_with_another_text_runs_neither() {
    let world = world("enforce");
    let answer = send(&world, json!({ "documentId": "shop-1", "query": ME })).await;
    assert_eq!(reason(&answer.body), ("BAD_USER_INPUT", "PERSISTED_QUERY_HASH_WRONG"));
    assert!(world.calls.take().is_empty());
}

#[tokio::test]
async fn an_admin_may_still_ask_for_the_schema_and_for_nothing_beside_it() {
    let world = world("enforce");
    let admin = world.admin();
    let schema = world.ask(Some(&admin), "{ __schema { queryType { name } } }").await;
    assert_eq!(schema["data"]["__schema"]["queryType"]["name"], "Query");
    let more = world.ask(Some(&admin), "{ __schema { queryType { name } } me { id } }").await;
    assert_eq!(reason(&more), ("FORBIDDEN", "DOCUMENT_NOT_TRUSTED"));
}

#[tokio::test]
async fn a_batch_obeys_in_each_of_its_places() {
    let manifest = Manifest::ours();
    let world = World::with(&[&manifest.arguments("enforce")[..], &["--batch", "5"]].concat());
    let batch = json!([{ "documentId": "shop-1" }, { "query": "{ me { id } }" }, { "query": ME }]);
    let answers = send(&world, batch).await.body;
    assert!(answers[0]["data"]["products"].is_object(), "{answers}");
    assert_eq!(reason(&answers[1]), ("FORBIDDEN", "DOCUMENT_NOT_TRUSTED"));
    assert!(answers[2].get("data").is_some(), "{answers}");
}

#[tokio::test]
async fn sockets_and_event_streams_obey_too() {
    let manifest = Manifest::ours();
    let live = Live::with(&manifest.arguments("enforce")).await;
    let (ada, order, _) = live.world.buyer();
    let mut client = live.client(&ada).await;
    client
        .send(json!({ "type": "subscribe", "id": "1",
        "payload": { "query": "subscription { orderStatusChanged { orderId to } }" } }))
        .await;
    let refused = client.receive().await;
    assert_eq!((&refused["type"], &refused["id"]), (&json!("error"), &json!("1")), "{refused}");
    assert_eq!(refused["payload"][0]["extensions"]["reason"], "DOCUMENT_NOT_TRUSTED");
    client.send(json!({ "type": "subscribe", "id": "2", "payload": { "documentId": "follow-1" } })).await;
    // The answer to what is asked next tells that the subscription has started.
    client.send(json!({ "type": "subscribe", "id": "3", "payload": { "query": SHOP } })).await;
    assert_eq!(
        (&client.receive().await["type"], &client.receive().await["type"]),
        (&json!("next"), &json!("complete"))
    );
    live.confirm(&ada, &order).await;
    let event = client.receive().await;
    assert_eq!(event["payload"]["data"]["orderStatusChanged"]["orderId"], order.as_str(), "{event}");
    let mut request = post(None, &json!({ "query": "{ products { data { id } } }" }));
    request.headers_mut().insert(header::ACCEPT, "text/event-stream".parse().unwrap());
    assert!(live.world.send(request).await.text.contains("DOCUMENT_NOT_TRUSTED"));
}

#[tokio::test]
async fn in_the_mode_log_all_is_answered_and_the_trusted_names_are_known() {
    let world = world("log");
    for body in [
        json!({ "documentId": "shop-1" }),
        json!({ "query": SHOP }),
        json!({ "query": "{ products { data { name } } }" }),
    ] {
        assert!(names_the_laptop(&send(&world, body).await));
    }
}

#[tokio::test]
async fn in_the_mode_off_the_manifest_is_not_looked_at() {
    let world = world("off");
    assert!(names_the_laptop(&send(&world, json!({ "query": SHOP })).await));
    let unknown = send(&world, json!({ "documentId": "shop-1" })).await;
    assert_eq!(reason(&unknown.body).0, "PERSISTED_QUERY_NOT_FOUND");
}

#[tokio::test]
async fn a_trusted_mutation_is_no_more_permitted_by_get_than_any_other() {
    let world = world("enforce");
    let request = Request::get("/graphql?documentId=out-1").body(Body::empty()).unwrap();
    assert_eq!(world.send(request).await.status, StatusCode::METHOD_NOT_ALLOWED);
}

fn fault(arguments: &[&str]) -> String {
    match runtime::config::parse::<Config>(["gateway"].iter().chain(arguments)) {
        Ok(config) => config.check().unwrap_err(),
        Err(error) => runtime::config::one_line::<Config>(&error),
    }
}

#[test]
fn a_manifest_that_is_not_good_ends_the_start_and_its_document_is_named() {
    let with =
        |body: &str| Manifest::of(json!([{ "id": "1", "name": "Bad", "type": "query", "body": body }]));
    let deep = format!("query Bad {{ {} id {} }}", "me { orders { user { ".repeat(10), "} } } ".repeat(10));
    for body in ["query Bad {", "query Other { me { id } }", "query Bad { me { nonsense } }", &deep] {
        let manifest = with(body);
        let fault = fault(&manifest.arguments("enforce"));
        assert!(fault.contains("GATEWAY_TRUSTED_DOCUMENTS") && fault.contains("\"Bad\""), "{fault}");
    }
    let missing = fault(&["--trusted-documents", "/nowhere.json"]);
    assert!(missing.contains("GATEWAY_TRUSTED_DOCUMENTS") && missing.contains("/nowhere.json"), "{missing}");
}

#[test]
fn a_mode_without_a_manifest_is_refused() {
    for mode in ["log", "enforce"] {
        let fault = fault(&["--trusted-documents-mode", mode]);
        assert!(fault.contains("GATEWAY_TRUSTED_DOCUMENTS is not set"), "{fault}");
    }
}

#[tokio::test]
async fn an_operations_name_is_counted_only_where_the_manifest_has_it() {
    if !alone("trusted_documents::an_operations_name_is_counted_only_where_the_manifest_has_it") {
        return;
    }
    runtime::telemetry::metrics();
    let world = world("log");
    send(&world, json!({ "query": SHOP })).await;
    send(&world, json!({ "documentId": "shop-1" })).await;
    for n in 0..20 {
        send(&world, json!({ "query": format!("query Mine{n} {{ products {{ data {{ id }} }} }}") })).await;
        // The name of a trusted one on a document of their own.
        send(&world, json!({ "query": format!("query Shop {{ p{n}: products {{ data {{ id }} }} }}") }))
            .await;
    }
    send(&world, json!({ "query": "{ nonsense" })).await;
    let text = runtime::telemetry::metrics().unwrap().render();
    let counted = |kind: &str, name: &str, outcome: &str| {
        let labels = format!(
            "graphql_operation_type=\"{kind}\",graphql_operation_name=\"{name}\",outcome=\"{outcome}\""
        );
        let series = format!("graphql_operation_duration_seconds_count{{{labels}}} ");
        text.lines().find_map(|line| line.strip_prefix(&series)?.parse::<u32>().ok()).unwrap_or(0)
    };
    assert_eq!(counted("query", "Shop", "ok"), 2);
    assert_eq!(counted("query", "other", "ok"), 40);
    assert_eq!(counted("unknown", "other", "refused"), 1);
    assert!(!text.contains("Mine"), "a name that nobody trusts is told");
}
