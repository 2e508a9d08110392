//! The payment service goes while orders are read: who reads them, who watches, and who follows one request.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::graph::Graph;
use crate::run::eventually;
use crate::traces::{SPAN, Store, TRACE};
use crate::watched::Watched;

const PAGE: &str = "{ orders(limit: 10) { data { id status user { id } payment { id status } } } }";
const OTHERS: &str = "{ products { data { id } } users(limit: 3) { data { id } } }";
/// More than a call to a service may take, less than a request may.
const IN_TIME: Duration = Duration::from_secs(4);

/// The orders of the page, which came in time, and the reason why their payments are missing, if they are.
fn page(admin: &Graph) -> (Vec<Value>, Option<String>) {
    let begun = Instant::now();
    let answer = admin.ask(PAGE);
    assert!(begun.elapsed() < IN_TIME, "it took {:?}: {answer}", begun.elapsed());
    let orders = answer["data"]["orders"]["data"].as_array().unwrap_or_else(|| panic!("{answer}")).clone();
    assert!(orders.iter().all(|order| order["user"]["id"].is_string()), "{answer}");
    let error = &answer["errors"][0];
    if error.is_null() {
        assert!(orders.iter().all(|order| order["payment"]["id"].is_string()), "{answer}");
        return (orders, None);
    }
    assert!(orders.iter().all(|order| order["payment"].is_null()), "{answer}");
    assert_eq!(error["path"], json!(["orders", "data", 0, "payment"]), "{answer}");
    assert_eq!(error["extensions"]["code"], "SERVICE_UNAVAILABLE", "{answer}");
    (orders, Some(error["extensions"]["reason"].as_str().unwrap().to_owned()))
}

/// What the gateway's admin port says at this path.
fn told(system: &Watched, path: &str) -> String {
    let url = format!("http://{}{path}", system.gateway.admin);
    ureq::get(&url).call().unwrap().body_mut().read_to_string().unwrap()
}

/// Whether the gateway counts a line that begins like this, and more than nothing of it.
fn counts(system: &Watched, series: &str) -> bool {
    let text = told(system, "/metrics");
    text.lines().any(|line| line.starts_with(series) && !line.ends_with(" 0"))
}

#[test]
fn orders_are_read_while_the_payment_service_is_gone_and_one_look_tells_why() {
    let store = Store::start();
    let mut settings = store.settings("1");
    settings.push(("CIRCUIT_BREAKER_TIMEOUT".to_owned(), "3".to_owned()));
    let mut system = Watched::start_with(&settings);
    let admin = system.be_used();
    let (before, missing) = page(&admin);
    assert!(!before.is_empty() && missing.is_none());

    system.end_payment();
    eventually("the breaker opens", || page(&admin).1.as_deref() == Some("CIRCUIT_OPEN"));
    assert_eq!(page(&admin).0.len(), before.len());
    let others = admin.ask(OTHERS);
    assert!(others["errors"].is_null() && others["data"]["users"].is_object(), "{others}");

    // Who watches: the breaker and the edge, by the names that the dashboards ask for.
    assert!(counts(&system, r#"circuit_breaker_transitions_total{service="payment",to="open"}"#));
    assert!(counts(&system, r#"graphql_edge_duration_seconds_count{edge="Order.payment",outcome="errors"}"#));
    assert!(!counts(&system, r#"circuit_breaker_transitions_total{service="order",to="open"}"#));
    eventually("the status page tells it", || {
        page(&admin);
        let status: Value = serde_json::from_str(&told(&system, "/status.json")).unwrap();
        let parts = status["parts"].as_array().unwrap();
        parts.iter().any(|part| part["name"] == "payment" && part["breaker"] == "open")
    });

    // Who follows one request: the way to the orders and to their users is whole, the way to the payments ends here.
    admin.ask_with(PAGE, &[("traceparent", format!("00-{TRACE}-{SPAN}-01"))]);
    let http = store.child(SPAN, "gateway", "Server", "POST /graphql");
    let operation = store.child(&http.id, "gateway", "Internal", "query");
    for (service, method) in
        [("order", "order.v1.OrderService/ListOrders"), ("user", "user.v1.UserService/BatchGetUsers")]
    {
        let call = store.child(&operation.id, "gateway", "Client", method);
        store.child(&call.id, service, "Server", method);
    }
    let method = "payment.v1.PaymentService/BatchGetPaymentsByOrders";
    assert!(store.child(&operation.id, "gateway", "Client", method).failed);

    system.start_payment_again();
    eventually("payments are there again, and nobody was started anew for it", || page(&admin).1.is_none());
}
