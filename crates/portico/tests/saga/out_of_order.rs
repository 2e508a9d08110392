//! Events that arrive before those that were said earlier, or without them.

use crate::world::{WINDOW, World};

#[tokio::test]
async fn a_cancel_that_is_heard_before_its_order_leaves_nothing_to_pay() {
    let world = World::new().await;
    let order = world.place().await;
    world.cancel(&order).await.unwrap();
    world.deliver_named(&order, "order.status_changed").await;
    world.assert_ends(&order, "CANCELLED", "CANCELLED").await;
    world.deliver_named(&order, "order.created").await;
    world.settle().await;
    world.assert_ends(&order, "CANCELLED", "CANCELLED").await;
    assert!(world.pay(&order, "tok_visa").await.unwrap().is_err());
}

#[tokio::test]
async fn the_cancel_of_an_order_that_was_never_heard_of_waits_for_nothing() {
    let world = World::new().await;
    let order = world.place().await;
    world.cancel(&order).await.unwrap();
    world.delete(&order).await.unwrap();
    for event in ["order.deleted", "order.status_changed"] {
        world.deliver_named(&order, event).await;
    }
    world.clock.advance(WINDOW);
    assert_eq!(world.expire().await, 0);
    world.assert_ends(&order, "CANCELLED", "CANCELLED").await;
}

#[tokio::test]
async fn the_end_of_a_payment_that_is_heard_before_its_success_changes_nothing() {
    let world = World::new().await;
    let order = world.paid().await;
    world.refund(&order, "5.00").await.unwrap().unwrap();
    world.deliver_named(&order, "payment.refunded").await;
    assert_eq!(world.statuses(&order).await, ("PENDING".into(), "REFUNDED".into()));
    world.settle().await;
    world.assert_ends(&order, "CONFIRMED", "REFUNDED").await;
}

#[tokio::test]
async fn events_of_an_order_that_went_all_its_way_can_be_heard_from_its_end_to_its_beginning() {
    let world = World::new().await;
    let order = world.paid().await;
    world.settle().await;
    for status in [proto::order::v1::OrderStatus::Shipped, proto::order::v1::OrderStatus::Delivered] {
        world.update(&order, status).await.unwrap();
    }
    world.delete(&order).await.unwrap();
    let before = world.footprint().await;
    for event in world.said().await.iter().rev() {
        world.deliver(event).await;
    }
    assert_eq!(world.footprint().await, before);
    world.assert_ends(&order, "DELIVERED", "SUCCEEDED").await;
}
