//! What caches are told: what is the same for everyone may be kept, and nothing else.

use axum::{
    body::Body,
    http::{Request, StatusCode, header},
};
use secrecy::ExposeSecret;
use serde_json::json;

use crate::world::{Answer, Fault, World, post};

const PRODUCTS: &str = "{ products { data { id name unitPrice } pageInfo { total } } }";
const KEPT: &str = "public, max-age=60";

fn world() -> World {
    let world = World::new();
    world.store.add_product("prod-1", "Laptop", 99_999);
    world
}

fn get(query: &str) -> Request<Body> {
    let query = query.replace(' ', "%20").replace('"', "%22").replace('{', "%7B").replace('}', "%7D");
    Request::get(format!("/graphql?query={query}")).body(Body::empty()).unwrap()
}

fn with(mut request: Request<Body>, name: &'static str, value: &str) -> Request<Body> {
    request.headers_mut().insert(name, value.parse().unwrap());
    request
}

fn cache_control(answer: &Answer) -> &str {
    answer.headers[header::CACHE_CONTROL].to_str().unwrap()
}

async fn kept(world: &World, request: Request<Body>) -> bool {
    let answer = world.send(request).await;
    let may_be_kept = cache_control(&answer) == KEPT;
    assert!(may_be_kept || cache_control(&answer) == "no-store", "{}", cache_control(&answer));
    assert_eq!(answer.headers.contains_key(header::VARY), may_be_kept, "{}", answer.text);
    may_be_kept
}

#[tokio::test]
async fn an_answer_of_public_fields_alone_may_be_kept_for_a_minute() {
    let world = world();
    for query in
        [PRODUCTS, "{ product(id: \"prod-1\") { __typename name } }", "{ product(id: \"no\") { id } }"]
    {
        assert!(kept(&world, post(None, &json!({ "query": query }))).await, "{query}");
        assert!(kept(&world, get(query)).await, "{query}");
    }
    let answer = world.send(get(PRODUCTS)).await;
    assert_eq!(answer.headers[header::VARY], "Accept, Authorization, Origin");
}

#[tokio::test]
async fn whatever_looked_at_the_viewer_may_not_be_kept_even_where_nobody_was_there() {
    let (world, (ada, order, _)) = (world(), World::new().buyer());
    for query in [
        "{ me { id } }".to_owned(),
        "{ products { data { id } } me { id } }".to_owned(),
        "{ products { data { id } } ...q } fragment q on Query { orders { pageInfo { hasMore } } }"
            .to_owned(),
        "{ products { data { id } } me @skip(if: true) { id } }".to_owned(),
        format!("{{ order(id: \"{order}\") {{ id }} }}"),
        "query A { me { id } } query B { products { data { id } } }".to_owned(),
    ] {
        for who in [None, Some(&ada)] {
            let body =
                json!({ "query": query, "operationName": query.starts_with("query A").then_some("A") });
            assert!(!kept(&world, post(who, &body)).await, "{query}");
        }
        assert!(!kept(&world, get(&query)).await, "{query}");
    }
}

#[tokio::test]
async fn of_several_operations_the_one_that_is_meant_decides() {
    let world = world();
    let query = "query A { me { id } } query B { products { data { id } } }";
    assert!(kept(&world, post(None, &json!({ "query": query, "operationName": "B" }))).await);
    assert!(!kept(&world, post(None, &json!({ "query": query, "operationName": "A" }))).await);
}

#[tokio::test]
async fn mutations_introspection_and_what_asks_only_whether_we_live_may_not_be_kept() {
    let world = world();
    for query in [
        "mutation { logout }",
        "{ __schema { queryType { name } } }",
        "{ __type(name: \"Product\") { name } }",
        "{ _service { sdl } }",
        "{ _entities(representations: [{__typename: \"Product\", id: \"prod-1\"}]) { ... on Product { name } } }",
        "{ __typename }",
        "{ products { data { id } } __schema { queryType { name } } }",
        "{ nonsense }",
        "{",
    ] {
        assert!(!kept(&world, post(None, &json!({ "query": query }))).await, "{query}");
    }
}

#[tokio::test]
async fn an_answer_with_an_error_may_not_be_kept() {
    let world = world();
    let partly = "{ product(id: \"prod-1\") { id } products(limit: 1) { data { id } } }";
    world.faults.set("ListProducts", Fault::Down);
    let answer = world.send(get(partly)).await;
    assert!(answer.body["data"]["product"]["id"] == "prod-1" && answer.body["errors"].is_array());
    assert_eq!(cache_control(&answer), "no-store");
    world.faults.clear();
    assert!(kept(&world, get(partly)).await);
    assert!(!kept(&world, get("{ products(limit: 1000) { data { id } } }")).await);
}

#[tokio::test]
async fn the_answer_to_a_request_that_names_somebody_or_wants_more_may_not_be_kept() {
    let world = world();
    let ada = world.customer("Ada");
    let bearer = format!("Bearer {}", ada.token.expose_secret());
    for (name, value) in [
        ("authorization", bearer.as_str()),
        ("cookie", "a=b"),
        ("x-portico-cost", "1"),
        ("x-portico-other", ""),
    ] {
        let answer = world.send(with(get(PRODUCTS), name, value)).await;
        assert_eq!(answer.body["data"]["products"]["pageInfo"]["total"], 1);
        assert_eq!(cache_control(&answer), "no-store", "{name}");
        assert!(!answer.headers.contains_key(header::ETAG), "{name}");
    }
}

#[tokio::test]
async fn what_is_public_is_asked_for_in_nobodys_name_whoever_asks() {
    let world = world();
    let admin = world.admin();
    world.ask(Some(&admin), PRODUCTS).await;
    assert_eq!(world.heard.metadata("authorization"), None);
    world.ask(Some(&admin), "{ products { data { id } } me { id } }").await;
    assert!(world.heard.metadata("authorization").is_some());
}

#[tokio::test]
async fn every_public_field_is_answered_to_nobody() {
    let everything = "{ product(id: \"prod-1\") { ...p } products { __typename data { ...p } pageInfo { total hasMore endCursor } } }
        fragment p on Product { id name unitPrice currency active createdAt updatedAt }";
    let body = world().ask(None, everything).await;
    assert!(body.get("errors").is_none(), "{body}");
}

#[tokio::test]
async fn a_client_that_has_the_answer_already_is_told_so_and_not_sent_it_again() {
    let world = world();
    let first = world.send(get(PRODUCTS)).await;
    let tag = first.headers[header::ETAG].to_str().unwrap().to_owned();
    assert!(tag.starts_with("W/\""), "{tag}");
    let bare = tag.trim_start_matches("W/").to_owned();
    for known in [tag.clone(), bare, "*".to_owned(), format!("\"other\", {tag}")] {
        let answer = world.send(with(get(PRODUCTS), "if-none-match", &known)).await;
        assert_eq!((answer.status, answer.text.as_str()), (StatusCode::NOT_MODIFIED, ""), "{known}");
        assert_eq!(answer.headers[header::ETAG], tag.as_str());
        assert_eq!(cache_control(&answer), KEPT);
        assert!(!answer.headers.contains_key(header::CONTENT_TYPE));
    }
    let answer = world.send(with(get(PRODUCTS), "if-none-match", "\"other\"")).await;
    assert_eq!((answer.status, answer.text), (StatusCode::OK, first.text));
    world.store.add_product("prod-2", "Mouse", 999);
    let answer = world.send(with(get(PRODUCTS), "if-none-match", &tag)).await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_ne!(answer.headers[header::ETAG], tag.as_str());
}

#[tokio::test]
async fn only_public_answers_to_a_get_have_tags() {
    let world = world();
    let ada = world.customer("Ada");
    for request in [
        post(None, &json!({ "query": PRODUCTS })),
        with(post(None, &json!({ "query": PRODUCTS })), "if-none-match", "*"),
        with(get("{ me { id } }"), "if-none-match", "*"),
        with(get("{ nonsense }"), "if-none-match", "*"),
        post(Some(&ada), &json!({ "query": "{ me { id } }" })),
    ] {
        let answer = world.send(request).await;
        assert_eq!(answer.status, StatusCode::OK);
        assert!(!answer.headers.contains_key(header::ETAG), "{}", answer.text);
    }
}

#[tokio::test]
async fn the_two_media_types_have_tags_of_their_own() {
    let world = world();
    let newer = "application/graphql-response+json";
    let json = world.send(get(PRODUCTS)).await;
    let graphql = world.send(with(get(PRODUCTS), "accept", newer)).await;
    assert_eq!(json.text, graphql.text);
    assert_ne!(json.headers[header::ETAG], graphql.headers[header::ETAG]);
}

#[tokio::test]
async fn for_how_long_is_a_setting_and_zero_keeps_and_merges_nothing() {
    let kept_for = async |seconds: &str| {
        let world = World::with(&["--public-max-age", seconds]);
        cache_control(&world.send(get(PRODUCTS)).await).to_owned()
    };
    assert_eq!(kept_for("5").await, "public, max-age=5");
    assert_eq!(kept_for("0").await, "no-store");
}
