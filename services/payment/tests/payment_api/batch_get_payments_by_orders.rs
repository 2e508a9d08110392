use proto::payment::v1::{BatchGetPaymentsByOrdersRequest, Payment};
use testkit::Caller;
use uuid::Uuid;

use crate::world::{Answer, World, assert_bad_input};

async fn batch(world: &World, caller: &Caller, order_ids: Vec<String>) -> Answer<Vec<Payment>> {
    let request = BatchGetPaymentsByOrdersRequest { order_ids };
    let mut found =
        world.client().batch_get_payments_by_orders(caller.request(request)).await?.into_inner().payments;
    found.sort_by(|a, b| a.id.cmp(&b.id));
    Ok(found)
}

#[tokio::test]
async fn it_gives_the_payments_of_the_viewers_orders_and_leaves_the_rest_out() {
    let world = World::new().await;
    let own = world.pending(&world.ann, 100).await;
    let anothers = world.pending(&world.bob, 300).await;
    let orders = vec![
        anothers.order_id.clone(),
        own.order_id.clone(),
        // A payment's id is no order's.
        own.id.clone(),
        "no-uuid".into(),
        Uuid::now_v7().to_string(),
    ];
    assert_eq!(batch(&world, &world.ann, orders.clone()).await.unwrap(), std::slice::from_ref(&own));
    assert_eq!(batch(&world, &world.admin, orders).await.unwrap(), [own, anothers]);
}

#[tokio::test]
async fn more_than_a_thousand_orders_are_refused() {
    let world = World::new().await;
    let orders: Vec<String> = (0..1_001).map(|_| Uuid::now_v7().to_string()).collect();
    assert_bad_input(batch(&world, &world.ann, orders).await, "TOO_MANY_KEYS", "ids");
}
