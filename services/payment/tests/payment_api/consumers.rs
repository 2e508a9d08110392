//! What the service does when something happens to an order.

use messaging::Failure;
use proto::{
    common::v1::Money,
    order::v1::{OrderCreated, OrderStatus, OrderStatusChanged},
    payment::v1::{CreatePaymentRequest, PaymentStatus},
};
use serde_json::json;
use uuid::Uuid;

use crate::world::{Ledger, RECOVER_AFTER, World, cents, payment_id, started};

fn created() -> OrderCreated {
    OrderCreated {
        order_id: Uuid::now_v7().to_string(),
        user_id: Uuid::now_v7().to_string(),
        total: money(500, "USD"),
        items: vec![],
        created_at: None,
    }
}

fn money(minor_units: i64, currency: &str) -> Option<Money> {
    Some(Money { minor_units, currency: currency.into() })
}

async fn count_payments(world: &World) -> i64 {
    sqlx::query_scalar("SELECT count(*) FROM payments").fetch_one(world.database.pool()).await.unwrap()
}

#[tokio::test]
async fn an_order_that_is_told_twice_has_one_payment() {
    let world = World::new().await;
    let mut order = created();
    world.hear("order.created", &order).await.unwrap();
    // Not even another total makes another payment, or changes the first.
    order.total = money(1, "USD");
    world.hear("order.created", &order).await.unwrap();
    let amounts: Vec<i64> =
        sqlx::query_scalar("SELECT amount FROM payments").fetch_all(world.database.pool()).await.unwrap();
    assert_eq!(amounts, [500]);
}

/// Fails unless the event was rejected for something in this field.
#[track_caller]
fn assert_rejected(heard: Result<(), Failure>, field: &str) {
    assert!(matches!(&heard, Err(Failure::Reject(reason)) if reason.contains(field)), "{field}: {heard:?}");
}

#[tokio::test]
async fn an_order_that_makes_no_sense_is_rejected_and_has_no_payment() {
    let world = World::new().await;
    for (order, field) in [
        (OrderCreated { order_id: "no-uuid".into(), ..created() }, "orderId"),
        (OrderCreated { order_id: String::new(), ..created() }, "orderId"),
        (OrderCreated { user_id: "\0".into(), ..created() }, "userId"),
        (OrderCreated { total: None, ..created() }, "total"),
        (OrderCreated { total: money(-1, "USD"), ..created() }, "total"),
        (OrderCreated { total: money(500, "XXL"), ..created() }, "total"),
        (OrderCreated { total: money(500, ""), ..created() }, "total"),
    ] {
        assert_rejected(world.hear("order.created", &order).await, field);
    }
    for rubbish in [json!({"orderId": 7}), json!("text"), json!(null), json!([1])] {
        assert_rejected(world.hear("order.created", &rubbish).await, "");
    }
    assert_eq!(count_payments(&world).await, 0);
}

#[tokio::test]
async fn a_change_of_an_order_that_makes_no_sense_is_rejected_and_changes_nothing() {
    let world = World::new().await;
    let payment = world.pending(&world.ann, 500).await;
    let cancelled = || OrderStatusChanged {
        order_id: payment.order_id.clone(),
        user_id: payment.user_id.clone(),
        from: OrderStatus::Pending.into(),
        to: OrderStatus::Cancelled.into(),
        total: money(500, "USD"),
    };
    for (changed, field) in [
        (OrderStatusChanged { order_id: "no-uuid".into(), ..cancelled() }, "orderId"),
        (OrderStatusChanged { user_id: "7".into(), ..cancelled() }, "userId"),
        (OrderStatusChanged { to: OrderStatus::Unspecified.into(), ..cancelled() }, "to"),
        (OrderStatusChanged { total: money(-500, "USD"), ..cancelled() }, "total"),
        (OrderStatusChanged { total: money(500, "usd"), ..cancelled() }, "total"),
    ] {
        assert_rejected(world.hear("order.status_changed", &changed).await, field);
    }
    for to in [json!("ORDER_STATUS_LOST"), json!(99), json!({})] {
        let mut changed = serde_json::to_value(cancelled()).unwrap();
        changed["to"] = to;
        assert_rejected(world.hear("order.status_changed", &changed).await, "");
    }
    assert_eq!(world.get(&world.ann, &payment.id).await.unwrap(), payment);
    assert_eq!((count_payments(&world).await, world.told(&payment.id).await), (1, vec![]));
}

#[tokio::test]
async fn an_event_about_another_order_than_it_names_is_rejected_and_changes_nothing() {
    let world = World::new().await;
    let payment = world.pending(&world.ann, 500).await;
    let cancelled = OrderStatusChanged {
        order_id: payment.order_id.clone(),
        user_id: payment.user_id.clone(),
        to: OrderStatus::Cancelled.into(),
        ..OrderStatusChanged::default()
    };
    for (name, data) in [
        ("order.created", serde_json::to_value(created()).unwrap()),
        ("order.status_changed", serde_json::to_value(cancelled).unwrap()),
    ] {
        assert_rejected(world.hear_of(Uuid::now_v7(), name, data).await, "subject");
    }
    assert_eq!(world.get(&world.ann, &payment.id).await.unwrap(), payment);
    assert_eq!(count_payments(&world).await, 1);
}

#[tokio::test]
async fn the_cancel_of_an_order_cancels_its_payment() {
    let world = World::new().await;
    let payment = world.pending(&world.ann, 500).await;
    world.cancel_order(&payment.order_id).await.unwrap();
    world.cancel_order(&payment.order_id).await.unwrap();
    assert_eq!(world.get(&world.ann, &payment.id).await.unwrap().status(), PaymentStatus::Cancelled);
    let told = world.told(&payment.id).await;
    assert_eq!(told.len(), 1);
    assert_eq!((told[0].0.as_str(), &told[0].1["reason"]), ("payment.cancelled", &json!("order_cancelled")));
}

#[tokio::test]
async fn other_changes_of_an_order_change_nothing() {
    let world = World::new().await;
    let payment = world.pending(&world.ann, 500).await;
    for to in [OrderStatus::Confirmed, OrderStatus::Shipped, OrderStatus::Delivered] {
        let changed = OrderStatusChanged {
            order_id: payment.order_id.clone(),
            user_id: payment.user_id.clone(),
            from: OrderStatus::Pending.into(),
            to: to.into(),
            total: money(500, "USD"),
        };
        world.hear("order.status_changed", &changed).await.unwrap();
    }
    assert_eq!(world.get(&world.ann, &payment.id).await.unwrap(), payment);
}

#[tokio::test]
async fn a_cancel_that_comes_before_its_order_leaves_nothing_to_pay() {
    let world = World::new().await;
    let order = OrderCreated { user_id: world.ann.viewer.user_id.to_string(), ..created() };
    let cancelled = OrderStatusChanged {
        order_id: order.order_id.clone(),
        user_id: order.user_id.clone(),
        from: OrderStatus::Pending.into(),
        to: OrderStatus::Cancelled.into(),
        total: order.total.clone(),
    };
    world.hear("order.status_changed", &cancelled).await.unwrap();
    let request = CreatePaymentRequest { order_id: order.order_id.clone(), idempotency_key: String::new() };
    let payment = world.client().create_payment(world.ann.request(request)).await.unwrap();
    let payment = payment.into_inner().payment.unwrap();
    assert_eq!((payment.status(), cents(&payment.amount)), (PaymentStatus::Cancelled, 500));
    for _ in 0..2 {
        world.hear("order.created", &order).await.unwrap();
        world.hear("order.status_changed", &cancelled).await.unwrap();
    }
    assert_eq!(world.get(&world.ann, &payment.id).await.unwrap(), payment);
    assert_eq!(world.told_names(&payment.id).await, ["payment.cancelled"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_order_and_its_cancel_at_the_same_time_leave_nothing_to_pay() {
    let world = World::new().await;
    for _ in 0..20 {
        let order = created();
        let (placed, cancelled) =
            tokio::join!(world.hear("order.created", &order), world.cancel_order(&order.order_id));
        placed.unwrap();
        cancelled.unwrap();
    }
    let statuses: Vec<String> = sqlx::query_scalar("SELECT DISTINCT status FROM payments")
        .fetch_all(world.database.pool())
        .await
        .unwrap();
    assert_eq!((statuses, count_payments(&world).await), (vec!["CANCELLED".to_owned()], 20));
}

/// What versions before the total said of a cancel.
#[tokio::test]
async fn a_cancel_without_a_total_waits_for_its_order() {
    let world = World::new().await;
    let order = created();
    let cancelled = OrderStatusChanged {
        order_id: order.order_id.clone(),
        user_id: order.user_id.clone(),
        to: OrderStatus::Cancelled.into(),
        ..OrderStatusChanged::default()
    };
    let heard = world.hear("order.status_changed", &cancelled).await;
    assert!(matches!(heard, Err(Failure::Retry(_))), "{heard:?}");
    world.hear("order.created", &order).await.unwrap();
    world.hear("order.status_changed", &cancelled).await.unwrap();
    let status: String =
        sqlx::query_scalar("SELECT status FROM payments").fetch_one(world.database.pool()).await.unwrap();
    assert_eq!(status, "CANCELLED");
}

#[tokio::test]
async fn the_cancel_of_a_paid_order_gives_all_that_is_left_back() {
    let world = World::new().await;
    let payment = world.paid(&world.ann, 500).await;
    world.refund(&world.admin, &payment.id, Some("1.00"), "").await.unwrap();
    world.cancel_order(&payment.order_id).await.unwrap();
    world.cancel_order(&payment.order_id).await.unwrap();
    // It is due at once.
    assert_eq!(world.attempts().recover_once().await.unwrap(), 1);
    let refunded = world.get(&world.ann, &payment.id).await.unwrap();
    assert_eq!((refunded.status(), cents(&refunded.refunded)), (PaymentStatus::Refunded, 500));
    let told = world.told(&payment.id).await;
    let (name, data) = told.last().unwrap();
    assert_eq!((name.as_str(), &data["reason"]), ("payment.refunded", &json!("order_cancelled")));
    assert_eq!(world.ledger().await, Ledger { taken: 500, charges: 1, given_back: 500 });
}

#[tokio::test]
async fn a_cancel_waits_for_the_charge_under_way_and_a_success_goes_back() {
    let world = World::new().await;
    let payment = world.pending(&world.ann, 500).await;
    let attempts = world.attempts();
    let attempt =
        started(attempts.start_charge(world.ann.viewer, payment_id(&payment.id), None).await.unwrap());
    world.cancel_order(&payment.order_id).await.unwrap();
    assert_eq!(world.get(&world.ann, &payment.id).await.unwrap().status(), PaymentStatus::Pending);
    let outcome = attempts.charge(&attempt, "tok_visa").await.unwrap();
    attempts.decide(&attempt, &outcome).await.unwrap();
    assert_eq!(attempts.recover_once().await.unwrap(), 1);
    assert_eq!(world.get(&world.ann, &payment.id).await.unwrap().status(), PaymentStatus::Refunded);
    assert_eq!(world.told_names(&payment.id).await, ["payment.success", "payment.refunded"]);
    assert_eq!(world.ledger().await, Ledger { taken: 500, charges: 1, given_back: 500 });
}

#[tokio::test]
async fn a_cancel_waits_for_the_charge_under_way_and_a_decline_ends_the_payment() {
    let world = World::new().await;
    let payment = world.pending(&world.ann, 500).await;
    let attempts = world.attempts();
    let attempt =
        started(attempts.start_charge(world.ann.viewer, payment_id(&payment.id), None).await.unwrap());
    world.cancel_order(&payment.order_id).await.unwrap();
    let outcome = attempts.charge(&attempt, "tok_declined").await.unwrap();
    assert_eq!(attempts.decide(&attempt, &outcome).await.unwrap().status(), PaymentStatus::Cancelled);
    assert_eq!(world.told_names(&payment.id).await, ["payment.failed", "payment.cancelled"]);
}

#[tokio::test]
async fn a_refund_under_way_that_fails_goes_back_with_the_cancelled_order() {
    let world = World::impatient().await;
    let payment = world.paid_with(&world.ann, 500, "tok_refund_timeout").await;
    let refund = world.refund(&world.admin, &payment.id, Some("2.00"), "").await;
    assert_eq!(refund.unwrap_err().code(), tonic::Code::DeadlineExceeded);
    world.cancel_order(&payment.order_id).await.unwrap();
    // The provider turns out to have declined the refund that was under way.
    sqlx::query("UPDATE sandbox_refunds SET status = 'DECLINED', reason = 'refund_declined'")
        .execute(world.database.pool())
        .await
        .unwrap();
    // Each refund of the cancel is answered at its second call only, and that for the failed one begins a round later.
    for _ in 0..3 {
        world.clock.advance(RECOVER_AFTER);
        world.attempts().recover_once().await.unwrap();
    }
    let payment = world.get(&world.ann, &payment.id).await.unwrap();
    assert_eq!((payment.status(), cents(&payment.refunded)), (PaymentStatus::Refunded, 500));
    assert_eq!(world.ledger().await.given_back, 500);
}

#[tokio::test]
async fn a_refund_for_a_cancelled_order_that_is_declined_is_not_tried_for_ever() {
    let world = World::new().await;
    let payment = world.paid_with(&world.ann, 500, "tok_refund_declined").await;
    world.cancel_order(&payment.order_id).await.unwrap();
    assert_eq!(world.attempts().recover_once().await.unwrap(), 1);
    world.clock.advance(RECOVER_AFTER);
    assert_eq!(world.attempts().recover_once().await.unwrap(), 0);
    let payment = world.get(&world.ann, &payment.id).await.unwrap();
    assert_eq!(
        (payment.status(), payment.failure_reason.as_str()),
        (PaymentStatus::Succeeded, "refund_declined")
    );
    assert_eq!((world.count_attempts("STARTED").await, world.reserved(&payment.id).await), (0, 0));
}
