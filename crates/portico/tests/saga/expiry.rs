//! The time to pay runs out.

use crate::world::{RECOVER_AFTER, WINDOW, World};

#[tokio::test]
async fn an_order_that_nobody_paid_in_time_is_cancelled() {
    let world = World::new().await;
    let order = world.placed().await;
    world.clock.advance(WINDOW);
    assert_eq!(world.expire().await, 1);
    world.settle().await;
    world.assert_ends(&order, "CANCELLED", "CANCELLED").await;
}

#[tokio::test]
async fn an_order_that_was_paid_in_time_is_kept_whenever_the_success_is_heard() {
    let world = World::new().await;
    let order = world.paid().await;
    world.clock.advance(WINDOW);
    assert_eq!(world.expire().await, 0);
    world.settle().await;
    world.assert_ends(&order, "CONFIRMED", "SUCCEEDED").await;
}

#[tokio::test]
async fn a_charge_under_way_at_the_end_of_the_window_decides() {
    let world = World::new().await;
    for (token, as_order, as_payment) in
        [("tok_visa", "CONFIRMED", "SUCCEEDED"), ("tok_declined", "CANCELLED", "CANCELLED")]
    {
        let order = world.placed().await;
        let attempt = world.start_charge(&order).await;
        world.clock.advance(WINDOW);
        assert_eq!(world.expire().await, 0);
        world.finish(&attempt, token).await;
        world.expire().await;
        world.settle().await;
        world.assert_ends(&order, as_order, as_payment).await;
    }
}

#[tokio::test]
async fn a_charge_at_the_end_of_the_window_whose_end_nobody_saw_decides_too() {
    let world = World::new().await;
    for (called_with, as_order, as_payment) in [
        (Some("tok_visa"), "CONFIRMED", "SUCCEEDED"),
        (Some("tok_declined"), "CANCELLED", "CANCELLED"),
        (None, "CANCELLED", "CANCELLED"),
    ] {
        let order = world.placed().await;
        let attempt = world.start_charge(&order).await;
        if let Some(token) = called_with {
            world.payments.payments().attempts().charge(&attempt, token).await.unwrap();
        }
        world.clock.advance(WINDOW.max(RECOVER_AFTER));
        assert_eq!(world.expire().await, 0);
        assert_eq!(world.recover().await, 1);
        world.expire().await;
        world.settle().await;
        world.assert_ends(&order, as_order, as_payment).await;
    }
}

#[tokio::test]
async fn an_expiry_and_a_cancel_that_cross_each_other_end_alike() {
    let world = World::new().await;
    for events in
        [["order.status_changed", "payment.cancelled"], ["payment.cancelled", "order.status_changed"]]
    {
        let order = world.placed().await;
        world.clock.advance(WINDOW);
        assert_eq!(world.expire().await, 1);
        world.cancel(&order).await.unwrap();
        for event in events {
            world.deliver_named(&order, event).await;
        }
        world.settle().await;
        world.assert_ends(&order, "CANCELLED", "CANCELLED").await;
    }
}

#[tokio::test]
async fn a_cancel_that_is_heard_when_the_window_is_over_comes_to_the_same_as_the_expiry() {
    let world = World::new().await;
    let order = world.placed().await;
    world.cancel(&order).await.unwrap();
    world.clock.advance(WINDOW);
    world.deliver_named(&order, "order.status_changed").await;
    assert_eq!(world.expire().await, 0);
    world.settle().await;
    world.assert_ends(&order, "CANCELLED", "CANCELLED").await;
    assert_eq!(world.said_of(&order, "payment.cancelled").await[0].data["reason"], "order_cancelled");
}

#[tokio::test]
async fn the_window_begins_when_the_order_is_heard_of() {
    let world = World::new().await;
    let order = world.place().await;
    world.clock.advance(WINDOW);
    world.deliver_named(&order, "order.created").await;
    assert_eq!(world.expire().await, 0);
    world.pay(&order, "tok_visa").await.unwrap().unwrap();
    world.settle().await;
    world.assert_ends(&order, "CONFIRMED", "SUCCEEDED").await;
}
