//! CreateOrder under an idempotency key.

use std::time::Duration;

use identity::Role;
use proto::order::v1::{CreateOrderRequest, OrderStatus};
use runtime::Kind;
use testkit::Caller;

use crate::support::{World, assert_refused, create_request};

fn with_key(key: &str) -> CreateOrderRequest {
    CreateOrderRequest { idempotency_key: key.into(), ..create_request(&[("prod-1", 1)]) }
}

#[tokio::test]
async fn placing_an_order_twice_with_one_key_returns_the_first_order() {
    let world = World::new().await;
    let buyer = world.tokens.customer();
    let first = world.create(&buyer, with_key("k")).await.unwrap();
    let written = world.footprint().await;
    assert_eq!(world.create(&buyer, with_key("k")).await.unwrap(), first);
    assert_eq!(world.footprint().await, written);
}

#[tokio::test]
async fn a_repeat_gets_the_first_result_even_when_the_order_has_moved_on() {
    let world = World::new().await;
    let buyer = world.tokens.customer();
    let first = world.create(&buyer, with_key("k")).await.unwrap();
    world.cancel(&buyer, &first.id).await.unwrap();
    world.product("prod-1", "Laptop", 5, "USD", false).await;
    let repeated = world.create(&buyer, with_key("k")).await.unwrap();
    assert_eq!((repeated.status(), repeated), (OrderStatus::Pending, first));
}

#[tokio::test]
async fn without_a_key_each_request_places_an_order() {
    let world = World::new().await;
    let buyer = world.tokens.customer();
    let (first, second) = (world.order(&buyer).await, world.order(&buyer).await);
    assert_ne!(first.id, second.id);
}

#[tokio::test]
async fn a_key_with_other_input_is_refused() {
    let world = World::new().await;
    let buyer = world.tokens.customer();
    world.create(&buyer, with_key("k")).await.unwrap();
    let written = world.footprint().await;
    let other = CreateOrderRequest { notes: "another".into(), ..with_key("k") };
    assert_refused(world.create(&buyer, other).await, Kind::Conflict, "IDEMPOTENCY_KEY_REUSED", "");
    assert_eq!(world.footprint().await, written);
}

#[tokio::test]
async fn a_key_belongs_to_its_user() {
    let world = World::new().await;
    let first = world.create(&world.tokens.customer(), with_key("k")).await.unwrap();
    let second = world.create(&world.tokens.customer(), with_key("k")).await.unwrap();
    assert_ne!(first.id, second.id);
}

#[tokio::test]
async fn a_refused_request_leaves_its_key_free() {
    let world = World::new().await;
    let buyer = world.tokens.customer();
    let refused = CreateOrderRequest { idempotency_key: "k".into(), ..create_request(&[("prod-99", 1)]) };
    assert_refused(
        world.create(&buyer, refused).await,
        Kind::BadInput,
        "PRODUCT_UNKNOWN",
        "items.0.productId",
    );
    world.create(&buyer, with_key("k")).await.unwrap();
}

#[tokio::test]
async fn a_repeat_that_comes_at_once_is_never_told_that_its_own_key_is_in_use() {
    let world = World::new().await;
    let buyer = world.tokens.customer();
    let first = world.create(&buyer, with_key("k")).await.unwrap();
    for _ in 0..50 {
        assert_eq!(world.create(&buyer, with_key("k")).await.unwrap(), first);
    }
}

#[tokio::test]
async fn a_key_that_is_too_long_or_no_text_is_refused() {
    let world = World::new().await;
    let buyer = world.tokens.customer();
    world.create(&buyer, with_key(&"ключ".repeat(32))).await.unwrap();
    for key in ["k".repeat(129), "a\0b".into(), "line\n".into()] {
        let outcome = world.create(&buyer, with_key(&key)).await;
        assert_refused(outcome, Kind::BadInput, "IDEMPOTENCY_KEY_INVALID", "idempotencyKey");
    }
}

#[tokio::test]
async fn a_key_is_free_again_after_24_hours() {
    let world = World::new().await;
    let buyer = world.tokens.customer();
    let first = world.create(&buyer, with_key("k")).await.unwrap();
    world.clock.advance(Duration::from_secs(24 * 60 * 60));
    let mut claims = world.tokens.claims(buyer.viewer.user_id, Role::Customer);
    claims.exp += 24 * 60 * 60;
    let later = Caller { viewer: buyer.viewer, token: world.tokens.sign(&claims) };
    let second = world.create(&later, with_key("k")).await.unwrap();
    assert_ne!(first.id, second.id);
}

#[tokio::test]
async fn while_the_first_request_runs_a_repeat_is_a_conflict() {
    let world = World::new().await;
    let buyer = world.tokens.customer();
    // The first request has claimed its key when it waits for the products.
    let mut door = world.database.pool().begin().await.unwrap();
    sqlx::query("LOCK TABLE products").execute(&mut *door).await.unwrap();
    let first = async {
        let order = world.create(&buyer, with_key("k")).await.unwrap();
        (order, world.create(&buyer, with_key("k")).await.unwrap())
    };
    let second = async {
        world.blocked(1).await;
        let refused = world.create(&buyer, with_key("k")).await;
        let refusal = assert_refused(refused, Kind::Conflict, "IDEMPOTENCY_IN_PROGRESS", "");
        assert_eq!(refusal.retry_after, Some(Duration::from_secs(1)));
        door.rollback().await.unwrap();
    };
    let ((order, repeated), ()) = tokio::join!(first, second);
    assert_eq!(order, repeated);
}

#[tokio::test]
async fn of_many_requests_with_one_key_at_the_same_time_one_places_the_order() {
    let world = World::new().await;
    let buyer = world.tokens.customer();
    let before = world.footprint().await;
    let outcomes = futures::future::join_all((0..16).map(|_| world.create(&buyer, with_key("k")))).await;
    let mut ids = vec![];
    for outcome in outcomes {
        match outcome {
            Ok(order) => ids.push(order.id),
            Err(status) => assert_eq!(testkit::refusal(&status).reason, "IDEMPOTENCY_IN_PROGRESS"),
        }
    }
    ids.dedup();
    assert_eq!(ids.len(), 1, "all that were answered got the same order");
    assert_eq!(
        world.footprint().await,
        (before.0 + 1, before.1 + 1, before.2 + 1, before.3 + 1, before.4 + 1)
    );
}
