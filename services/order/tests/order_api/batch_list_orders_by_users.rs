use proto::order::v1::{BatchListOrdersByUsersRequest, Order, OrderStatus};
use runtime::Kind;
use testkit::Caller;
use tonic::Status;

use crate::support::{World, assert_refused};

async fn newest(
    world: &World,
    caller: &Caller,
    users: Vec<String>,
    limit: i32,
) -> Result<Vec<Order>, Status> {
    let request = BatchListOrdersByUsersRequest { user_ids: users, limit };
    let response = world.client.clone().batch_list_orders_by_users(caller.request(request)).await?;
    Ok(response.into_inner().orders)
}

fn id(caller: &Caller) -> String {
    caller.viewer.user_id.to_string()
}

#[tokio::test]
async fn each_user_gets_the_newest_of_their_own_however_many_others_have() {
    let world = World::new().await;
    let (many, few, none) = (world.tokens.customer(), world.tokens.customer(), world.tokens.customer());
    let lone = world.order(&few).await;
    let mut placed = vec![];
    for _ in 0..4 {
        placed.push(world.order(&many).await);
    }
    let users = vec![id(&few), id(&none), id(&many), id(&many)];
    let found = newest(&world, &world.admin, users, 2).await.unwrap();
    // Grouped by user, each group newest first; a user who is named twice is one group.
    let of = |caller: &Caller| {
        found.iter().filter(|order| order.user_id == id(caller)).cloned().collect::<Vec<_>>()
    };
    assert_eq!(of(&many), [placed[3].clone(), placed[2].clone()]);
    assert_eq!(of(&few), [lone]);
    assert_eq!(found.len(), 3);
    assert!(found[0].user_id == found[1].user_id || found[1].user_id == found[2].user_id, "not grouped");
}

#[tokio::test]
async fn a_customer_gets_their_own_orders_alone() {
    let world = World::new().await;
    let (buyer, other) = (world.tokens.customer(), world.tokens.customer());
    let mine = world.order(&buyer).await;
    world.order(&other).await;
    assert_eq!(newest(&world, &buyer, vec![id(&other), id(&buyer)], 10).await.unwrap(), [mine]);
    assert_eq!(newest(&world, &buyer, vec![id(&other)], 10).await.unwrap(), []);
}

#[tokio::test]
async fn deleted_orders_and_impossible_users_are_left_out() {
    let world = World::new().await;
    let buyer = world.tokens.customer();
    let kept = world.order(&buyer).await;
    let deleted = world.order(&buyer).await;
    world.bring(&deleted, OrderStatus::Cancelled).await;
    world.delete(&buyer, &deleted.id).await.unwrap();
    let users = vec![id(&buyer), "no uuid".into(), "\0".into(), String::new()];
    assert_eq!(newest(&world, &buyer, users, 1).await.unwrap(), [kept]);
}

#[tokio::test]
async fn limits_and_batches_that_make_no_sense_are_refused() {
    let world = World::new().await;
    for limit in [0, -1, 101, 1_000_000] {
        let outcome = newest(&world, &world.admin, vec![], limit).await;
        assert_refused(outcome, Kind::BadInput, "PAGE_SIZE_OUT_OF_RANGE", "limit");
    }
    let outcome = newest(&world, &world.admin, vec![id(&world.admin); 1_001], 1).await;
    assert_refused(outcome, Kind::BadInput, "TOO_MANY_KEYS", "ids");
}
