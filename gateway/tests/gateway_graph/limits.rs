//! What one request may be: each limit lets through what is just within it, and refuses the next larger before a service
//! hears of it.

use std::time::Duration;

use axum::http::{StatusCode, header};
use runtime::admin::readiness;
use serde_json::{Value, json};

use crate::world::{Fault, World, post, reason, refusal};

/// A setting, what is within it, what is beyond it, and the reason.
type Limit<'a> = (&'a [&'a str], Value, Value, &'a str);

fn query(text: &str) -> Value {
    json!({ "query": text })
}

fn with(text: &str, variables: Value) -> Value {
    json!({ "query": text, "variables": variables })
}

async fn hold(limits: &[Limit<'_>]) {
    for (setting, within, beyond, expected) in limits {
        let world = World::with(setting);
        let admin = world.admin();
        let good = world.send(post(Some(&admin), within)).await;
        assert!(good.body.get("errors").is_none(), "{setting:?}: {}", good.text);
        world.calls.take();
        let bad = world.send(post(Some(&admin), beyond)).await;
        assert_eq!(reason(&bad.body), ("BAD_USER_INPUT", *expected), "{setting:?}: {}", bad.text);
        assert!(bad.body.get("data").is_none(), "{setting:?}");
        assert!(world.calls.take().is_empty(), "{setting:?}");
    }
}

#[tokio::test]
async fn a_document_may_be_so_large_and_no_larger() {
    let of_fragment = "{ products { ...f } } fragment f on ProductPage { data { id } }";
    hold(&[
        (
            &["--limit-document", "14"],
            query("{ __typename }"),
            query("{ __typename  }"),
            "DOCUMENT_TOO_LARGE",
        ),
        (
            &["--limit-tokens", "5"],
            query("{ a: __typename }"),
            query("{ a: __typename b }"),
            "TOO_MANY_TOKENS",
        ),
        (
            &["--limit-nesting", "2"],
            query("{ products { __typename } }"),
            query("{ products { data { id } } }"),
            "BRACKETS_TOO_DEEP",
        ),
        (
            &["--limit-depth", "2"],
            query("{ products { ... on ProductPage { __typename } } }"),
            query("{ products { data { id } } }"),
            "QUERY_TOO_DEEP",
        ),
        (&["--limit-depth", "2"], query("{ products { __typename } }"), query(of_fragment), "QUERY_TOO_DEEP"),
        (
            &["--limit-fields", "3"],
            query(of_fragment),
            query("{ a: me { id } b: me { id } }"),
            "QUERY_TOO_LARGE",
        ),
    ])
    .await;
}

#[tokio::test]
async fn a_document_may_have_so_many_of_each_thing() {
    hold(&[
        (
            &["--limit-aliases", "1"],
            query("{ a: __typename }"),
            query("{ ...f ...f } fragment f on Query { a: __typename }"),
            "TOO_MANY_ALIASES",
        ),
        (
            &["--limit-root-fields", "2"],
            query("query A { a: __typename b: __typename }"),
            query("{ a: __typename ... { b: __typename ...f } } fragment f on Query { c: __typename }"),
            "TOO_MANY_ROOT_FIELDS",
        ),
        (
            &["--limit-directives", "1"],
            query("{ __typename @skip(if: false) }"),
            query("{ __typename @skip(if: false) @include(if: true) }"),
            "TOO_MANY_DIRECTIVES",
        ),
    ])
    .await;
}

#[tokio::test]
async fn an_operation_may_cost_so_much_whether_its_page_size_is_written_or_in_a_variable() {
    let page = "query($n: Int) { products(limit: $n) { data { id } } }";
    let entities = "query($r: [_Any!]!) { _entities(representations: $r) { __typename } }";
    let keys = |n| json!({ "r": vec![json!({ "__typename": "Product", "id": "prod-1" }); n] });
    let schema = |fields: &str| query(&format!("{{ __type(name: \"User\") {{ {fields} }} }}"));
    hold(&[
        (
            &["--limit-cost", "7"],
            query("{ products(limit: 1) { data { id } } }"),
            query("{ products(limit: 2) { data { id } } }"),
            "QUERY_TOO_COSTLY",
        ),
        (
            &["--limit-cost", "7"],
            with(page, json!({ "n": 1 })),
            with(page, json!({ "n": 2 })),
            "QUERY_TOO_COSTLY",
        ),
        (&["--limit-cost", "26"], with(page, json!({ "n": 19 })), with(page, json!({})), "QUERY_TOO_COSTLY"),
        (&["--limit-introspection", "2"], schema("name"), schema("name kind"), "INTROSPECTION_TOO_LARGE"),
        (
            &["--limit-representations", "2"],
            with(entities, keys(0)),
            with(entities, keys(3)),
            "TOO_MANY_KEYS",
        ),
        (
            &["--limit-variables-depth", "1"],
            with("{ __typename }", json!({ "a": [1] })),
            with("{ __typename }", json!({ "a": [{}] })),
            "VARIABLES_TOO_DEEP",
        ),
    ])
    .await;
}

#[tokio::test]
async fn a_body_may_be_so_large() {
    let world = World::with(&["--limit-body", "24"]);
    let within = world.send(post(None, &query("{__typename}"))).await;
    assert_eq!(within.status, StatusCode::OK, "{}", within.text);
    let beyond = world.send(post(None, &query("{ __typename}"))).await;
    assert_eq!(beyond.status, StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(reason(&beyond.body), ("BAD_USER_INPUT", "BODY_TOO_LARGE"));
}

#[tokio::test]
async fn the_defaults_let_people_work_and_refuse_what_multiplies() {
    let world = World::new();
    let admin = world.admin();
    let nested = "{ orders(limit: 100) { data { id status totalAmount user { id email fullName }
        payment { id status amount } items { productName product { id name } } } pageInfo { total } } }";
    let page = "{ users(limit: 100) { data { id email orders(limit: 20) { id status } } } }";
    for good in [nested, page, INTROSPECTION] {
        let body = world.ask(Some(&admin), good).await;
        assert!(body.get("errors").is_none(), "{body}");
    }
    let explosion = "{ orders(limit: 100) { data { user { orders(limit: 100) { id } } } } }";
    assert_eq!(reason(&world.ask(Some(&admin), explosion).await).1, "QUERY_TOO_COSTLY");
    let schema = "{ __schema { types { fields { type { fields { type { fields { name } } } } } } } }";
    assert_eq!(reason(&world.ask(Some(&admin), schema).await).1, "INTROSPECTION_TOO_LARGE");
}

/// What tools ask for the schema.
const INTROSPECTION: &str = "query IntrospectionQuery { __schema { queryType { name } mutationType { name }
    subscriptionType { name } types { ...FullType } directives { name description locations
    args { ...InputValue } } } }
    fragment FullType on __Type { kind name description
      fields(includeDeprecated: true) { name description args { ...InputValue } type { ...TypeRef }
        isDeprecated deprecationReason }
      inputFields { ...InputValue } interfaces { ...TypeRef }
      enumValues(includeDeprecated: true) { name description isDeprecated deprecationReason }
      possibleTypes { ...TypeRef } }
    fragment InputValue on __InputValue { name description type { ...TypeRef } defaultValue }
    fragment TypeRef on __Type { kind name ofType { kind name ofType { kind name ofType { kind name ofType {
      kind name ofType { kind name ofType { kind name ofType { kind name ofType { kind name ofType {
      kind name } } } } } } } } } }";

#[tokio::test]
async fn brackets_of_any_kind_that_never_end_are_refused_and_end_nothing() {
    let world = World::new();
    let deep = |open: &str| open.repeat(100_000);
    for text in [
        deep("{a"),
        deep("{...{"),
        format!("{{ product(id: {}", deep("[")),
        format!("{{ product(id: {}", deep("{a:")),
        format!("query($a: {}", deep("[")),
        format!("query($a: Int = {}", deep("[")),
        format!("{{ a @skip(if: {}", deep("[{a:")),
        deep("("),
    ] {
        let text = &text[..60_000.min(text.len())];
        let body = world.ask(None, text).await;
        assert_eq!(reason(&body), ("BAD_USER_INPUT", "BRACKETS_TOO_DEEP"), "{}", &text[..30]);
    }
    let variables = format!("{{\"query\": \"{{ __typename }}\", \"variables\": {{\"a\": {}", deep("["));
    let mut request = post(None, &json!({}));
    *request.body_mut() = variables.into();
    assert_eq!(reason(&world.send(request).await.body).1, "REQUEST_MALFORMED");
}

#[tokio::test]
async fn where_limits_are_only_measured_what_is_beyond_them_is_answered() {
    let setting = ["--limits", "measure", "--limit-aliases", "1", "--limit-cost", "1", "--limit-tokens", "5"];
    let world = World::with(&setting);
    world.store.add_product("prod-1", "Laptop", 99_999);
    let body = world.ask(None, "{ a: products { b: data { c: id } } }").await;
    assert_eq!(body["data"]["a"]["b"][0]["c"], "prod-1", "{body}");
    // What would keep the process busy for long is refused even then.
    let mut bomb = String::from("{ products { ...f0 } } fragment f40 on ProductPage { data { id } }");
    for n in 0..40 {
        bomb += &format!(" fragment f{n} on ProductPage {{ ...f{m} ...f{m} }}", m = n + 1);
    }
    assert_eq!(reason(&world.ask(None, &bomb).await).1, "QUERY_TOO_LARGE");
    assert_eq!(reason(&world.ask(None, &"{a".repeat(1_000)).await).1, "BRACKETS_TOO_DEEP");
}

#[tokio::test]
async fn a_refusal_says_how_much_it_was_and_how_much_may_be() {
    let world = World::with(&["--limit-aliases", "1"]);
    let body = world.ask(None, "{ a: __typename b: __typename c: __typename }").await;
    assert_eq!(body["errors"][0]["message"], "the request has 3 aliases; at most 1 are permitted");
}

#[tokio::test]
async fn one_request_more_than_there_is_room_for_is_refused_at_once_and_ready_tells() {
    let world = World::with(&["--limit-requests", "1"]);
    world.faults.set("ListProducts", Fault::Slow(Duration::from_secs(1)));
    assert!(readiness(&world.app.checks()).await.0);
    let slow = world.ask(None, "{ products { data { id } } }");
    let meanwhile = async {
        while world.calls.take().is_empty() {
            tokio::task::yield_now().await;
        }
        let refused = world.send(post(None, &query("{ __typename }"))).await;
        (refused, readiness(&world.app.checks()).await)
    };
    let (answered, (refused, (ready, told))) = tokio::join!(slow, meanwhile);
    assert!(answered.get("errors").is_none(), "{answered}");
    assert_eq!(refused.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(reason(&refused.body), ("SERVICE_UNAVAILABLE", "GATEWAY_FULL"));
    assert_eq!(refused.headers[header::RETRY_AFTER], "1");
    assert_eq!(refusal(&refused.body)["retryAfter"], 1);
    assert!(!ready && told.contains("room: too many requests are under way"), "{told}");
    assert!(world.ask(None, "{ __typename }").await.get("errors").is_none());
    assert!(readiness(&world.app.checks()).await.0);
}

#[tokio::test]
async fn who_asks_by_a_header_hears_what_the_query_cost() {
    let world = World::with(&["--limit-cost", "500", "--cost-limit-burst", "500"]);
    let asked = |text: &str| {
        let mut request = post(None, &query(text));
        request.headers_mut().insert("x-portico-cost", "1".parse().unwrap());
        request
    };
    let answer = world.send(asked("{ products(limit: 10) { data { id } } }")).await;
    let cost = json!({ "requested": 16, "limit": 500, "remaining": 484 });
    assert_eq!(answer.body["extensions"]["cost"], cost, "{}", answer.text);
    assert_eq!(answer.headers[header::CACHE_CONTROL], "no-store");
    let edges = "{ orders(limit: 1) { data { id user { id } payment { id } } } }";
    let answer = world.send(asked(edges)).await;
    assert_eq!(answer.body["extensions"]["cost"]["requested"], 11, "{}", answer.text);
    let mut by_get = axum::http::Request::get("/graphql?query=%7B__typename%7D");
    by_get = by_get.header("x-portico-cost", "1");
    let answer = world.send(by_get.body(axum::body::Body::empty()).unwrap()).await;
    assert_eq!(answer.body["extensions"]["cost"]["requested"], 1);
    let answer = world.send(post(None, &query("{ __typename }"))).await;
    assert!(answer.body.get("extensions").is_none());
}
