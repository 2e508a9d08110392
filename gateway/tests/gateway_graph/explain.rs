//! `X-Portico-Explain`: what an answer came from, for those who may know.

use axum::{
    body::Body,
    http::{Request, header},
};
use serde_json::{Value, json};
use testkit::Caller;

use crate::world::{Answer, Fault, World, post};

const NESTED: &str = "{ orders { data { id user { id } payment { id } } } }";
const PUBLIC: &str = "{ products { data { id } } }";
const PRODUCTION: [&str; 2] = ["--environment", "production"];

async fn explained(world: &World, who: Option<&Caller>, body: &Value) -> Answer {
    let mut request = post(who, body);
    request.headers_mut().insert("x-portico-explain", "1".parse().unwrap());
    world.send(request).await
}

fn query(text: &str) -> Value {
    json!({ "query": text })
}

/// The calls of a trace, by their methods' names.
fn methods(trace: &Value) -> Vec<&str> {
    let calls = trace["calls"].as_array().unwrap_or_else(|| panic!("no trace: {trace}"));
    calls.iter().map(|call| call["method"].as_str().unwrap().rsplit('/').next().unwrap()).collect()
}

#[tokio::test]
async fn an_answer_tells_each_call_that_it_came_from_and_the_time_between() {
    let world = World::new();
    let (ada, ..) = world.buyer();
    world.store.add_order(&ada, "prod-1");
    let answer = explained(&world, Some(&ada), &query(NESTED)).await;
    let trace = &answer.body["extensions"]["trace"];
    let mut called = methods(trace);
    assert_eq!(called.remove(0), "ListOrders", "{trace}");
    called.sort_unstable();
    assert_eq!(called, ["BatchGetPaymentsByOrders", "BatchGetUsers"]);
    let number = |value: &Value| value.as_f64().unwrap_or_else(|| panic!("no number in {trace}"));
    let mut waited = 0.0;
    for call in trace["calls"].as_array().unwrap() {
        assert_eq!((&call["code"], &call["attempts"]), (&json!("OK"), &json!(1)), "{call}");
        assert!(number(&call["sentBytes"]) > 0.0 && number(&call["receivedBytes"]) > 0.0, "{call}");
        assert!(number(&call["startMs"]) + number(&call["tookMs"]) <= number(&trace["totalMs"]) + 0.01);
        waited += number(&call["tookMs"]);
    }
    // Those of one level run side by side, so what was waited for is no more than their sum.
    let (total, own) = (number(&trace["totalMs"]), number(&trace["gatewayMs"]));
    assert!(own > 0.0 && own <= total && total - own <= waited + 0.01, "{trace}");
    let payments =
        trace["calls"].as_array().unwrap().iter().find(|call| call["service"] == "payment").unwrap();
    assert_eq!((&payments["loader"], &payments["keys"]), (&json!("payments_by_order"), &json!(2)));
    assert_eq!(answer.headers[header::CACHE_CONTROL], "no-store");
}

#[tokio::test]
async fn a_call_that_failed_is_told_with_its_outcome() {
    let world = World::new();
    let (ada, ..) = world.buyer();
    world.faults.set("payment", Fault::Broken("SELECT secret"));
    let answer = explained(&world, Some(&ada), &query(NESTED)).await;
    let calls = answer.body["extensions"]["trace"]["calls"].as_array().unwrap().clone();
    let payments = calls.iter().find(|call| call["service"] == "payment").unwrap();
    assert_eq!(payments["code"], "INTERNAL");
    assert!(!answer.text.contains("secret"), "{}", answer.text);
}

#[tokio::test]
async fn in_production_it_is_told_to_admins_alone_and_for_others_the_header_means_nothing() {
    let world = World::with(&PRODUCTION);
    let (ada, ..) = world.buyer();
    for who in [None, Some(&ada)] {
        let answer = explained(&world, who, &query(PUBLIC)).await;
        assert!(answer.body["data"]["products"].is_object(), "{}", answer.text);
        assert!(answer.body.get("extensions").is_none() && answer.body.get("errors").is_none());
    }
    let grace = world.admin();
    let answer = explained(&world, Some(&grace), &query(PUBLIC)).await;
    assert_eq!(methods(&answer.body["extensions"]["trace"]), ["ListProducts"]);
}

#[tokio::test]
async fn nobody_is_told_who_does_not_ask() {
    let world = World::new();
    let (ada, ..) = world.buyer();
    for value in [None, Some("0"), Some("yes")] {
        let mut request = post(Some(&ada), &query(NESTED));
        if let Some(value) = value {
            request.headers_mut().insert("x-portico-explain", value.parse().unwrap());
        }
        assert!(world.send(request).await.body.get("extensions").is_none(), "{value:?}");
    }
}

#[tokio::test]
async fn what_is_explained_runs_alone_and_no_cache_keeps_it() {
    let world = World::new();
    world.buyer();
    world.faults.set("ListProducts", Fault::Slow(std::time::Duration::from_millis(50)));
    world.calls.take();
    let query = query(PUBLIC);
    // Side by side, two that ask the same are one run; those that are explained are none of it.
    let (first, second, plain) = tokio::join!(
        explained(&world, None, &query),
        explained(&world, None, &query),
        world.send(post(None, &query)),
    );
    assert_eq!(world.calls.take()["ListProducts"], 3);
    for answer in [first, second] {
        assert_eq!(methods(&answer.body["extensions"]["trace"]), ["ListProducts"]);
        assert_eq!(answer.headers[header::CACHE_CONTROL], "no-store");
    }
    assert!(plain.body.get("extensions").is_none());
    assert_ne!(plain.headers[header::CACHE_CONTROL], "no-store");
}

#[tokio::test]
async fn it_is_told_by_get_and_for_each_operation_of_a_batch() {
    let world = World::with(&["--batch", "3"]);
    world.buyer();
    let by_get =
        Request::get("/graphql?query=%7Bproducts%7Bdata%7Bid%7D%7D%7D").header("x-portico-explain", "1");
    let answer = world.send(by_get.body(Body::empty()).unwrap()).await;
    assert_eq!(methods(&answer.body["extensions"]["trace"]), ["ListProducts"]);
    let batch = json!([query(PUBLIC), query("{ __typename }")]);
    let answer = explained(&world, None, &batch).await;
    assert_eq!(methods(&answer.body[0]["extensions"]["trace"]), ["ListProducts"]);
    assert_eq!(methods(&answer.body[1]["extensions"]["trace"]), Vec::<&str>::new());
}
