//! A replica for what may be a moment old, which another database plays here: what comes from it can be told apart.

use proto::order::v1::{ListOrdersRequest, ListProductsRequest, Product};
use testkit::{Caller, Database, anonymous};

use crate::support::{World, first_page};

async fn products(world: &World) -> Vec<Product> {
    let request = anonymous(ListProductsRequest { page: first_page(100) });
    world.client.clone().list_products(request).await.unwrap().into_inner().products
}

async fn orders(world: &World, who: &Caller, user: &str) -> usize {
    let request =
        ListOrdersRequest { user_id: user.into(), page: first_page(10), ..ListOrdersRequest::default() };
    world.list(who, request).await.unwrap().orders.len()
}

#[tokio::test]
async fn products_and_the_lists_of_admins_come_from_the_replica_and_everything_else_from_the_primary() {
    let replica = Database::new("order").await;
    let world = World::with(&["--read-database-url", replica.url()]).await;
    let (buyer, admin) = (world.tokens.customer(), world.admin.clone());
    let order = world.order(&buyer).await;
    let own = world.order(&admin).await;
    assert_eq!(products(&world).await, []);
    assert_eq!(orders(&world, &admin, "").await, 0);
    assert_eq!(orders(&world, &admin, &buyer.viewer.user_id.to_string()).await, 0);
    // Nobody misses what they wrote.
    assert_eq!(world.get(&buyer, &order.id).await.unwrap().id, order.id);
    assert_eq!(orders(&world, &buyer, "").await, 1);
    assert_eq!(orders(&world, &admin, &admin.viewer.user_id.to_string()).await, 1);
    assert_eq!(world.get(&admin, &own.id).await.unwrap().id, own.id);
}

#[tokio::test]
async fn while_the_replica_is_away_the_primary_serves_in_its_place() {
    let world = World::with(&["--read-database-url", "postgres://nobody@127.0.0.1:1/none"]).await;
    for _ in 0..3 {
        assert_eq!(products(&world).await.len(), 4);
    }
}
