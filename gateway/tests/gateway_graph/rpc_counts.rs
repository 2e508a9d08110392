//! How many calls a query makes follows from its shape alone.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use testkit::Caller;

use crate::world::World;

const ORDERS: &str =
    "{ orders(limit: 100) { data { id user { email } payment { status } items { product { name } } } } }";
const USERS: &str = "{ users(limit: 100) { data { id orders(limit: 3) { id payment { status } } } } }";
const ME: &str = "{ me { id orders(limit: 100) { id payment { status } } } }";

/// `rows` customers with an order each of a product each, and an admin who sees them all.
fn customers(rows: usize) -> (World, Caller) {
    let world = World::with(&["--rate-limits", "off"]);
    for n in 0..rows {
        let customer = world.customer(&format!("Ada{n}"));
        world.store.add_product(&format!("prod-{n}"), "Laptop", 99_999);
        world.store.add_order(&customer, &format!("prod-{n}"));
    }
    let admin = world.tokens.admin();
    (world, admin)
}

/// A customer with `rows` orders.
fn regular(rows: usize) -> (World, Caller) {
    let world = World::new();
    let (ada, ..) = world.buyer();
    for _ in 1..rows {
        world.store.add_order(&ada, "prod-1");
    }
    (world, ada)
}

async fn counted(world: &World, caller: &Caller, query: &str) -> (Value, BTreeMap<String, usize>) {
    world.calls.take();
    let body = world.ask(Some(caller), query).await;
    assert!(body.get("errors").is_none(), "{body}");
    (body["data"].clone(), world.calls.take())
}

fn once(rpcs: &[&str]) -> BTreeMap<String, usize> {
    rpcs.iter().map(|rpc| ((*rpc).to_owned(), 1)).collect()
}

#[tokio::test]
async fn orders_with_all_their_edges_take_four_calls_for_one_row_and_for_a_hundred() {
    for rows in [1, 100] {
        let (world, admin) = customers(rows);
        let (data, calls) = counted(&world, &admin, ORDERS).await;
        assert_eq!(data["orders"]["data"].as_array().unwrap().len(), rows);
        let all = data["orders"]["data"].as_array().unwrap().iter();
        assert!(
            all.clone().all(|row| row["user"]["email"].is_string() && row["payment"]["status"] == "PENDING")
        );
        assert!(all.clone().all(|row| row["items"][0]["product"]["name"] == "Laptop"));
        let expected = once(&["ListOrders", "BatchGetUsers", "BatchGetPaymentsByOrders", "BatchGetProducts"]);
        assert_eq!(calls, expected, "{rows} rows");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn batches_are_not_split_where_threads_run_side_by_side() {
    let (world, admin) = customers(100);
    for _ in 0..20 {
        let (_, calls) = counted(&world, &admin, ORDERS).await;
        assert_eq!(
            calls,
            once(&["ListOrders", "BatchGetUsers", "BatchGetPaymentsByOrders", "BatchGetProducts"])
        );
    }
}

#[tokio::test]
async fn ones_own_orders_with_their_payments_take_three_calls_for_one_row_and_for_a_hundred() {
    for rows in [1, 100] {
        let (world, ada) = regular(rows);
        let (data, calls) = counted(&world, &ada, ME).await;
        assert_eq!(data["me"]["orders"].as_array().unwrap().len(), rows);
        assert_eq!(
            calls,
            once(&["BatchGetUsers", "BatchListOrdersByUsers", "BatchGetPaymentsByOrders"]),
            "{rows} rows"
        );
    }
}

#[tokio::test]
async fn users_with_their_orders_and_payments_take_three_calls_for_one_row_and_for_a_hundred() {
    for rows in [1, 100] {
        let (world, admin) = customers(rows);
        let (data, calls) = counted(&world, &admin, USERS).await;
        assert_eq!(data["users"]["data"].as_array().unwrap().len(), rows);
        assert_eq!(
            calls,
            once(&["ListUsers", "BatchListOrdersByUsers", "BatchGetPaymentsByOrders"]),
            "{rows} rows"
        );
    }
}

#[tokio::test]
async fn an_entity_that_is_reached_by_two_paths_is_loaded_once() {
    let (world, ada) = regular(20);
    let (_, calls) =
        counted(&world, &ada, "{ orders { data { user { email } payment { user { email firstName } } } } }")
            .await;
    assert_eq!(calls, once(&["ListOrders", "BatchGetUsers", "BatchGetPaymentsByOrders"]));

    let id = ada.viewer.user_id;
    let twice = format!(
        r#"{{ me {{ email }} user(id: "{id}") {{ email }} again: user(id: "{id}") {{ firstName }} }}"#
    );
    let (data, calls) = counted(&world, &ada, &twice).await;
    assert_eq!(data["again"]["firstName"], "Ada");
    assert_eq!(calls, once(&["BatchGetUsers"]));
}

#[tokio::test]
async fn a_list_that_is_asked_for_here_and_in_a_fragment_is_fetched_once() {
    let (world, ada) = regular(3);
    let query = "query { orders { data { id } } ...more ...counted ... { orders { data { status } } } } \
                 fragment more on Query { orders { data { totalAmount } } } \
                 fragment counted on Query { orders { pageInfo { total } } }";
    let (data, calls) = counted(&world, &ada, query).await;
    assert_eq!(calls, once(&["ListOrders"]));
    let first = &data["orders"]["data"][0];
    assert!(["id", "status", "totalAmount"].iter().all(|key| first[key].is_string()), "{data}");
    assert_eq!(data["orders"]["pageInfo"]["total"], 3);
}

#[tokio::test]
async fn lists_of_two_lengths_take_a_call_for_each_length() {
    let (world, ada) = regular(20);
    let (data, calls) =
        counted(&world, &ada, "{ me { two: orders(limit: 2) { id } three: orders(limit: 3) { id } } }").await;
    assert_eq!(data["me"]["two"].as_array().unwrap().len(), 2);
    assert_eq!(data["me"]["three"].as_array().unwrap().len(), 3);
    assert_eq!(calls["BatchListOrdersByUsers"], 2);
}

#[tokio::test]
async fn a_thousand_keys_travel_in_one_call_and_more_are_refused() {
    let world = World::new();
    let admin = world.admin();
    let id = admin.viewer.user_id.to_string();
    let query = "query($keys: [_Any!]!) { _entities(representations: $keys) { ... on User { email } } }";
    let keys = |n: usize| {
        let mut keys = vec![json!({ "__typename": "User", "id": id })];
        keys.extend((1..n).map(|_| json!({ "__typename": "User", "id": uuid::Uuid::now_v7().to_string() })));
        json!({ "keys": keys })
    };
    world.calls.take();
    let body = world.ask_with(Some(&admin), query, keys(1_000)).await;
    assert_eq!(body["data"]["_entities"][0]["email"], "grace@example.com");
    assert_eq!(body["data"]["_entities"].as_array().unwrap().len(), 1_000);
    assert_eq!(world.calls.take(), once(&["BatchGetUsers"]));

    let body = world.ask_with(Some(&admin), query, keys(1_001)).await;
    assert_eq!(crate::world::reason(&body), ("BAD_USER_INPUT", "TOO_MANY_KEYS"));
    assert!(world.calls.take().is_empty());
}

#[tokio::test]
async fn rows_are_counted_only_where_the_total_is_asked_for() {
    let (world, ada) = regular(2);
    counted(&world, &ada, "{ orders { data { id } pageInfo { hasMore endCursor } } }").await;
    assert!(world.store.take_changes().is_empty());
    let by_fragment = "{ orders { ...page } } fragment page on OrderPage { pageInfo { ... { total } } }";
    let (data, _) = counted(&world, &ada, by_fragment).await;
    assert_eq!(data["orders"]["pageInfo"]["total"], 2);
    assert_eq!(world.store.take_changes(), ["count orders"]);
}

#[tokio::test]
async fn an_id_that_can_not_exist_makes_no_call() {
    let (world, ada) = regular(1);
    let query = r#"{ user(id: "1") { id } order(id: "x") { id } payment(id: "") { id } paymentByOrder(orderId: "\u0000") { id } }"#;
    let (data, calls) = counted(&world, &ada, query).await;
    assert_eq!(data, json!({ "user": null, "order": null, "payment": null, "paymentByOrder": null }));
    assert!(calls.is_empty(), "{calls:?}");
}

#[tokio::test]
async fn an_id_is_found_however_its_letters_are_written() {
    let (world, ada) = regular(1);
    let id = ada.viewer.user_id.to_string().to_uppercase();
    let (data, _) = counted(&world, &ada, &format!(r#"{{ user(id: "{id}") {{ email }} }}"#)).await;
    assert_eq!(data["user"]["email"], "ada@example.com");
}
