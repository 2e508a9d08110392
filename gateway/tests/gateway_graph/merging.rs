//! Public queries that are under way at the same time are executed once.

use std::time::Duration;

use futures::future::join_all;
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::world::{Fault, World, post, reason, refusal};

const PRODUCTS: &str = "{ products { data { id name } } }";

/// A shop whose services take their time to answer.
fn slow(rpc: &str) -> World {
    let world = World::new();
    world.store.add_product("prod-1", "Laptop", 99_999);
    world.faults.set(rpc, Fault::Slow(Duration::from_millis(300)));
    world
}

fn count(world: &World, rpc: &str) -> usize {
    world.calls.take().get(rpc).copied().unwrap_or(0)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_hundred_at_once_make_one_call_whoever_they_are() {
    let world = slow("ListProducts");
    let (ada, grace) = (world.customer("Ada"), world.admin());
    let callers = [None, Some(&ada), Some(&grace)];
    let answers = join_all((0..100).map(|n| world.ask(callers[n % 3], PRODUCTS))).await;
    assert!(answers.iter().all(|body| body == &answers[0]));
    assert_eq!(answers[0]["data"]["products"]["data"][0]["name"], "Laptop");
    assert_eq!(count(&world, "ListProducts"), 1);
    world.ask(None, PRODUCTS).await;
    assert_eq!(count(&world, "ListProducts"), 1, "what is over is not kept");
}

#[tokio::test]
async fn what_is_not_the_same_query_is_executed_by_itself() {
    let world = slow("ListProducts");
    let asked = [
        (PRODUCTS, json!({})),
        ("{ products { data { id name }  } }", json!({})),
        ("query Q($n: Int) { products(limit: $n) { data { id } } }", json!({ "n": 1 })),
        ("query Q($n: Int) { products(limit: $n) { data { id } } }", json!({ "n": 2 })),
        ("query Q($n: Int) { products(limit: $n) { data { id } } }", json!({})),
    ];
    join_all(asked.iter().map(|(query, variables)| world.ask_with(None, query, variables.clone()))).await;
    assert_eq!(count(&world, "ListProducts"), 5);
}

#[tokio::test]
async fn private_queries_are_never_merged() {
    let world = slow("BatchGetUsers");
    let (ada, grace) = (world.customer("Ada"), world.customer("Grace"));
    let ask = |who| world.ask(Some(who), "{ me { firstName } }");
    let answers = join_all([ask(&ada), ask(&grace), ask(&ada)]).await;
    let names: Vec<&Value> = answers.iter().map(|body| &body["data"]["me"]["firstName"]).collect();
    assert_eq!(names, ["Ada", "Grace", "Ada"]);
    assert_eq!(count(&world, "BatchGetUsers"), 3);
}

#[tokio::test]
async fn one_that_goes_away_ends_nothing_for_the_others() {
    let world = slow("ListProducts");
    let first = timeout(Duration::from_millis(100), world.ask(None, PRODUCTS));
    let (first, others) = tokio::join!(first, join_all((0..5).map(|_| world.ask(None, PRODUCTS))));
    assert!(first.is_err(), "it was to leave before the answer came");
    assert!(others.iter().all(|body| body["data"]["products"]["data"][0]["id"] == "prod-1"), "{others:?}");
    assert_eq!(count(&world, "ListProducts"), 1);
}

#[tokio::test]
async fn when_all_have_gone_away_the_next_begins_anew() {
    let world = slow("ListProducts");
    let leave = || timeout(Duration::from_millis(50), world.ask(None, PRODUCTS));
    let gone = join_all([leave(), leave()]).await;
    assert!(gone.iter().all(Result::is_err));
    world.faults.clear();
    let body = world.ask(None, PRODUCTS).await;
    assert_eq!(body["data"]["products"]["data"][0]["id"], "prod-1");
    assert_eq!(count(&world, "ListProducts"), 2);
}

#[tokio::test]
async fn a_failure_reaches_all_each_under_the_id_of_its_own_request() {
    let world = slow("ListProducts");
    world.faults.set("ListProducts", Fault::Broken("secret words"));
    let ask = |id: &'static str| {
        let mut request = post(None, &json!({ "query": PRODUCTS }));
        request.headers_mut().insert("x-request-id", id.parse().unwrap());
        world.send(request)
    };
    let ids = ["one", "two", "three"];
    for (answer, id) in join_all(ids.map(ask)).await.iter().zip(ids) {
        assert_eq!(reason(&answer.body), ("INTERNAL", "INTERNAL"));
        assert_eq!(refusal(&answer.body)["requestId"], id);
        assert_eq!(answer.headers["x-request-id"], id);
        assert!(!answer.text.contains("secret"));
    }
}

#[tokio::test]
async fn who_asks_after_a_change_is_not_told_what_was_read_before_it() {
    let world = slow("ListProducts");
    let admin = world.admin();
    let change = async {
        tokio::time::sleep(Duration::from_millis(50)).await;
        let product = r#"{ id: "prod-2", name: "Mouse", unitPrice: "9.99", currency: "USD" }"#;
        world.ask(Some(&admin), &format!("mutation {{ upsertProduct(input: {product}) {{ id }} }}")).await;
        world.ask(None, PRODUCTS).await
    };
    tokio::join!(world.ask(None, PRODUCTS), change);
    assert_eq!(count(&world, "ListProducts"), 2);
}

#[tokio::test]
async fn where_nothing_may_be_kept_nothing_is_merged() {
    let world = World::with(&["--public-max-age", "0"]);
    world.faults.set("ListProducts", Fault::Slow(Duration::from_millis(100)));
    join_all((0..3).map(|_| world.ask(None, PRODUCTS))).await;
    assert_eq!(count(&world, "ListProducts"), 3);
}
