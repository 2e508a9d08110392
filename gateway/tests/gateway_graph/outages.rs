//! A service that is down, slow or broken costs its own fields: null, with an error that has a path.

use std::time::Duration;

use axum::http::Method;
use serde_json::{Value, json};
use testkit::Caller;

use crate::alone::alone;
use crate::world::{Answer, Fault, World, post, reason};

/// Every edge: a query, what is down, the edge in the answer, and something beside it that must be there.
const EDGES: [(&str, &str, &str, &str); 6] = [
    ("{ orders { data { id user { id } } } }", "user", "/orders/data/0/user", "/orders/data/0/id"),
    ("{ orders { data { id payment { id } } } }", "payment", "/orders/data/0/payment", "/orders/data/0/id"),
    (
        "{ orders { data { items { productName product { id } } } } }",
        "BatchGetProducts",
        "/orders/data/0/items/0/product",
        "/orders/data/0/items/0/productName",
    ),
    ("{ me { id orders { id } } }", "order", "/me/orders", "/me/id"),
    ("{ payments { data { id order { id } } } }", "order", "/payments/data/0/order", "/payments/data/0/id"),
    ("{ payments { data { id user { id } } } }", "user", "/payments/data/0/user", "/payments/data/0/id"),
];

/// The path of the first error as a JSON pointer.
fn path(body: &Value) -> String {
    let segments = body["errors"][0]["path"].as_array().unwrap();
    segments.iter().map(|segment| format!("/{}", segment.to_string().trim_matches('"'))).collect()
}

#[tokio::test]
async fn every_edge_whose_service_is_down_is_null_with_a_path_and_the_page_stays_whole() {
    let world = World::new();
    let (ada, ..) = world.buyer();
    for (query, down, edge, beside) in EDGES {
        world.faults.set(down, Fault::Down);
        let body = world.ask(Some(&ada), query).await;
        world.faults.clear();
        assert_eq!(body["data"].pointer(edge), Some(&Value::Null), "{query}: {body}");
        assert!(body["data"].pointer(beside).unwrap().is_string(), "{query}: {body}");
        assert_eq!(reason(&body), ("SERVICE_UNAVAILABLE", "SERVICE_UNAVAILABLE"), "{query}: {body}");
        assert_eq!(path(&body), edge, "{query}");
        assert_eq!(body["errors"].as_array().unwrap().len(), 1);
        assert!(!body.to_string().contains("10.0.0.7"), "{body}");
    }
}

#[tokio::test]
async fn a_root_field_whose_service_is_down_leaves_the_other_root_fields_standing() {
    let world = World::new();
    let (ada, ..) = world.buyer();
    let roots = [
        ("orders { data { id } }", "order"),
        ("myOrders { data { id } }", "order"),
        (r#"order(id: "0190d3f0-0000-7000-8000-000000000000") { id }"#, "order"),
        ("products { data { id } }", "order"),
        (r#"product(id: "prod-1") { id }"#, "order"),
        ("payments { data { id } }", "payment"),
        ("myPayments { data { id } }", "payment"),
        (r#"payment(id: "0190d3f0-0000-7000-8000-000000000000") { id }"#, "payment"),
        (r#"paymentByOrder(orderId: "0190d3f0-0000-7000-8000-000000000000") { id }"#, "payment"),
    ];
    for (field, down) in roots {
        world.faults.set(down, Fault::Down);
        let body = world.ask(Some(&ada), &format!("{{ me {{ email }} root: {field} }}")).await;
        world.faults.clear();
        assert_eq!(body["data"], json!({ "me": { "email": "ada@example.com" }, "root": null }), "{field}");
        assert_eq!(path(&body), "/root", "{field}");
    }
}

#[tokio::test]
async fn a_hundred_rows_without_their_service_are_a_hundred_rows_with_an_error_each() {
    let world = World::new();
    let (ada, ..) = world.buyer();
    for _ in 1..100 {
        world.store.add_order(&ada, "prod-1");
    }
    world.faults.set("payment", Fault::Down);
    world.calls.take();
    let body = world.ask(Some(&ada), "{ orders(limit: 100) { data { id payment { id } } } }").await;
    assert_eq!(body["data"]["orders"]["data"].as_array().unwrap().len(), 100);
    assert_eq!(body["errors"].as_array().unwrap().len(), 100);
    assert_eq!(world.calls.take()["BatchGetPaymentsByOrders"], 3, "one call, which is safe to repeat");
}

#[tokio::test(start_paused = true)]
async fn a_slow_service_costs_its_fields_after_the_time_that_a_call_may_take() {
    let world = World::with(&["--rpc-timeout", "2"]);
    let (ada, ..) = world.buyer();
    world.faults.set("payment", Fault::Slow(Duration::from_secs(60)));
    let started = tokio::time::Instant::now();
    let body = world.ask(Some(&ada), "{ orders { data { id payment { id } } } }").await;
    assert!((2..3).contains(&started.elapsed().as_secs()), "{:?}", started.elapsed());
    assert!(body["data"]["orders"]["data"][0]["id"].is_string(), "{body}");
    assert_eq!(reason(&body), ("TIMEOUT", "SERVICE_TIMEOUT"));
    assert_eq!(path(&body), "/orders/data/0/payment");
}

#[tokio::test(start_paused = true)]
async fn what_did_come_is_answered_within_the_time_of_the_request() {
    let world = World::with(&["--rpc-timeout", "6", "--request-timeout", "10"]);
    let (ada, ..) = world.buyer();
    world.faults.set("ListOrders", Fault::Slow(Duration::from_secs(5)));
    world.faults.set("payment", Fault::Slow(Duration::from_secs(60)));
    let started = tokio::time::Instant::now();
    let body = world.ask(Some(&ada), "{ orders { data { id payment { id } } } }").await;
    assert!(started.elapsed() < Duration::from_secs(10), "{:?}", started.elapsed());
    assert!(body["data"]["orders"]["data"][0]["id"].is_string(), "{body}");
    assert_eq!(reason(&body), ("TIMEOUT", "REQUEST_TIMEOUT"));
}

/// The answer to a query of orders with their payments, whose service does not answer, asked with this header.
async fn ask_in(world: &World, who: &Caller, milliseconds: &str) -> (Answer, Duration) {
    let mut request = post(Some(who), &json!({ "query": "{ orders { data { id payment { id } } } }" }));
    request.headers_mut().insert("x-portico-timeout", milliseconds.parse().unwrap());
    let started = tokio::time::Instant::now();
    (world.send(request).await, started.elapsed())
}

#[tokio::test(start_paused = true)]
async fn a_client_that_gives_its_request_less_time_gets_what_came_until_then() {
    let world = World::new();
    let (ada, ..) = world.buyer();
    world.faults.set("payment", Fault::Slow(Duration::from_secs(60)));
    for (header, least, most) in [("1500", 1_300, 1_500), ("100", 80, 100), ("60000", 2_000, 2_200)] {
        let (answer, took) = ask_in(&world, &ada, header).await;
        assert!((least..most).contains(&took.as_millis()), "{header}: {took:?}");
        assert!(answer.body["data"]["orders"]["data"][0]["id"].is_string(), "{header}: {}", answer.text);
        // Whose time was over, the request's or the service's, is told apart.
        let expected = if header == "60000" { "SERVICE_TIMEOUT" } else { "REQUEST_TIMEOUT" };
        assert_eq!(reason(&answer.body), ("TIMEOUT", expected), "{header}");
    }
}

#[tokio::test]
async fn a_time_that_is_none_is_refused_in_the_graph_and_in_rest() {
    let world = World::new();
    let (ada, ..) = world.buyer();
    for rubbish in ["0", "-1", "soon", "1.5", "2s", ""] {
        let (answer, _) = ask_in(&world, &ada, rubbish).await;
        assert_eq!(answer.status, 400, "{rubbish}: {}", answer.text);
        assert_eq!(reason(&answer.body), ("BAD_USER_INPUT", "TIMEOUT_INVALID"), "{rubbish}");
        let mut request = crate::rest::request(Method::GET, "/products", None, None);
        request.headers_mut().insert("x-portico-timeout", rubbish.parse().unwrap());
        let answer = world.send(request).await;
        assert_eq!(answer.status, 400, "{rubbish}: {}", answer.text);
        assert_eq!(answer.body["error"]["details"]["reason"], "TIMEOUT_INVALID", "{rubbish}");
    }
}

#[tokio::test(start_paused = true)]
async fn rest_takes_no_longer_than_its_client_gives_it() {
    let world = World::new();
    world.faults.set("ListProducts", Fault::Slow(Duration::from_secs(60)));
    for (header, reason) in [("500", "REQUEST_TIMEOUT"), ("5000", "SERVICE_TIMEOUT")] {
        let mut request = crate::rest::request(Method::GET, "/products", None, None);
        request.headers_mut().insert("x-portico-timeout", header.parse().unwrap());
        let answer = world.send(request).await;
        assert_eq!(answer.status, 504, "{header}: {}", answer.text);
        assert_eq!(answer.body["error"]["details"]["reason"], reason, "{header}");
    }
}

#[tokio::test(start_paused = true)]
async fn identical_public_queries_of_different_budgets_end_each_in_its_own_time() {
    let world = World::with(&["--rpc-timeout", "9"]);
    world.faults.set("ListProducts", Fault::Slow(Duration::from_secs(5)));
    let ask = async |milliseconds: &str| {
        let mut request = post(None, &json!({ "query": "{ products { data { id } } }" }));
        request.headers_mut().insert("x-portico-timeout", milliseconds.parse().unwrap());
        let started = tokio::time::Instant::now();
        (world.send(request).await.body, started.elapsed())
    };
    let answers = futures::future::join_all(["500", "8000", "500", "8000"].map(ask)).await;
    for (n, (body, took)) in answers.iter().enumerate() {
        let impatient = n % 2 == 0;
        assert_eq!(*took < Duration::from_millis(500), impatient, "{took:?}");
        assert_eq!(body["data"]["products"].is_null(), impatient, "{body}");
    }
    assert_eq!(world.calls.take()["ListProducts"], 2, "those of one budget share a run");
}

#[tokio::test]
async fn what_went_wrong_inside_a_service_does_not_leave_it() {
    let world = World::new();
    let (ada, ..) = world.buyer();
    world.faults.set("user", Fault::Broken("SELECT password FROM users"));
    let body = world.ask(Some(&ada), "{ orders { data { id user { id } } } }").await;
    assert_eq!(reason(&body), ("INTERNAL", "INTERNAL"));
    assert!(!body.to_string().contains("password"), "{body}");
    assert!(body["errors"][0]["extensions"]["requestId"].is_string(), "{body}");
}

#[tokio::test]
async fn a_mutation_whose_service_is_down_answers_with_its_error() {
    let world = World::new();
    let (ada, order, _) = world.buyer();
    world.faults.set("order", Fault::Down);
    world.calls.take();
    let body = world.ask(Some(&ada), &format!(r#"mutation {{ cancelOrder(id: "{order}") {{ id }} }}"#)).await;
    assert_eq!(body["data"], Value::Null);
    assert_eq!(reason(&body), ("SERVICE_UNAVAILABLE", "SERVICE_UNAVAILABLE"));
    assert_eq!(path(&body), "/cancelOrder");
    assert_eq!(world.calls.take()["CancelOrder"], 1, "it may have been done already");
}

#[tokio::test]
async fn each_edge_is_counted_once_for_a_level_with_how_it_ended() {
    if !alone("outages::each_edge_is_counted_once_for_a_level_with_how_it_ended") {
        return;
    }
    let metrics = runtime::telemetry::metrics().unwrap();
    let counted = || -> std::collections::BTreeMap<String, f64> {
        let samples = runtime::measure::text::samples(&metrics.render()).into_iter();
        let edges = samples.filter(|sample| sample.name == "graphql_edge_duration_seconds_count");
        edges.map(|edge| (format!("{} {}", edge.label("edge"), edge.label("outcome")), edge.value)).collect()
    };
    let world = World::new();
    let (ada, ..) = world.buyer();
    let edges =
        ["Order.user", "Order.payment", "OrderItem.product", "User.orders", "Payment.order", "Payment.user"];
    for ((query, down, ..), edge) in EDGES.iter().zip(edges) {
        let before = counted();
        world.ask(Some(&ada), query).await;
        world.faults.set(down, Fault::Down);
        world.ask(Some(&ada), query).await;
        world.faults.clear();
        for outcome in ["ok", "errors"] {
            let series = format!("{edge} {outcome}");
            let before = before.get(&series).copied().unwrap_or_default();
            assert_eq!(counted().get(&series).copied().unwrap_or_default() - before, 1.0, "{series}");
        }
    }
}
