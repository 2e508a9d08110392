//! Callers at the same time.

use futures::future::join_all;
use proto::payment::v1::{Payment, PaymentStatus};
use runtime::{Kind, Refusal};

use crate::world::{Answer, Ledger, RECOVER_AFTER, World, cents, uuid};

/// Those that won, and why the others did not.
fn split(answers: Vec<Answer<Payment>>) -> (Vec<Payment>, Vec<Refusal>) {
    let (won, lost): (Vec<_>, Vec<_>) = answers.into_iter().partition(Result::is_ok);
    (
        won.into_iter().map(Result::unwrap).collect(),
        lost.iter().map(|l| testkit::refusal(l.as_ref().unwrap_err())).collect(),
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_who_pay_one_payment_at_once_one_wins() {
    let world = World::new().await;
    let payment = world.pending(&world.ann, 500).await;
    let (won, lost) =
        split(join_all((0..10).map(|_| world.process(&world.ann, &payment.id, "tok_visa", ""))).await);
    assert_eq!((won.len(), won[0].status()), (1, PaymentStatus::Succeeded));
    for refusal in lost {
        let reason = (refusal.kind, refusal.reason.as_ref());
        let expected =
            [(Kind::Conflict, "PAYMENT_IN_PROGRESS"), (Kind::FailedPrecondition, "PAYMENT_ALREADY_PAID")];
        assert!(expected.contains(&reason), "{reason:?}");
    }
    assert_eq!(world.ledger().await, Ledger { taken: 500, charges: 1, given_back: 0 });
    assert_eq!(world.told_names(&payment.id).await, ["payment.success"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_with_one_key_at_once_all_who_are_answered_get_the_same() {
    let world = World::new().await;
    let payment = world.pending(&world.ann, 500).await;
    let (won, lost) =
        split(join_all((0..10).map(|_| world.process(&world.ann, &payment.id, "tok_visa", "key"))).await);
    assert!(!won.is_empty());
    assert!(won.iter().all(|one| *one == won[0]));
    assert!(lost.iter().all(|refusal| refusal.reason == "IDEMPOTENCY_IN_PROGRESS"), "{lost:?}");
    assert_eq!(world.ledger().await.charges, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refunds_at_once_that_add_up_to_too_much_are_refused() {
    let world = World::new().await;
    let payment = world.paid(&world.ann, 500).await;
    let (won, lost) =
        split(join_all((0..6).map(|_| world.refund(&world.admin, &payment.id, Some("2.00"), ""))).await);
    assert_eq!((won.len(), lost.len()), (2, 4));
    assert!(lost.iter().all(|refusal| refusal.reason == "REFUND_EXCEEDS_PAYMENT"), "{lost:?}");
    let payment = world.get(&world.ann, &payment.id).await.unwrap();
    assert_eq!((payment.status(), cents(&payment.refunded)), (PaymentStatus::PartiallyRefunded, 400));
    assert_eq!(world.ledger().await.given_back, 400);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_full_refunds_at_once_give_the_money_back_once() {
    let world = World::new().await;
    let payment = world.paid(&world.ann, 500).await;
    let (won, lost) =
        split(join_all((0..2).map(|_| world.refund(&world.admin, &payment.id, None, ""))).await);
    assert_eq!((won.len(), lost.len()), (1, 1));
    assert_eq!(world.ledger().await.given_back, 500);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whichever_comes_first_of_paying_and_cancelling_no_money_is_kept() {
    let world = World::new().await;
    for _ in 0..5 {
        let payment = world.pending(&world.ann, 500).await;
        let (paid, cancelled) = tokio::join!(
            world.process(&world.ann, &payment.id, "tok_visa", ""),
            world.cancel_order(&payment.order_id),
        );
        cancelled.unwrap();
        world.attempts().recover_once().await.unwrap();
        let payment = world.get(&world.ann, &payment.id).await.unwrap();
        let expected = if paid.is_ok() { PaymentStatus::Refunded } else { PaymentStatus::Cancelled };
        assert_eq!(payment.status(), expected);
    }
    let ledger = world.ledger().await;
    assert_eq!(ledger.taken, ledger.given_back);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn recoverers_of_several_replicas_decide_each_attempt_once() {
    let world = World::new().await;
    let mut payments = vec![];
    for _ in 0..8 {
        let payment = world.paid(&world.ann, 500).await;
        world.cancel_order(&payment.order_id).await.unwrap();
        payments.push(payment.id);
    }
    world.clock.advance(RECOVER_AFTER);
    let replicas = [world.restarted(), world.restarted(), world.restarted()];
    let decided = join_all(replicas.iter().map(|app| app.payments().attempts().recover_once())).await;
    assert_eq!(decided.into_iter().map(Result::unwrap).sum::<usize>(), 8);
    for id in payments {
        assert_eq!(world.told_names(&id).await, ["payment.success", "payment.refunded"]);
    }
    assert_eq!(world.ledger().await, Ledger { taken: 4_000, charges: 8, given_back: 4_000 });
}

#[tokio::test]
async fn the_schema_itself_refuses_refunds_that_add_up_to_too_much_and_a_second_charge() {
    let world = World::new().await;
    let payment = world.paid(&world.ann, 500).await;
    for (statement, constraint) in [
        ("UPDATE payments SET reserved = 501 WHERE id = $1", "payments_refunds_within_amount"),
        ("UPDATE payments SET reserved = 9223372036854775807 WHERE id = $1", "payments_refunds_within_amount"),
        ("UPDATE payments SET refunded = 500 WHERE id = $1", "payments_status_tells_of_refunds"),
        (
            "INSERT INTO attempts (id, payment_id, kind, status, amount, reason, started_at, due_at, decided_at)
             VALUES (gen_random_uuid(), $1, 'CHARGE', 'SUCCEEDED', 500, '', now(), now(), now())",
            "attempts_paid_once",
        ),
    ] {
        let refused = sqlx::query(statement).bind(uuid(&payment.id)).execute(world.database.pool()).await.unwrap_err();
        assert_eq!(runtime::postgres::violated_constraint(&refused), Some(constraint));
    }
}
