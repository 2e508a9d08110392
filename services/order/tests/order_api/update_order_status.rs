use proto::order::v1::{OrderStatus, UpdateOrderStatusRequest};
use runtime::Kind;
use uuid::Uuid;

use crate::support::{World, assert_refused};
use OrderStatus::*;

#[tokio::test]
async fn an_admin_ships_and_delivers_a_confirmed_order() {
    let world = World::new().await;
    let buyer = world.tokens.customer();
    let order = world.order(&buyer).await;
    world.pay(&order).await.unwrap();
    assert_eq!(world.update(&order.id, Shipped).await.unwrap().status(), Shipped);
    let delivered = world.update(&order.id, Delivered).await.unwrap();
    assert_eq!(delivered.status(), Delivered);
    assert!(delivered.updated_at != order.updated_at && delivered.created_at == order.created_at);
    assert_eq!(world.get(&buyer, &order.id).await.unwrap(), delivered);
    assert_eq!(
        world.changes_of(&order.id).await,
        [(Pending, Confirmed), (Confirmed, Shipped), (Shipped, Delivered)]
    );
    let sequences: Vec<_> = world.events_of(&order.id).await.into_iter().map(|event| event.1).collect();
    assert_eq!(sequences, [1, 2, 3, 4]);
}

#[tokio::test]
async fn every_illegal_change_is_refused_and_changes_nothing() {
    let world = World::new().await;
    let buyer = world.tokens.customer();
    let legal = [(Pending, Cancelled), (Confirmed, Cancelled), (Confirmed, Shipped), (Shipped, Delivered)];
    for from in [Pending, Confirmed, Shipped, Delivered, Cancelled] {
        let order = world.order(&buyer).await;
        world.bring(&order, from).await;
        let before = (world.get(&buyer, &order.id).await.unwrap(), world.footprint().await);
        for to in [Pending, Confirmed, Shipped, Delivered, Cancelled] {
            if !legal.contains(&(from, to)) {
                let outcome = world.update(&order.id, to).await;
                assert_refused(outcome, Kind::FailedPrecondition, "ORDER_STATUS_NOT_ALLOWED", "");
            }
        }
        assert_eq!((world.get(&buyer, &order.id).await.unwrap(), world.footprint().await), before);
    }
}

#[tokio::test]
async fn an_admin_cancels_before_it_ships() {
    let world = World::new().await;
    for from in [Pending, Confirmed] {
        let order = world.order(&world.tokens.customer()).await;
        world.bring(&order, from).await;
        assert_eq!(world.update(&order.id, Cancelled).await.unwrap().status(), Cancelled);
    }
}

#[tokio::test]
async fn a_status_that_is_none_is_refused() {
    let world = World::new().await;
    let order = world.order(&world.tokens.customer()).await;
    for status in [0, -1, 6, i32::MAX] {
        let request = UpdateOrderStatusRequest { id: order.id.clone(), status };
        let outcome = world.client.clone().update_order_status(world.admin.request(request)).await;
        assert_refused(outcome, Kind::BadInput, "ORDER_STATUS_INVALID", "status");
    }
}

#[tokio::test]
async fn an_order_that_is_missing_or_impossible_is_not_found() {
    let world = World::new().await;
    for id in [Uuid::now_v7().to_string().as_str(), "no uuid", "", "\0"] {
        assert_refused(world.update(id, Shipped).await, Kind::NotFound, "NOT_FOUND", "");
    }
}

#[tokio::test]
async fn a_customer_may_not_change_a_status_not_even_of_their_own_order() {
    let world = World::new().await;
    let buyer = world.tokens.customer();
    let order = world.order(&buyer).await;
    world.bring(&order, Confirmed).await;
    for (way, mut client) in world.ways() {
        let request = UpdateOrderStatusRequest { id: order.id.clone(), status: Shipped.into() };
        let refused = client.update_order_status(buyer.request(request)).await.expect_err(way);
        assert_eq!(testkit::refusal(&refused).kind, Kind::Forbidden, "{way}");
    }
    assert_eq!(world.get(&buyer, &order.id).await.unwrap().status(), Confirmed);
}

#[tokio::test]
async fn of_a_shipment_and_a_cancel_at_the_same_time_one_wins() {
    let world = World::new().await;
    let buyer = world.tokens.customer();
    for _ in 0..10 {
        let order = world.order(&buyer).await;
        world.bring(&order, Confirmed).await;
        let (shipped, cancelled) =
            tokio::join!(world.update(&order.id, Shipped), world.cancel(&buyer, &order.id));
        assert!(shipped.is_ok() != cancelled.is_ok(), "{shipped:?} and {cancelled:?}");
        let told = if shipped.is_ok() {
            assert_refused(cancelled, Kind::FailedPrecondition, "ORDER_NOT_CANCELLABLE", "");
            (Confirmed, Shipped)
        } else {
            assert_refused(shipped, Kind::FailedPrecondition, "ORDER_STATUS_NOT_ALLOWED", "");
            (Confirmed, Cancelled)
        };
        assert_eq!(world.changes_of(&order.id).await, [(Pending, Confirmed), told]);
    }
}
