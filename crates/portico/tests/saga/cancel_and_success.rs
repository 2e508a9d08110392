//! The buyer cancels while a charge is under way or has just succeeded.

use crate::world::{RECOVER_AFTER, World};

/// Both orders in which two events can arrive.
const EITHER_WAY: [[&str; 2]; 2] =
    [["order.status_changed", "payment.success"], ["payment.success", "order.status_changed"]];

#[tokio::test]
async fn a_success_that_comes_after_the_cancel_is_given_back_whichever_event_arrives_first() {
    let world = World::new().await;
    for events in EITHER_WAY {
        let order = world.placed().await;
        world.cancel(&order).await.unwrap();
        // The payment service has not heard of the cancel: the buyer can still pay.
        world.pay(&order, "tok_visa").await.unwrap().unwrap();
        for event in events {
            world.deliver_named(&order, event).await;
        }
        world.settle().await;
        world.assert_ends(&order, "CANCELLED", "REFUNDED").await;
        assert_eq!(world.said_of(&order, "order.status_changed").await.len(), 1);
    }
}

#[tokio::test]
async fn a_cancel_that_comes_after_the_success_and_before_its_event_gives_the_money_back() {
    let world = World::new().await;
    for events in EITHER_WAY {
        let order = world.paid().await;
        world.cancel(&order).await.unwrap();
        for event in events {
            world.deliver_named(&order, event).await;
        }
        world.settle().await;
        world.assert_ends(&order, "CANCELLED", "REFUNDED").await;
    }
}

#[tokio::test]
async fn a_cancel_of_an_order_that_the_success_confirmed_gives_the_money_back() {
    let world = World::new().await;
    let order = world.paid().await;
    world.settle().await;
    world.assert_ends(&order, "CONFIRMED", "SUCCEEDED").await;
    world.cancel(&order).await.unwrap();
    // Told again, the success does not confirm it again.
    world.deliver_named(&order, "payment.success").await;
    world.settle().await;
    world.assert_ends(&order, "CANCELLED", "REFUNDED").await;
}

#[tokio::test]
async fn what_an_admin_gave_back_before_the_cancel_is_not_given_back_again() {
    let world = World::new().await;
    let order = world.paid().await;
    world.settle().await;
    world.refund(&order, "2.00").await.unwrap().unwrap();
    world.assert_ends(&order, "CONFIRMED", "PARTIALLY_REFUNDED").await;
    world.cancel(&order).await.unwrap();
    world.settle().await;
    world.assert_ends(&order, "CANCELLED", "REFUNDED").await;
}

#[tokio::test]
async fn a_cancel_that_arrives_during_the_charge_waits_for_its_end() {
    let world = World::new().await;
    for (token, end) in [("tok_visa", "REFUNDED"), ("tok_declined", "CANCELLED")] {
        let order = world.placed().await;
        let attempt = world.start_charge(&order).await;
        world.cancel(&order).await.unwrap();
        world.deliver_named(&order, "order.status_changed").await;
        assert_eq!(world.statuses(&order).await, ("CANCELLED".into(), "PENDING".into()));
        world.finish(&attempt, token).await;
        world.settle().await;
        world.assert_ends(&order, "CANCELLED", end).await;
    }
}

#[tokio::test]
async fn a_charge_whose_end_nobody_saw_ends_with_the_cancelled_order() {
    let world = World::new().await;
    // What the provider did before our process died, if it was called at all.
    for (called_with, end) in
        [(Some("tok_visa"), "REFUNDED"), (Some("tok_declined"), "CANCELLED"), (None, "CANCELLED")]
    {
        let order = world.placed().await;
        let attempt = world.start_charge(&order).await;
        if let Some(token) = called_with {
            world.payments.payments().attempts().charge(&attempt, token).await.unwrap();
        }
        world.cancel(&order).await.unwrap();
        world.settle().await;
        assert_eq!(world.statuses(&order).await, ("CANCELLED".into(), "PENDING".into()));
        world.clock.advance(RECOVER_AFTER);
        assert_eq!(world.recover().await, 1);
        world.settle().await;
        world.assert_ends(&order, "CANCELLED", end).await;
    }
}

#[tokio::test]
async fn a_provider_that_is_called_after_its_charge_was_given_up_takes_nothing() {
    let world = World::new().await;
    let order = world.placed().await;
    let attempt = world.start_charge(&order).await;
    world.cancel(&order).await.unwrap();
    world.clock.advance(RECOVER_AFTER);
    world.settle().await;
    world.assert_ends(&order, "CANCELLED", "CANCELLED").await;
    // The call was on its way all the time.
    let before = world.footprint().await;
    world.finish(&attempt, "tok_visa").await;
    world.settle().await;
    world.assert_ends(&order, "CANCELLED", "CANCELLED").await;
    assert_eq!(world.footprint().await, before);
}

#[tokio::test]
async fn an_answer_that_comes_after_the_recoverer_got_it_too_changes_nothing() {
    let world = World::new().await;
    for cancelled in [false, true] {
        let order = world.placed().await;
        let attempt = world.start_charge(&order).await;
        world.payments.payments().attempts().charge(&attempt, "tok_visa").await.unwrap();
        if cancelled {
            world.cancel(&order).await.unwrap();
        }
        world.clock.advance(RECOVER_AFTER);
        world.settle().await;
        let before = world.footprint().await;
        world.finish(&attempt, "tok_visa").await;
        world.settle().await;
        assert_eq!(world.footprint().await, before);
        let (as_order, as_payment) =
            if cancelled { ("CANCELLED", "REFUNDED") } else { ("CONFIRMED", "SUCCEEDED") };
        world.assert_ends(&order, as_order, as_payment).await;
    }
}

#[tokio::test]
async fn a_payment_of_a_deleted_order_is_given_back() {
    let world = World::new().await;
    for events in EITHER_WAY {
        let order = world.placed().await;
        world.cancel(&order).await.unwrap();
        world.delete(&order).await.unwrap();
        world.pay(&order, "tok_visa").await.unwrap().unwrap();
        for event in events {
            world.deliver_named(&order, event).await;
        }
        world.settle().await;
        world.assert_ends(&order, "CANCELLED", "REFUNDED").await;
    }
}
