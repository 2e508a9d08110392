use proto::order::v1::{BatchGetOrdersRequest, Order, OrderStatus};
use runtime::Kind;
use testkit::Caller;
use tonic::Status;
use uuid::Uuid;

use crate::support::{World, assert_refused};

async fn batch(world: &World, caller: &Caller, ids: &[&str]) -> Result<Vec<Order>, Status> {
    let request = BatchGetOrdersRequest { ids: ids.iter().map(|id| (*id).to_owned()).collect() };
    let response = world.client.clone().batch_get_orders(caller.request(request)).await?;
    Ok(response.into_inner().orders)
}

#[tokio::test]
async fn orders_come_once_each_with_their_items() {
    let world = World::new().await;
    let buyer = world.tokens.customer();
    let (first, second) = (world.order(&buyer).await, world.order(&buyer).await);
    let found = batch(&world, &buyer, &[&first.id, &second.id, &first.id]).await.unwrap();
    assert_eq!(found, [second, first]);
}

#[tokio::test]
async fn what_is_anothers_missing_deleted_or_impossible_is_left_out() {
    let world = World::new().await;
    let (buyer, other) = (world.tokens.customer(), world.tokens.customer());
    let mine = world.order(&buyer).await;
    let theirs = world.order(&other).await;
    let deleted = world.order(&buyer).await;
    world.bring(&deleted, OrderStatus::Cancelled).await;
    world.delete(&buyer, &deleted.id).await.unwrap();

    let missing = Uuid::now_v7().to_string();
    let ids = [mine.id.as_str(), &theirs.id, &deleted.id, &missing, "", "no uuid", "\0"];
    assert_eq!(batch(&world, &buyer, &ids).await.unwrap(), std::slice::from_ref(&mine));
    assert_eq!(batch(&world, &world.admin, &ids).await.unwrap(), [theirs, mine]);
    assert_eq!(batch(&world, &buyer, &[]).await.unwrap(), []);
}

#[tokio::test]
async fn a_batch_has_at_most_1000_ids() {
    let world = World::new().await;
    let buyer = world.tokens.customer();
    let order = world.order(&buyer).await;
    assert_eq!(
        batch(&world, &buyer, &[order.id.as_str(); 1_000]).await.unwrap(),
        std::slice::from_ref(&order)
    );
    let refused = batch(&world, &buyer, &[order.id.as_str(); 1_001]).await;
    assert_refused(refused, Kind::BadInput, "TOO_MANY_KEYS", "ids");
}
