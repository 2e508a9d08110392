use std::time::Duration;

use proto::payment::v1::PaymentStatus;
use runtime::Kind;
use serde_json::json;
use uuid::Uuid;

use crate::world::{
    Ledger, RECOVER_AFTER, WINDOW, World, assert_bad_input, assert_refused, payment_id, process, uuid,
};

#[tokio::test]
async fn a_good_token_pays_and_tells_of_it() {
    let world = World::new().await;
    for (token, method) in [("tok_visa", "visa"), ("tok_mastercard", "mastercard")] {
        let payment = world.pending(&world.ann, 99_999).await;
        let paid = world.process(&world.ann, &payment.id, token, "").await.unwrap();
        assert_eq!((paid.status(), paid.method.as_str()), (PaymentStatus::Succeeded, method));
        assert!(paid.paid_at.is_some() && !paid.transaction_id.is_empty());
        assert_eq!(world.get(&world.ann, &payment.id).await.unwrap(), paid);
        let told = world.told(&payment.id).await;
        assert_eq!(told.len(), 1);
        assert_eq!(told[0].0, "payment.success");
        assert_eq!(told[0].1["orderId"], json!(payment.order_id));
        assert_eq!(told[0].1["amount"], json!({"minorUnits": "99999", "currency": "USD"}));
    }
    assert_eq!(world.ledger().await, Ledger { taken: 2 * 99_999, charges: 2, given_back: 0 });
}

#[tokio::test]
async fn a_declined_charge_leaves_it_pending_with_the_reason_and_can_be_tried_again() {
    let world = World::new().await;
    let payment = world.pending(&world.ann, 500).await;
    for (token, reason) in [
        ("tok_declined", "card_declined"),
        ("tok_insufficient_funds", "insufficient_funds"),
        ("tok_expired_card", "expired_card"),
    ] {
        let declined = world.process(&world.ann, &payment.id, token, "").await.unwrap();
        assert_eq!((declined.status(), declined.failure_reason.as_str()), (PaymentStatus::Pending, reason));
        assert_eq!(world.get(&world.ann, &payment.id).await.unwrap(), declined);
    }
    let paid = world.process(&world.ann, &payment.id, "tok_visa", "").await.unwrap();
    assert_eq!((paid.status(), paid.failure_reason.as_str()), (PaymentStatus::Succeeded, ""));
    let told = world.told(&payment.id).await;
    assert_eq!(told[1].1["failureReason"], json!("insufficient_funds"));
    let names: Vec<_> = told.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["payment.failed", "payment.failed", "payment.failed", "payment.success"]);
    assert_eq!(world.ledger().await.charges, 1);
}

#[tokio::test]
async fn an_unknown_token_is_refused_and_changes_nothing() {
    let world = World::new().await;
    let payment = world.pending(&world.ann, 500).await;
    let long = "t".repeat(100_000);
    for token in ["", "tok_unknown", "TOK_VISA", "tok_visa ", "tok_visa\0", "カード", &long] {
        assert_bad_input(
            world.process(&world.ann, &payment.id, token, "key").await,
            "TOKEN_UNKNOWN",
            "token",
        );
    }
    assert_eq!(world.get(&world.ann, &payment.id).await.unwrap(), payment);
    assert_eq!(world.told_names(&payment.id).await, Vec::<String>::new());
    // Nor is the key used up.
    world.process(&world.ann, &payment.id, "tok_visa", "key").await.unwrap();
}

#[tokio::test]
async fn a_payment_that_was_paid_is_not_charged_again() {
    let world = World::new().await;
    let payment = world.paid(&world.ann, 500).await;
    let answer = world.process(&world.ann, &payment.id, "tok_visa", "").await;
    assert_refused(answer, Kind::FailedPrecondition, "PAYMENT_ALREADY_PAID");
    world.refund(&world.admin, &payment.id, None, "").await.unwrap();
    let answer = world.process(&world.ann, &payment.id, "tok_visa", "").await;
    assert_refused(answer, Kind::FailedPrecondition, "PAYMENT_ALREADY_PAID");
    assert_eq!(world.ledger().await.charges, 1);
}

#[tokio::test]
async fn a_cancelled_payment_is_not_charged() {
    let world = World::new().await;
    let payment = world.pending(&world.ann, 500).await;
    world.cancel_order(&payment.order_id).await.unwrap();
    let answer = world.process(&world.ann, &payment.id, "tok_visa", "").await;
    assert_refused(answer, Kind::FailedPrecondition, "PAYMENT_CANCELLED");
    assert_eq!(world.ledger().await.charges, 0);
}

#[tokio::test]
async fn a_payment_is_not_charged_once_its_window_is_over() {
    let world = World::new().await;
    let payment = world.pending(&world.ann, 500).await;
    world.clock.advance(WINDOW - Duration::from_secs(60));
    world.process(&world.ann, &payment.id, "tok_declined", "").await.unwrap();
    world.clock.advance(Duration::from_secs(60));
    let answer = world.process(&world.ann, &payment.id, "tok_visa", "").await;
    assert_refused(answer, Kind::FailedPrecondition, "PAYMENT_WINDOW_OVER");
    assert_eq!(world.ledger().await.charges, 0);
}

#[tokio::test]
async fn anothers_payment_a_missing_one_and_what_is_no_id_answer_alike() {
    let world = World::new().await;
    let anothers = world.pending(&world.bob, 500).await;
    let mut refusals = vec![];
    for id in [anothers.id.as_str(), &Uuid::now_v7().to_string(), "no-uuid", "", "\0"] {
        let answer = world.process(&world.ann, id, "tok_visa", "").await;
        refusals.push(assert_refused(answer, Kind::NotFound, "NOT_FOUND"));
    }
    assert!(refusals.windows(2).all(|pair| pair[0] == pair[1]));
    assert_eq!(world.get(&world.bob, &anothers.id).await.unwrap(), anothers);
    assert_eq!(world.ledger().await.charges, 0);
}

#[tokio::test]
async fn an_order_that_costs_nothing_is_paid_with_nothing() {
    let world = World::new().await;
    let payment = world.paid(&world.ann, 0).await;
    assert_eq!(world.ledger().await, Ledger { taken: 0, charges: 1, given_back: 0 });
    let answer = world.refund(&world.admin, &payment.id, None, "").await;
    assert_refused(answer, Kind::FailedPrecondition, "PAYMENT_NOT_REFUNDABLE");
}

#[tokio::test]
async fn a_repeat_with_one_key_gets_the_first_result_and_charges_once() {
    let world = World::new().await;
    let payment = world.pending(&world.ann, 500).await;
    let first = world.process(&world.ann, &payment.id, "tok_visa", "key").await.unwrap();
    assert_eq!(world.process(&world.ann, &payment.id, "tok_visa", "key").await.unwrap(), first);
    // Even when the payment has gone on since.
    world.refund(&world.admin, &payment.id, Some("1.00"), "").await.unwrap();
    assert_eq!(world.process(&world.ann, &payment.id, "tok_visa", "key").await.unwrap(), first);
    assert_eq!(world.ledger().await.charges, 1);
}

#[tokio::test]
async fn a_declined_charge_is_a_result_that_its_key_repeats() {
    let world = World::new().await;
    let payment = world.pending(&world.ann, 500).await;
    let first = world.process(&world.ann, &payment.id, "tok_declined", "key").await.unwrap();
    world.process(&world.ann, &payment.id, "tok_visa", "").await.unwrap();
    assert_eq!(world.process(&world.ann, &payment.id, "tok_declined", "key").await.unwrap(), first);
    assert_eq!(world.told_names(&payment.id).await, ["payment.failed", "payment.success"]);
}

#[tokio::test]
async fn a_key_with_other_input_is_refused() {
    let world = World::new().await;
    let payment = world.pending(&world.ann, 500).await;
    let other = world.pending(&world.ann, 500).await;
    world.process(&world.ann, &payment.id, "tok_declined", "key").await.unwrap();
    for (id, token) in [(&payment.id, "tok_visa"), (&other.id, "tok_declined")] {
        let answer = world.process(&world.ann, id, token, "key").await;
        assert_refused(answer, Kind::Conflict, "IDEMPOTENCY_KEY_REUSED");
    }
    assert_eq!(world.ledger().await.charges, 0);
}

#[tokio::test]
async fn a_key_belongs_to_its_viewer() {
    let world = World::new().await;
    let anns = world.pending(&world.ann, 500).await;
    let bobs = world.pending(&world.bob, 700).await;
    world.process(&world.ann, &anns.id, "tok_visa", "key").await.unwrap();
    let paid = world.process(&world.bob, &bobs.id, "tok_visa", "key").await.unwrap();
    assert_eq!(paid.id, bobs.id);
    // Nor does a key lend its first result to someone else.
    let answer = world.process(&world.bob, &anns.id, "tok_visa", "other").await;
    assert_refused(answer, Kind::NotFound, "NOT_FOUND");
}

#[tokio::test]
async fn a_refused_request_does_not_use_up_its_key() {
    let world = World::new().await;
    let payment = world.pending(&world.ann, 500).await;
    let attempt =
        world.attempts().start_charge(world.ann.viewer, payment_id(&payment.id), None).await.unwrap();
    let answer = world.process(&world.ann, &payment.id, "tok_visa", "key").await;
    assert_refused(answer, Kind::Conflict, "PAYMENT_IN_PROGRESS");
    world.clock.advance(RECOVER_AFTER);
    assert_eq!(world.attempts().recover_once().await.unwrap(), 1, "{attempt:?}");
    let paid = world.process(&world.ann, &payment.id, "tok_visa", "key").await.unwrap();
    assert_eq!(paid.status(), PaymentStatus::Succeeded);
}

#[tokio::test]
async fn an_answered_key_is_free_for_the_next_repeat_at_once() {
    let world = World::new().await;
    let payment = world.pending(&world.ann, 500).await;
    let first = world.process(&world.ann, &payment.id, "tok_visa", "key").await.unwrap();
    for _ in 0..50 {
        assert_eq!(world.process(&world.ann, &payment.id, "tok_visa", "key").await.unwrap(), first);
        let other = world.process(&world.ann, &payment.id, "tok_declined", "key").await;
        assert_refused(other, Kind::Conflict, "IDEMPOTENCY_KEY_REUSED");
        let refused = world.process(&world.ann, &payment.id, "tok_visa", "fresh").await;
        assert_refused(refused, Kind::FailedPrecondition, "PAYMENT_ALREADY_PAID");
    }
}

#[tokio::test]
async fn a_key_that_is_too_long_is_refused() {
    let world = World::new().await;
    let payment = world.pending(&world.ann, 500).await;
    let answer = world.process(&world.ann, &payment.id, "tok_visa", &"x".repeat(129)).await;
    assert_bad_input(answer, "IDEMPOTENCY_KEY_INVALID", "idempotencyKey");
}

#[tokio::test]
async fn a_provider_that_does_not_answer_leaves_the_result_open_until_it_is_asked() {
    let world = World::impatient().await;
    for (token, status) in
        [("tok_timeout", PaymentStatus::Succeeded), ("tok_timeout_declined", PaymentStatus::Pending)]
    {
        let payment = world.pending(&world.ann, 500).await;
        let answer = world.process(&world.ann, &payment.id, token, token).await;
        assert_refused(answer, Kind::Timeout, "PAYMENT_UNDECIDED");
        assert_eq!(world.get(&world.ann, &payment.id).await.unwrap(), payment);
        let repeat = world.process(&world.ann, &payment.id, token, token).await;
        assert_refused(repeat, Kind::Conflict, "IDEMPOTENCY_IN_PROGRESS");
        let another = world.process(&world.ann, &payment.id, "tok_visa", "").await;
        assert_refused(another, Kind::Conflict, "PAYMENT_IN_PROGRESS");
        world.clock.advance(RECOVER_AFTER);
        assert_eq!(world.attempts().recover_once().await.unwrap(), 1);
        let decided = world.get(&world.ann, &payment.id).await.unwrap();
        assert_eq!(decided.status(), status);
        assert_eq!(world.process(&world.ann, &payment.id, token, token).await.unwrap(), decided);
    }
    assert_eq!(world.ledger().await.charges, 1);
}

#[tokio::test]
async fn a_provider_that_can_not_be_reached_took_nothing_and_the_charge_is_given_up() {
    let world = World::new().await;
    let payment = world.pending(&world.ann, 500).await;
    let answer = world.process(&world.ann, &payment.id, "tok_unavailable", "key").await;
    assert_refused(answer, Kind::Unavailable, "PAYMENT_PROVIDER_UNAVAILABLE");
    world.clock.advance(RECOVER_AFTER);
    assert_eq!(world.attempts().recover_once().await.unwrap(), 1);
    let given_up = world.process(&world.ann, &payment.id, "tok_unavailable", "key").await.unwrap();
    assert_eq!((given_up.status(), given_up.failure_reason.as_str()), (PaymentStatus::Pending, "abandoned"));
    assert_eq!(world.ledger().await.charges, 0);
    let paid = world.process(&world.ann, &payment.id, "tok_visa", "").await.unwrap();
    assert_eq!(paid.status(), PaymentStatus::Succeeded);
}

#[tokio::test]
async fn a_charge_goes_on_when_its_client_goes_away() {
    let world = World::new().await;
    let payment = world.pending(&world.ann, 500).await;
    // The row is held until the client has gone, so that the charge can't be over before.
    let mut hold = world.database.pool().begin().await.unwrap();
    sqlx::query("SELECT FROM payments WHERE id = $1 FOR UPDATE")
        .bind(uuid(&payment.id))
        .execute(&mut *hold)
        .await
        .unwrap();
    let mut request = world.ann.request(process(&payment.id, "tok_visa", ""));
    request.set_timeout(Duration::from_millis(100));
    world.client().process_payment(request).await.unwrap_err();
    hold.commit().await.unwrap();
    let paid = async {
        while world.get(&world.ann, &payment.id).await.unwrap().status() != PaymentStatus::Succeeded {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), paid).await.expect("the charge did not go on");
}

#[tokio::test]
async fn an_admin_charges_for_a_customer() {
    let world = World::new().await;
    let payment = world.pending(&world.ann, 500).await;
    let paid = world.process(&world.admin, &payment.id, "tok_visa", "").await.unwrap();
    assert_eq!(paid.user_id, world.ann.viewer.user_id.to_string());
}
