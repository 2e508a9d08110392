use proto::order::v1::{ListOrdersRequest, OrderDeleted, OrderStatus};
use runtime::Kind;
use uuid::Uuid;

use crate::support::{World, assert_refused, first_page};
use OrderStatus::*;

#[tokio::test]
async fn an_order_that_is_over_is_deleted_and_told_so_once() {
    let world = World::new().await;
    let buyer = world.tokens.customer();
    for over in [Cancelled, Delivered] {
        let order = world.order(&buyer).await;
        world.bring(&order, over).await;
        let told_before = world.events_of(&order.id).await;
        world.delete(&buyer, &order.id).await.unwrap();

        assert_refused(world.get(&buyer, &order.id).await, Kind::NotFound, "NOT_FOUND", "");
        let list = ListOrdersRequest { page: first_page(10), ..Default::default() };
        assert_eq!(world.list(&buyer, list).await.unwrap().orders, []);
        let told = world.events_of(&order.id).await;
        let (name, sequence, data) = told.last().unwrap();
        assert_eq!((name.as_str(), *sequence), ("order.deleted", told_before.last().unwrap().1 + 1));
        let data: OrderDeleted = serde_json::from_value(data.clone()).unwrap();
        assert_eq!(data, OrderDeleted { order_id: order.id.clone(), user_id: order.user_id.clone() });

        assert_refused(world.delete(&buyer, &order.id).await, Kind::NotFound, "NOT_FOUND", "");
        assert_eq!(world.events_of(&order.id).await.len(), told.len());
    }
}

#[tokio::test]
async fn a_deleted_order_can_not_be_changed_any_more() {
    let world = World::new().await;
    let buyer = world.tokens.customer();
    let order = world.order(&buyer).await;
    world.bring(&order, Cancelled).await;
    world.delete(&world.admin, &order.id).await.unwrap();
    assert_refused(world.cancel(&buyer, &order.id).await, Kind::NotFound, "NOT_FOUND", "");
    assert_refused(world.update(&order.id, Shipped).await, Kind::NotFound, "NOT_FOUND", "");
}

#[tokio::test]
async fn an_order_that_is_under_way_can_not_be_deleted() {
    let world = World::new().await;
    let buyer = world.tokens.customer();
    for under_way in [Pending, Confirmed, Shipped] {
        let order = world.order(&buyer).await;
        world.bring(&order, under_way).await;
        let before = world.footprint().await;
        for caller in [&buyer, &world.admin] {
            let outcome = world.delete(caller, &order.id).await;
            assert_refused(outcome, Kind::FailedPrecondition, "ORDER_NOT_DELETABLE", "");
        }
        assert_eq!(world.footprint().await, before);
        assert_eq!(world.get(&buyer, &order.id).await.unwrap().status(), under_way);
    }
}

#[tokio::test]
async fn anothers_a_missing_and_an_impossible_order_answer_alike() {
    let world = World::new().await;
    let order = world.order(&world.tokens.customer()).await;
    world.bring(&order, Cancelled).await;
    let stranger = world.tokens.customer();
    let mut refusals = vec![];
    for id in [order.id.as_str(), &Uuid::now_v7().to_string(), "no uuid", "\0"] {
        refusals.push(assert_refused(world.delete(&stranger, id).await, Kind::NotFound, "NOT_FOUND", ""));
    }
    refusals.dedup();
    assert_eq!(refusals.len(), 1);
    assert_eq!(world.get(&world.admin, &order.id).await.unwrap().status(), Cancelled);
}
