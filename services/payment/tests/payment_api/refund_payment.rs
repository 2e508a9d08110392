use proto::payment::v1::{PaymentStatus, RefundPaymentRequest};
use runtime::Kind;
use serde_json::json;
use uuid::Uuid;

use crate::world::{Ledger, RECOVER_AFTER, World, assert_bad_input, assert_refused, cents, refund};

#[tokio::test]
async fn without_an_amount_all_goes_back() {
    let world = World::new().await;
    let payment = world.paid(&world.ann, 500).await;
    let refunded = world.refund(&world.admin, &payment.id, None, "").await.unwrap();
    assert_eq!((refunded.status(), cents(&refunded.refunded)), (PaymentStatus::Refunded, 500));
    assert_eq!(world.get(&world.ann, &payment.id).await.unwrap(), refunded);
    let (name, data) = world.told(&payment.id).await.pop().unwrap();
    assert_eq!(name, "payment.refunded");
    assert_eq!(data["amount"], json!({"minorUnits": "500", "currency": "USD"}));
    assert_eq!((&data["refunded"], &data["reason"]), (&data["amount"], &json!("broken")));
    assert_eq!(world.ledger().await, Ledger { taken: 500, charges: 1, given_back: 500 });
}

#[tokio::test]
async fn parts_go_back_until_nothing_is_left() {
    let world = World::new().await;
    let payment = world.paid(&world.ann, 1_000).await;
    for (amount, refunded, status) in [
        (Some("0.01"), 1, PaymentStatus::PartiallyRefunded),
        (Some("2.5"), 251, PaymentStatus::PartiallyRefunded),
        (Some("07"), 951, PaymentStatus::PartiallyRefunded),
        (None, 1_000, PaymentStatus::Refunded),
    ] {
        let answer = world.refund(&world.admin, &payment.id, amount, "").await.unwrap();
        assert_eq!((answer.status(), cents(&answer.refunded)), (status, refunded), "{amount:?}");
    }
    let answer = world.refund(&world.admin, &payment.id, Some("0.01"), "").await;
    assert_refused(answer, Kind::FailedPrecondition, "PAYMENT_NOT_REFUNDABLE");
    assert_eq!(world.ledger().await.given_back, 1_000);
}

#[tokio::test]
async fn more_than_what_is_left_is_refused_and_changes_nothing() {
    let world = World::new().await;
    let payment = world.paid(&world.ann, 500).await;
    world.refund(&world.admin, &payment.id, Some("2.00"), "").await.unwrap();
    let before = world.get(&world.admin, &payment.id).await.unwrap();
    for amount in ["3.01", "5.00", "92233720368547758.07"] {
        let answer = world.refund(&world.admin, &payment.id, Some(amount), "").await;
        assert_refused(answer, Kind::FailedPrecondition, "REFUND_EXCEEDS_PAYMENT");
    }
    assert_eq!(world.get(&world.admin, &payment.id).await.unwrap(), before);
    assert_eq!(world.ledger().await.given_back, 200);
}

#[tokio::test]
async fn amounts_that_are_none_are_refused() {
    let world = World::new().await;
    let payment = world.paid(&world.ann, 500).await;
    let long = "9".repeat(100_000);
    for amount in [
        "", "0", "0.00", "-1", "-0", "+1", "NaN", "inf", "1e2", "1.001", "1,00", " 1", "1.", ".5", "١",
        "1\0", &long,
    ] {
        let answer = world.refund(&world.admin, &payment.id, Some(amount), "").await;
        assert_bad_input(answer, "AMOUNT_INVALID", "amount");
    }
    assert_eq!(world.get(&world.ann, &payment.id).await.unwrap(), payment);
    assert_eq!(world.reserved(&payment.id).await, 0);
}

#[tokio::test]
async fn an_amount_has_as_many_decimals_as_its_currency() {
    let world = World::new().await;
    let order_id = world.place_order_in(&world.ann, 500, "JPY").await;
    let request = proto::payment::v1::CreatePaymentRequest { order_id, idempotency_key: String::new() };
    let payment = world.client().create_payment(world.ann.request(request)).await.unwrap().into_inner();
    let id = payment.payment.unwrap().id;
    world.process(&world.ann, &id, "tok_visa", "").await.unwrap();
    assert_bad_input(world.refund(&world.admin, &id, Some("1.5"), "").await, "AMOUNT_INVALID", "amount");
    let refunded = world.refund(&world.admin, &id, Some("120"), "").await.unwrap().refunded.unwrap();
    assert_eq!((refunded.minor_units, refunded.currency.as_str()), (120, "JPY"));
}

#[tokio::test]
async fn what_was_not_paid_gives_nothing_back() {
    let world = World::new().await;
    let pending = world.pending(&world.ann, 500).await;
    let cancelled = world.pending(&world.ann, 500).await;
    world.cancel_order(&cancelled.order_id).await.unwrap();
    for id in [&pending.id, &cancelled.id] {
        let answer = world.refund(&world.admin, id, None, "").await;
        assert_refused(answer, Kind::FailedPrecondition, "PAYMENT_NOT_REFUNDABLE");
    }
}

#[tokio::test]
async fn a_missing_payment_is_not_found() {
    let world = World::new().await;
    for id in [Uuid::now_v7().to_string().as_str(), "no-uuid", "", "\0"] {
        assert_refused(world.refund(&world.admin, id, None, "").await, Kind::NotFound, "NOT_FOUND");
    }
}

#[tokio::test]
async fn customers_may_not_refund_even_their_own() {
    let world = World::new().await;
    let payment = world.paid(&world.ann, 500).await;
    for caller in [&world.ann, &world.bob] {
        assert_refused(world.refund(caller, &payment.id, None, "").await, Kind::Forbidden, "FORBIDDEN");
    }
    assert_eq!(world.ledger().await.given_back, 0);
}

#[tokio::test]
async fn a_repeat_with_one_key_gets_the_first_result_and_gives_back_once() {
    let world = World::new().await;
    let payment = world.paid(&world.ann, 500).await;
    let first = world.refund(&world.admin, &payment.id, Some("1.00"), "key").await.unwrap();
    world.refund(&world.admin, &payment.id, Some("1.00"), "").await.unwrap();
    assert_eq!(world.refund(&world.admin, &payment.id, Some("1.00"), "key").await.unwrap(), first);
    assert_eq!(world.ledger().await.given_back, 200);
    for amount in [Some("2.00"), Some("1.0"), None] {
        let answer = world.refund(&world.admin, &payment.id, amount, "key").await;
        assert_refused(answer, Kind::Conflict, "IDEMPOTENCY_KEY_REUSED");
    }
    // A key of another operation is another key.
    let other = world.pending(&world.ann, 500).await;
    world.process(&world.admin, &other.id, "tok_visa", "key").await.unwrap();
}

#[tokio::test]
async fn a_key_that_is_too_long_is_refused() {
    let world = World::new().await;
    let payment = world.paid(&world.ann, 500).await;
    let answer = world.refund(&world.admin, &payment.id, None, &"x".repeat(129)).await;
    assert_bad_input(answer, "IDEMPOTENCY_KEY_INVALID", "idempotencyKey");
}

#[tokio::test]
async fn a_reason_is_text_in_any_script_without_control_characters() {
    let world = World::new().await;
    let payment = world.paid(&world.ann, 500).await;
    let with = |reason: &str| {
        let request = RefundPaymentRequest { reason: reason.into(), ..refund(&payment.id, Some("0.01"), "") };
        let request = world.admin.request(request);
        let mut client = world.client();
        async move { client.refund_payment(request).await }
    };
    for reason in ["a\0b", "\u{1b}[31m", "x".repeat(501).as_str()] {
        assert_bad_input(with(reason).await, "REASON_INVALID", "reason");
    }
    for reason in ["", "壊れた\nبضاعة تالفة\tсломано 🙈", "字".repeat(500).as_str()] {
        with(reason).await.unwrap();
        assert_eq!(
            world.told(&payment.id).await.pop().unwrap().1.get("reason").map_or("", |r| r.as_str().unwrap()),
            reason
        );
    }
}

#[tokio::test]
async fn a_refund_that_the_provider_declines_frees_what_it_reserved() {
    let world = World::new().await;
    let payment = world.paid_with(&world.ann, 500, "tok_refund_declined").await;
    let answer = world.refund(&world.admin, &payment.id, None, "key").await.unwrap();
    assert_eq!(
        (answer.status(), answer.failure_reason.as_str()),
        (PaymentStatus::Succeeded, "refund_declined")
    );
    assert_eq!((cents(&answer.refunded), world.reserved(&payment.id).await), (0, 0));
    assert_eq!(world.refund(&world.admin, &payment.id, None, "key").await.unwrap(), answer);
    assert_eq!(world.told_names(&payment.id).await, ["payment.success"]);
}

#[tokio::test]
async fn a_refund_that_the_provider_does_not_answer_is_made_once_and_found_out_later() {
    let world = World::impatient().await;
    let payment = world.paid_with(&world.ann, 500, "tok_refund_timeout").await;
    let answer = world.refund(&world.admin, &payment.id, Some("2.00"), "key").await;
    assert_refused(answer, Kind::Timeout, "PAYMENT_UNDECIDED");
    assert_eq!(world.reserved(&payment.id).await, 200);
    let repeat = world.refund(&world.admin, &payment.id, Some("2.00"), "key").await;
    assert_refused(repeat, Kind::Conflict, "IDEMPOTENCY_IN_PROGRESS");
    world.clock.advance(RECOVER_AFTER);
    assert_eq!(world.attempts().recover_once().await.unwrap(), 1);
    let decided = world.refund(&world.admin, &payment.id, Some("2.00"), "key").await.unwrap();
    assert_eq!((decided.status(), cents(&decided.refunded)), (PaymentStatus::PartiallyRefunded, 200));
    assert_eq!(world.ledger().await.given_back, 200);
}
