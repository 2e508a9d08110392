//! A service that is stuck or away keeps nobody waiting who does not ask for it, and is found again without a restart.

use std::{net::SocketAddr, pin::pin, time::Duration};

use futures::{future::join_all, poll};
use serde_json::{Value, json};
use testkit::until;
use tokio::{net::TcpListener, task::yield_now, time::Instant};

use crate::{
    real_world::RealWorld,
    world::{Fault, World, reason, refusal},
};

/// What needs the payment service, and what does not.
const PAYMENTS: &str = "{ payments { data { id } } }";
const OTHERS: &str = "{ me { id } orders { data { id user { id } items { product { id } } } } }";

const FOR_EVER: Fault = Fault::Slow(Duration::from_secs(3600));

#[tokio::test(start_paused = true)]
async fn while_three_hundred_requests_hang_on_one_service_the_others_are_answered_at_once() {
    let world = World::with(&["--rate-limits", "off"]);
    let (ada, ..) = world.buyer();
    world.faults.set("payment", FOR_EVER);
    let mut hanging = pin!(join_all((0..300).map(|_| world.ask(Some(&ada), PAYMENTS))));
    let mut sent = 0;
    while sent < 200 {
        assert!(poll!(&mut hanging).is_pending());
        yield_now().await;
        sent += world.calls.take().get("ListPayments").copied().unwrap_or_default();
    }
    let began = Instant::now();
    for _ in 0..20 {
        let body = world.ask(Some(&ada), OTHERS).await;
        assert!(body.get("errors").is_none(), "{body}");
    }
    assert_eq!(began.elapsed(), Duration::ZERO, "nobody had to wait for anything");
    assert!(poll!(&mut hanging).is_pending());
    let answers = hanging.await;
    let told = |reason: &str| answers.iter().filter(|body| crate::world::reason(body).1 == reason).count();
    assert_eq!((told("SERVICE_TIMEOUT"), told("SERVICE_BUSY")), (200, 100));
    for body in &answers {
        assert_eq!(
            (&body["data"], &body["errors"][0]["path"]),
            (&json!({ "payments": null }), &json!(["payments"]))
        );
    }
    assert_eq!(
        world.calls.take(),
        [("ListOrders", 20), ("BatchGetUsers", 20), ("BatchGetProducts", 20)]
            .map(|(rpc, calls)| (rpc.to_owned(), calls))
            .into()
    );
}

#[tokio::test(start_paused = true)]
async fn requests_that_need_a_stuck_service_do_not_fill_the_gateway() {
    let world = World::with(&["--rate-limits", "off", "--limit-requests", "100", "--rpc-concurrency", "20"]);
    let (ada, ..) = world.buyer();
    world.faults.set("payment", FOR_EVER);
    let mut hanging = pin!(join_all((0..40).map(|_| world.ask(Some(&ada), PAYMENTS))));
    for _ in 0..100 {
        assert!(poll!(&mut hanging).is_pending());
        yield_now().await;
    }
    let began = Instant::now();
    for _ in 0..200 {
        let body = world.ask(Some(&ada), PAYMENTS).await;
        assert_eq!(reason(&body), ("SERVICE_UNAVAILABLE", "SERVICE_BUSY"), "{body}");
        assert_eq!(refusal(&body)["retryAfter"], 1);
    }
    assert!(world.ask(Some(&ada), OTHERS).await.get("errors").is_none());
    assert_eq!(began.elapsed(), Duration::ZERO);
    assert_eq!(world.calls.take()["ListPayments"], 20);
}

#[tokio::test(start_paused = true)]
async fn a_service_that_fails_too_often_is_not_asked_for_a_while_and_then_found_again() {
    let world = World::with(&["--rate-limits", "off"]);
    let (ada, ..) = world.buyer();
    world.faults.set("payment", Fault::Down);
    for _ in 0..20 {
        assert_eq!(reason(&world.ask(Some(&ada), PAYMENTS).await).1, "SERVICE_UNAVAILABLE");
    }
    world.calls.take();
    let began = Instant::now();
    let query = "{ me { email } orders { data { id payment { id } } } }";
    let body = world.ask(Some(&ada), query).await;
    assert_eq!(reason(&body), ("SERVICE_UNAVAILABLE", "CIRCUIT_OPEN"), "{body}");
    assert!(refusal(&body)["retryAfter"].as_u64().unwrap().abs_diff(29) <= 1, "{body}");
    assert_eq!(body["errors"][0]["path"], json!(["orders", "data", 0, "payment"]));
    assert_eq!(body["data"]["me"]["email"], "ada@example.com");
    assert_eq!(body["data"]["orders"]["data"][0]["payment"], Value::Null);
    assert_eq!(began.elapsed(), Duration::ZERO);
    assert_eq!(world.calls.take().get("BatchGetPaymentsByOrders"), None, "it was not asked");
    world.faults.clear();
    tokio::time::advance(Duration::from_secs(30)).await;
    for _ in 0..10 {
        let body = world.ask(Some(&ada), query).await;
        assert!(body.get("errors").is_none(), "{body}");
    }
}

#[tokio::test]
async fn orders_are_read_while_the_payment_service_is_gone_and_their_payments_once_it_is_back() {
    let address = free_address().await;
    let settings = ["--rate-limits", "off", "--circuit-breaker-timeout", "0.3"];
    let world = RealWorld::new().await.with_payments_at(&format!("http://{address}"), &settings);
    let payments = world.serve_payments(address).await;
    let ada = world.register("ada").await;
    let (order, payment) = world.order(&ada).await;
    let page = "{ orders { data { id payment { id } } } }";
    let whole = json!({ "orders": { "data": [{ "id": order, "payment": { "id": payment } }] } });
    assert_eq!(world.data(&ada, page).await, whole);

    drop(payments);
    let without = json!({ "orders": { "data": [{ "id": order, "payment": null }] } });
    until("the breaker opens", async || {
        let body = world.ask(&ada, page).await;
        if body.get("errors").is_some() {
            assert_eq!(body["data"], without, "{body}");
            assert_eq!(body["errors"][0]["path"], json!(["orders", "data", 0, "payment"]));
        }
        reason(&body).1 == "CIRCUIT_OPEN"
    })
    .await;

    let _payments = world.serve_payments(address).await;
    until("the payments are back", async || world.ask(&ada, page).await.get("errors").is_none()).await;
    for _ in 0..10 {
        assert_eq!(world.data(&ada, page).await, whole);
    }
}

/// An address at which nobody listens yet.
async fn free_address() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap()
}
