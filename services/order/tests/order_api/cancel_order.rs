use proto::order::v1::OrderStatus;
use runtime::Kind;
use uuid::Uuid;

use crate::support::{World, assert_refused};
use OrderStatus::*;

#[tokio::test]
async fn an_owner_cancels_an_order_that_is_pending_or_confirmed() {
    let world = World::new().await;
    let buyer = world.tokens.customer();
    for from in [Pending, Confirmed] {
        let order = world.order(&buyer).await;
        world.bring(&order, from).await;
        let cancelled = world.cancel(&buyer, &order.id).await.unwrap();
        assert_eq!((cancelled.status(), &cancelled.items), (Cancelled, &order.items));
        assert_eq!(world.get(&buyer, &order.id).await.unwrap(), cancelled);
        assert_eq!(world.changes_of(&order.id).await.last(), Some(&(from, Cancelled)));
    }
}

#[tokio::test]
async fn an_admin_cancels_anyones_order() {
    let world = World::new().await;
    let order = world.order(&world.tokens.customer()).await;
    assert_eq!(world.cancel(&world.admin, &order.id).await.unwrap().status(), Cancelled);
}

#[tokio::test]
async fn an_order_that_was_shipped_delivered_or_cancelled_is_past_cancelling() {
    let world = World::new().await;
    let buyer = world.tokens.customer();
    for from in [Shipped, Delivered, Cancelled] {
        let order = world.order(&buyer).await;
        world.bring(&order, from).await;
        let before = world.footprint().await;
        for caller in [&buyer, &world.admin] {
            let outcome = world.cancel(caller, &order.id).await;
            assert_refused(outcome, Kind::FailedPrecondition, "ORDER_NOT_CANCELLABLE", "");
        }
        assert_eq!(world.footprint().await, before);
    }
}

#[tokio::test]
async fn anothers_a_missing_and_an_impossible_order_answer_alike() {
    let world = World::new().await;
    let order = world.order(&world.tokens.customer()).await;
    let stranger = world.tokens.customer();
    let mut refusals = vec![];
    for id in [order.id.as_str(), &Uuid::now_v7().to_string(), "no uuid", "\0"] {
        refusals.push(assert_refused(world.cancel(&stranger, id).await, Kind::NotFound, "NOT_FOUND", ""));
    }
    refusals.dedup();
    assert_eq!(refusals.len(), 1);
    assert_eq!(world.get(&world.admin, &order.id).await.unwrap().status(), Pending);
}

#[tokio::test]
async fn of_many_cancels_at_the_same_time_one_happens() {
    let world = World::new().await;
    let buyer = world.tokens.customer();
    let order = world.order(&buyer).await;
    let outcomes = futures::future::join_all((0..8).map(|_| world.cancel(&buyer, &order.id))).await;
    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 1);
    assert_eq!(world.changes_of(&order.id).await, [(Pending, Cancelled)]);
}
