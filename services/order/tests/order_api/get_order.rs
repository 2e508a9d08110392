use proto::order::v1::OrderStatus;
use runtime::Kind;
use uuid::Uuid;

use crate::support::{World, assert_refused};

#[tokio::test]
async fn an_owner_and_an_admin_read_an_order() {
    let world = World::new().await;
    let buyer = world.tokens.customer();
    let order = world.order(&buyer).await;
    assert_eq!(world.get(&buyer, &order.id).await.unwrap(), order);
    assert_eq!(world.get(&world.admin, &order.id).await.unwrap(), order);
}

#[tokio::test]
async fn anothers_a_missing_a_deleted_and_an_impossible_order_answer_alike() {
    let world = World::new().await;
    let (buyer, stranger) = (world.tokens.customer(), world.tokens.customer());
    let order = world.order(&buyer).await;
    let deleted = world.order(&stranger).await;
    world.bring(&deleted, OrderStatus::Cancelled).await;
    world.delete(&stranger, &deleted.id).await.unwrap();

    let mut refusals = vec![];
    for id in
        [order.id.as_str(), &deleted.id, &Uuid::now_v7().to_string(), "", "not-a-uuid", "\0", "1' OR '1'='1"]
    {
        refusals.push(assert_refused(world.get(&stranger, id).await, Kind::NotFound, "NOT_FOUND", ""));
    }
    refusals.dedup();
    assert_eq!(refusals.len(), 1);
    assert_refused(world.get(&world.admin, &deleted.id).await, Kind::NotFound, "NOT_FOUND", "");
}
