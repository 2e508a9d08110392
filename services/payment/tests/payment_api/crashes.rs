//! A crash between any two steps of an attempt: the test ends there, and another process goes on with what the
//! database and the provider hold.

use payment::{
    attempts::{Attempt, RefundRequest, Started},
    provider::Outcome,
};
use prost::Message;
use proto::payment::v1::{Payment, PaymentStatus};
use runtime::{Kind, idempotency::Key};
use testkit::Caller;

use crate::world::{
    Ledger, RECOVER_AFTER, World, assert_refused, cents, payment_id, process, refund, started,
};

const KEY: &str = "key";

/// The first step of `ProcessPayment` as the RPC takes it, under [`KEY`].
async fn start_charge(world: &World, caller: &Caller, payment: &Payment, token: &str) -> Attempt {
    let request = process(&payment.id, token, "").encode_to_vec();
    let key = Key::parse(caller.viewer.user_id, "processPayment", KEY, &request).unwrap();
    started(
        world.attempts().start_charge(caller.viewer, payment_id(&payment.id), key.as_ref()).await.unwrap(),
    )
}

/// The first step of `RefundPayment` as the RPC takes it, under [`KEY`].
async fn start_refund(world: &World, payment: &Payment, amount: &str) -> Attempt {
    let message = refund(&payment.id, Some(amount), "");
    let viewer = world.admin.viewer;
    let key = Key::parse(viewer.user_id, "refundPayment", KEY, &message.encode_to_vec()).unwrap();
    let request = RefundRequest {
        payment_id: payment_id(&payment.id),
        amount: message.amount,
        reason: message.reason,
        key,
    };
    started(world.attempts().start_refund(viewer, request).await.unwrap())
}

/// The process is gone; another one comes up, and finds attempts that are old enough.
async fn crash_and_recover(world: &World) -> usize {
    world.clock.advance(RECOVER_AFTER);
    world.restarted().payments().attempts().recover_once().await.unwrap()
}

#[tokio::test]
async fn a_crash_before_the_provider_is_called_charges_nothing_and_the_buyer_can_try_again() {
    let world = World::new().await;
    let payment = world.pending(&world.ann, 500).await;
    start_charge(&world, &world.ann, &payment, "tok_visa").await;
    assert_eq!(crash_and_recover(&world).await, 1);
    let repeat = world.process(&world.ann, &payment.id, "tok_visa", KEY).await.unwrap();
    assert_eq!((repeat.status(), repeat.failure_reason.as_str()), (PaymentStatus::Pending, "abandoned"));
    assert_eq!(world.ledger().await.charges, 0);
    let paid = world.process(&world.ann, &payment.id, "tok_visa", "").await.unwrap();
    assert_eq!(paid.status(), PaymentStatus::Succeeded);
    assert_eq!(world.told_names(&payment.id).await, ["payment.failed", "payment.success"]);
}

#[tokio::test]
async fn a_crash_after_the_provider_charged_finds_the_charge() {
    let world = World::new().await;
    let payment = world.pending(&world.ann, 500).await;
    let attempt = start_charge(&world, &world.ann, &payment, "tok_visa").await;
    let outcome = world.attempts().charge(&attempt, "tok_visa").await.unwrap();
    assert_eq!(crash_and_recover(&world).await, 1);
    let repeat = world.process(&world.ann, &payment.id, "tok_visa", KEY).await.unwrap();
    assert_eq!(repeat, world.get(&world.ann, &payment.id).await.unwrap());
    let Outcome::Succeeded { transaction_id, .. } = outcome else { panic!("{outcome:?}") };
    assert_eq!((repeat.status(), repeat.transaction_id), (PaymentStatus::Succeeded, transaction_id));
    assert_eq!(world.ledger().await, Ledger { taken: 500, charges: 1, given_back: 0 });
    assert_eq!(world.told_names(&payment.id).await, ["payment.success"]);
}

#[tokio::test]
async fn a_crash_after_the_provider_declined_finds_the_reason() {
    let world = World::new().await;
    let payment = world.pending(&world.ann, 500).await;
    let attempt = start_charge(&world, &world.ann, &payment, "tok_expired_card").await;
    world.attempts().charge(&attempt, "tok_expired_card").await.unwrap();
    assert_eq!(crash_and_recover(&world).await, 1);
    let repeat = world.process(&world.ann, &payment.id, "tok_expired_card", KEY).await.unwrap();
    assert_eq!((repeat.status(), repeat.failure_reason.as_str()), (PaymentStatus::Pending, "expired_card"));
}

#[tokio::test]
async fn a_crash_after_the_charge_was_decided_loses_only_the_answer() {
    let world = World::new().await;
    let payment = world.pending(&world.ann, 500).await;
    let attempt = start_charge(&world, &world.ann, &payment, "tok_visa").await;
    let outcome = world.attempts().charge(&attempt, "tok_visa").await.unwrap();
    let answer = world.attempts().decide(&attempt, &outcome).await.unwrap();
    assert_eq!(crash_and_recover(&world).await, 0);
    assert_eq!(world.process(&world.ann, &payment.id, "tok_visa", KEY).await.unwrap(), answer);
    assert_eq!(world.ledger().await.charges, 1);
}

#[tokio::test]
async fn a_process_that_was_only_slow_decides_nothing_twice() {
    let world = World::new().await;
    let payment = world.pending(&world.ann, 500).await;
    let attempt = start_charge(&world, &world.ann, &payment, "tok_visa").await;
    let outcome = world.attempts().charge(&attempt, "tok_visa").await.unwrap();
    assert_eq!(crash_and_recover(&world).await, 1);
    let recovered = world.get(&world.ann, &payment.id).await.unwrap();
    assert_eq!(world.attempts().decide(&attempt, &outcome).await.unwrap(), recovered);
    assert_eq!(world.told_names(&payment.id).await, ["payment.success"]);
}

#[tokio::test]
async fn a_call_that_arrives_after_its_charge_was_given_up_takes_nothing() {
    let world = World::new().await;
    let payment = world.pending(&world.ann, 500).await;
    let attempt = start_charge(&world, &world.ann, &payment, "tok_visa").await;
    assert_eq!(crash_and_recover(&world).await, 1);
    let paid = world.process(&world.ann, &payment.id, "tok_mastercard", "").await.unwrap();
    let late = world.attempts().charge(&attempt, "tok_visa").await.unwrap();
    assert_eq!(late, Outcome::Declined { reason: "abandoned".into() });
    assert_eq!(world.attempts().decide(&attempt, &late).await.unwrap(), paid);
    assert_eq!(world.ledger().await, Ledger { taken: 500, charges: 1, given_back: 0 });
}

#[tokio::test]
async fn an_attempt_that_is_still_young_is_left_alone() {
    let world = World::new().await;
    let payment = world.pending(&world.ann, 500).await;
    start_charge(&world, &world.ann, &payment, "tok_visa").await;
    assert_eq!(world.restarted().payments().attempts().recover_once().await.unwrap(), 0);
    let repeat = world.process(&world.ann, &payment.id, "tok_visa", KEY).await;
    assert_refused(repeat, Kind::Conflict, "IDEMPOTENCY_IN_PROGRESS");
}

#[tokio::test]
async fn a_crash_before_a_refund_is_called_makes_it_once() {
    let world = World::new().await;
    let payment = world.paid(&world.ann, 500).await;
    start_refund(&world, &payment, "2.00").await;
    assert_eq!(world.reserved(&payment.id).await, 200);
    assert_eq!(crash_and_recover(&world).await, 1);
    let repeat = world.refund(&world.admin, &payment.id, Some("2.00"), KEY).await.unwrap();
    assert_eq!((repeat.status(), cents(&repeat.refunded)), (PaymentStatus::PartiallyRefunded, 200));
    assert_eq!(world.ledger().await.given_back, 200);
    assert_eq!(world.reserved(&payment.id).await, 0);
}

#[tokio::test]
async fn a_crash_after_the_provider_refunded_does_not_refund_again() {
    let world = World::new().await;
    let payment = world.paid(&world.ann, 500).await;
    let attempt = start_refund(&world, &payment, "2.00").await;
    world.attempts().conclude(&attempt).await.unwrap();
    assert_eq!(crash_and_recover(&world).await, 1);
    let repeat = world.refund(&world.admin, &payment.id, Some("2.00"), KEY).await.unwrap();
    assert_eq!(cents(&repeat.refunded), 200);
    assert_eq!(world.ledger().await.given_back, 200);
    assert_eq!(world.told_names(&payment.id).await, ["payment.success", "payment.refunded"]);
}

#[tokio::test]
async fn a_crash_after_a_refund_was_decided_loses_only_the_answer() {
    let world = World::new().await;
    let payment = world.paid(&world.ann, 500).await;
    let attempt = start_refund(&world, &payment, "2.00").await;
    let outcome = world.attempts().conclude(&attempt).await.unwrap();
    let answer = world.attempts().decide(&attempt, &outcome).await.unwrap();
    assert_eq!(crash_and_recover(&world).await, 0);
    assert_eq!(world.refund(&world.admin, &payment.id, Some("2.00"), KEY).await.unwrap(), answer);
    assert_eq!(world.ledger().await.given_back, 200);
}

#[tokio::test]
async fn a_repeat_of_what_was_answered_starts_no_attempt() {
    let world = World::new().await;
    let payment = world.pending(&world.ann, 500).await;
    let paid = world.process(&world.ann, &payment.id, "tok_visa", KEY).await.unwrap();
    let request = process(&payment.id, "tok_visa", "").encode_to_vec();
    let viewer = world.ann.viewer;
    let key = Key::parse(viewer.user_id, "processPayment", KEY, &request).unwrap();
    let again = world.attempts().start_charge(viewer, payment_id(&payment.id), key.as_ref()).await.unwrap();
    assert_eq!(again, Started::Repeat(Box::new(paid)));
    assert_eq!(world.count_attempts("STARTED").await, 0);
}
