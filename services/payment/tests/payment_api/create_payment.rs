use proto::payment::v1::{CreatePaymentRequest, Payment, PaymentStatus};
use runtime::Kind;
use testkit::Caller;
use uuid::Uuid;

use crate::world::{Answer, World, assert_bad_input, assert_refused, cents};

async fn create(world: &World, caller: &Caller, order_id: &str, key: &str) -> Answer<Payment> {
    let request = CreatePaymentRequest { order_id: order_id.into(), idempotency_key: key.into() };
    Ok(world.client().create_payment(caller.request(request)).await?.into_inner().payment.unwrap())
}

#[tokio::test]
async fn it_gives_the_payment_that_the_orders_event_made() {
    let world = World::new().await;
    let order = world.place_order(&world.ann, 99_999).await;
    let payment = create(&world, &world.ann, &order, "").await.unwrap();
    assert_eq!(payment.order_id, order);
    assert_eq!(payment.user_id, world.ann.viewer.user_id.to_string());
    assert_eq!(payment.status(), PaymentStatus::Pending);
    assert_eq!((cents(&payment.amount), cents(&payment.refunded)), (99_999, 0));
    assert_eq!(payment.amount.unwrap().currency, "USD");
    assert_eq!((payment.method, payment.transaction_id, payment.failure_reason), Default::default());
    assert_eq!((payment.paid_at, payment.created_at), (None, payment.updated_at));
}

#[tokio::test]
async fn asking_again_with_or_without_a_key_gives_the_same_payment() {
    let world = World::new().await;
    let order = world.place_order(&world.ann, 500).await;
    let first = create(&world, &world.ann, &order, "key").await.unwrap();
    for key in ["key", "another", ""] {
        assert_eq!(create(&world, &world.ann, &order, key).await.unwrap(), first);
    }
}

#[tokio::test]
async fn an_order_that_is_not_ready_is_not_there_or_is_anothers_answers_alike() {
    let world = World::new().await;
    let anothers = world.place_order(&world.bob, 500).await;
    let mut refusals = vec![];
    for order in [anothers.as_str(), &Uuid::now_v7().to_string(), "no-uuid", "", "\0"] {
        let answer = create(&world, &world.ann, order, "").await;
        refusals.push(assert_refused(answer, Kind::FailedPrecondition, "ORDER_NOT_READY"));
    }
    assert!(refusals[0].retry_after.is_some());
    assert!(refusals.windows(2).all(|pair| pair[0] == pair[1]));
}

#[tokio::test]
async fn an_admin_gets_anyones() {
    let world = World::new().await;
    let order = world.place_order(&world.ann, 500).await;
    assert_eq!(create(&world, &world.admin, &order, "").await.unwrap().order_id, order);
}

#[tokio::test]
async fn a_key_that_is_too_long_or_holds_control_characters_is_refused() {
    let world = World::new().await;
    let order = world.place_order(&world.ann, 500).await;
    for key in ["x".repeat(129).as_str(), "a\0b", "a\nb"] {
        assert_bad_input(
            create(&world, &world.ann, &order, key).await,
            "IDEMPOTENCY_KEY_INVALID",
            "idempotencyKey",
        );
    }
    create(&world, &world.ann, &order, &"鍵".repeat(128)).await.unwrap();
}
