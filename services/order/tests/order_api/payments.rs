//! What becomes of an order when something became of its payment.

use messaging::{CloudEvent, Failure};
use proto::{
    order::v1::{Order, OrderStatus},
    payment::v1::{PaymentCancelled, PaymentSucceeded},
};
use serde_json::json;
use uuid::Uuid;

use crate::support::{World, cloud_event, money, success_of};
use OrderStatus::*;

impl World {
    async fn payment_cancelled(&self, order_id: &str, reason: &str) -> Result<(), Failure> {
        let message = PaymentCancelled {
            payment_id: Uuid::now_v7().to_string(),
            order_id: order_id.into(),
            reason: reason.into(),
            ..Default::default()
        };
        self.deliver("payment.cancelled", &message).await
    }
}

#[tokio::test]
async fn a_payment_that_succeeds_confirms_its_order_once_however_often_it_is_told() {
    let world = World::new().await;
    let buyer = world.tokens.customer();
    let order = world.order(&buyer).await;
    for _ in 0..3 {
        world.pay(&order).await.unwrap();
        assert_eq!(world.get(&buyer, &order.id).await.unwrap().status(), Confirmed);
    }
    assert_eq!(world.changes_of(&order.id).await, [(Pending, Confirmed)]);
}

#[tokio::test]
async fn a_success_leaves_an_order_that_is_past_pending_as_it_is() {
    let world = World::new().await;
    let buyer = world.tokens.customer();
    for status in [Shipped, Delivered, Cancelled] {
        let order = world.order(&buyer).await;
        world.bring(&order, status).await;
        let before = (world.get(&buyer, &order.id).await.unwrap(), world.footprint().await);
        world.pay(&order).await.unwrap();
        assert_eq!((world.get(&buyer, &order.id).await.unwrap(), world.footprint().await), before);
    }
}

#[tokio::test]
async fn a_payment_that_can_no_longer_be_paid_cancels_its_order_for_whatever_reason() {
    let world = World::new().await;
    let buyer = world.tokens.customer();
    for reason in ["expired", "order_cancelled", "one of a later version"] {
        let order = world.order(&buyer).await;
        for _ in 0..2 {
            world.payment_cancelled(&order.id, reason).await.unwrap();
            assert_eq!(world.get(&buyer, &order.id).await.unwrap().status(), Cancelled);
        }
        assert_eq!(world.changes_of(&order.id).await, [(Pending, Cancelled)]);
    }
}

#[tokio::test]
async fn a_paid_order_is_not_cancelled_by_a_late_expiry() {
    let world = World::new().await;
    let buyer = world.tokens.customer();
    let order = world.order(&buyer).await;
    world.pay(&order).await.unwrap();
    world.payment_cancelled(&order.id, "expired").await.unwrap();
    assert_eq!(world.get(&buyer, &order.id).await.unwrap().status(), Confirmed);
}

#[tokio::test]
async fn a_payment_of_an_order_that_is_gone_is_settled_by_doing_nothing() {
    let world = World::new().await;
    let buyer = world.tokens.customer();
    let order = world.order(&buyer).await;
    world.bring(&order, Cancelled).await;
    world.delete(&buyer, &order.id).await.unwrap();
    let before = world.footprint().await;
    world.pay(&order).await.unwrap();
    let never_was = Order { id: Uuid::now_v7().to_string(), ..order };
    world.pay(&never_was).await.unwrap();
    assert_eq!(world.footprint().await, before);
}

#[tokio::test]
async fn what_can_not_be_read_is_rejected_and_not_tried_again() {
    let world = World::new().await;
    let before = world.footprint().await;
    let payment = Uuid::now_v7();
    for (name, data, reason) in [
        ("payment.success", json!("text"), "payload"),
        ("payment.success", json!({"orderId": 7}), "payload"),
        ("payment.success", json!({}), "paymentId"),
        ("payment.success", json!({"paymentId": "no uuid", "orderId": payment}), "paymentId"),
        ("payment.success", json!({"paymentId": payment, "orderId": "no uuid"}), "orderId"),
        ("payment.success", json!({"paymentId": payment}), "orderId"),
        ("payment.cancelled", json!([1]), "payload"),
        ("payment.cancelled", json!({"paymentId": payment, "orderId": "\u{0}"}), "orderId"),
        ("payment.refunded", json!({}), "asked for"),
    ] {
        let outcome = world.deliver_event(&cloud_event(name, data.clone())).await;
        assert_rejected(&outcome, reason);
    }
    assert_eq!(world.footprint().await, before);
}

#[tokio::test]
async fn a_success_over_another_amount_than_the_orders_total_is_rejected() {
    let world = World::new().await;
    let order = world.order(&world.tokens.customer()).await;
    let before = world.footprint().await;
    for amount in
        [None, money(-99_999, "USD"), money(99_998, "USD"), money(99_999, "EUR"), money(99_999, "XXL")]
    {
        let success = PaymentSucceeded { amount, ..success_of(&order) };
        assert_rejected(&world.deliver("payment.success", &success).await, "amount");
    }
    assert_eq!(world.footprint().await, before);
}

#[tokio::test]
async fn an_event_about_another_payment_than_it_names_is_rejected() {
    let world = World::new().await;
    let order = world.order(&world.tokens.customer()).await;
    let before = world.footprint().await;
    for name in ["payment.success", "payment.cancelled"] {
        let event = cloud_event(name, serde_json::to_value(success_of(&order)).unwrap());
        // The ids of the order and of a stranger are as foreign as each other.
        for subject in [order.id.parse().unwrap(), Uuid::now_v7()] {
            assert_rejected(&world.deliver_event(&CloudEvent { subject, ..event.clone() }).await, "subject");
        }
    }
    assert_eq!(world.footprint().await, before);
}

/// Fails unless the event was rejected, with a reason that says this.
#[track_caller]
fn assert_rejected(outcome: &Result<(), Failure>, reason: &str) {
    assert!(matches!(outcome, Err(Failure::Reject(said)) if said.contains(reason)), "{reason}: {outcome:?}");
}

#[tokio::test]
async fn fields_that_a_newer_payment_service_adds_are_ignored() {
    let world = World::new().await;
    let order = world.order(&world.tokens.customer()).await;
    let mut data = serde_json::to_value(success_of(&order)).unwrap();
    data["settledBy"] = json!("a later version");
    world.deliver_event(&cloud_event("payment.success", data)).await.unwrap();
    assert_eq!(world.changes_of(&order.id).await, [(Pending, Confirmed)]);
}

#[tokio::test]
async fn when_the_consumers_transaction_is_rolled_back_nothing_of_it_remains() {
    let world = World::new().await;
    let buyer = world.tokens.customer();
    let order = world.order(&buyer).await;
    let consumer = &world.app.consumers()[0];
    let event = cloud_event("payment.success", serde_json::to_value(success_of(&order)).unwrap());
    let mut tx = consumer.pool().begin().await.unwrap();
    consumer.handle(&mut tx, &event).await.unwrap();
    tx.rollback().await.unwrap();
    assert_eq!(world.get(&buyer, &order.id).await.unwrap(), order);
    assert_eq!(world.changes_of(&order.id).await, []);
}

#[tokio::test]
async fn a_cancel_and_a_confirmation_at_the_same_time_end_in_one_telling_of_what_happened() {
    let world = World::new().await;
    let buyer = world.tokens.customer();
    for _ in 0..5 {
        let order = world.order(&buyer).await;
        // Both wait at the row, so that they truly meet.
        let mut door = world.database.pool().begin().await.unwrap();
        sqlx::query("SELECT FROM orders WHERE id = $1 FOR UPDATE")
            .bind(order.id.parse::<Uuid>().unwrap())
            .execute(&mut *door)
            .await
            .unwrap();
        let open = async {
            world.blocked(2).await;
            door.rollback().await.unwrap();
        };
        let (cancelled, paid, ()) = tokio::join!(world.cancel(&buyer, &order.id), world.pay(&order), open);
        assert_eq!(cancelled.unwrap().status(), Cancelled);
        paid.unwrap();
        assert_eq!(world.get(&buyer, &order.id).await.unwrap().status(), Cancelled);
        let told = world.changes_of(&order.id).await;
        let cancel_first = told == [(Pending, Cancelled)];
        assert!(cancel_first || told == [(Pending, Confirmed), (Confirmed, Cancelled)], "{told:?}");
        let sequences: Vec<_> = world.events_of(&order.id).await.into_iter().map(|event| event.1).collect();
        assert_eq!(sequences, (1..).take(sequences.len()).collect::<Vec<_>>());
    }
}
