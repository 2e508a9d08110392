//! Payments that are not paid in time.

use std::time::Duration;

use futures::future::join_all;
use proto::payment::v1::PaymentStatus;
use serde_json::json;

use crate::world::{WINDOW, World, payment_id, started};

async fn expire(world: &World) -> usize {
    world.app.payments().expire_once(world.clock.now()).await.unwrap()
}

#[tokio::test]
async fn an_unpaid_payment_is_cancelled_once_its_window_is_over_and_not_before() {
    let world = World::new().await;
    let payment = world.pending(&world.ann, 500).await;
    world.clock.advance(WINDOW - Duration::from_secs(60));
    assert_eq!(expire(&world).await, 0);
    world.clock.advance(Duration::from_secs(60));
    assert_eq!((expire(&world).await, expire(&world).await), (1, 0));
    let expired = world.get(&world.ann, &payment.id).await.unwrap();
    assert_eq!(expired.status(), PaymentStatus::Cancelled);
    let told = world.told(&payment.id).await;
    assert_eq!(told.len(), 1);
    assert_eq!((told[0].0.as_str(), &told[0].1["reason"]), ("payment.cancelled", &json!("expired")));
    assert_eq!(told[0].1["orderId"], json!(payment.order_id));
}

#[tokio::test]
async fn what_was_paid_or_cancelled_does_not_expire() {
    let world = World::new().await;
    world.paid(&world.ann, 500).await;
    let cancelled = world.pending(&world.ann, 500).await;
    world.cancel_order(&cancelled.order_id).await.unwrap();
    world.clock.advance(WINDOW);
    assert_eq!(expire(&world).await, 0);
}

#[tokio::test]
async fn expiry_waits_for_the_charge_under_way() {
    let world = World::new().await;
    let attempts = world.attempts();
    for (token, expired, status) in
        [("tok_visa", 0, PaymentStatus::Succeeded), ("tok_declined", 1, PaymentStatus::Cancelled)]
    {
        let payment = world.pending(&world.ann, 500).await;
        let attempt =
            started(attempts.start_charge(world.ann.viewer, payment_id(&payment.id), None).await.unwrap());
        world.clock.advance(WINDOW);
        assert_eq!(expire(&world).await, 0);
        let outcome = attempts.charge(&attempt, token).await.unwrap();
        attempts.decide(&attempt, &outcome).await.unwrap();
        assert_eq!(expire(&world).await, expired);
        assert_eq!(world.get(&world.ann, &payment.id).await.unwrap().status(), status);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn several_replicas_expire_each_payment_once() {
    let world = World::new().await;
    let mut payments = vec![];
    for _ in 0..20 {
        payments.push(world.pending(&world.ann, 500).await.id);
    }
    world.clock.advance(WINDOW);
    let now = world.clock.now();
    let replicas = [world.restarted(), world.restarted(), world.restarted()];
    let expired = join_all(replicas.iter().map(|app| app.payments().expire_once(now))).await;
    assert_eq!(expired.into_iter().map(Result::unwrap).sum::<usize>(), 20);
    for id in payments {
        assert_eq!(world.told_names(&id).await, ["payment.cancelled"]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn at_the_end_of_the_window_a_payment_is_paid_or_cancelled_and_never_both() {
    let world = World::new().await;
    for _ in 0..5 {
        let payment = world.pending(&world.ann, 500).await;
        // The payer looks at the clock first, the expiry has a clock that is ahead.
        let later = world.clock.now() + WINDOW;
        let (paid, expired) = tokio::join!(
            world.process(&world.ann, &payment.id, "tok_visa", ""),
            world.app.payments().expire_once(later),
        );
        let status = world.get(&world.ann, &payment.id).await.unwrap().status();
        match (paid, expired.unwrap()) {
            (Ok(_), 0) => assert_eq!(status, PaymentStatus::Succeeded),
            (Err(_), 1) => assert_eq!(status, PaymentStatus::Cancelled),
            both => panic!("{both:?}"),
        }
    }
}
