use proto::{
    common::v1::PageRequest,
    order::v1::{ListOrdersRequest, Order, OrderStatus},
};
use runtime::Kind;
use testkit::Caller;
use uuid::Uuid;

use crate::support::{World, assert_refused, first_page};

fn of(caller: &Caller) -> ListOrdersRequest {
    ListOrdersRequest {
        page: first_page(100),
        user_id: caller.viewer.user_id.to_string(),
        ..Default::default()
    }
}

fn in_status(status: OrderStatus) -> ListOrdersRequest {
    ListOrdersRequest { page: first_page(100), status: status.into(), ..Default::default() }
}

fn all() -> ListOrdersRequest {
    ListOrdersRequest { page: first_page(100), ..Default::default() }
}

/// Orders of this buyer, newest first.
async fn place(world: &World, buyer: &Caller, count: usize) -> Vec<Order> {
    let mut orders = vec![];
    for _ in 0..count {
        orders.insert(0, world.order(buyer).await);
    }
    orders
}

#[tokio::test]
async fn a_customer_sees_their_orders_newest_first_and_an_admin_all() {
    let world = World::new().await;
    let (buyer, other) = (world.tokens.customer(), world.tokens.customer());
    let mine = place(&world, &buyer, 3).await;
    let theirs = place(&world, &other, 2).await;
    assert_eq!(world.list(&buyer, all()).await.unwrap().orders, mine);
    assert_eq!(
        world.list(&world.admin, all()).await.unwrap().orders,
        [theirs.clone(), mine.clone()].concat()
    );
    assert_eq!(world.list(&world.admin, of(&other)).await.unwrap().orders, theirs);
    assert_eq!(world.list(&buyer, of(&buyer)).await.unwrap().orders, mine);
}

#[tokio::test]
async fn another_users_orders_are_an_empty_list_to_a_customer() {
    let world = World::new().await;
    let (buyer, other) = (world.tokens.customer(), world.tokens.customer());
    place(&world, &other, 1).await;
    place(&world, &buyer, 1).await;
    for user_id in
        [other.viewer.user_id.to_string(), Uuid::now_v7().to_string(), "no uuid".into(), "\0".into()]
    {
        let page = Some(PageRequest { limit: 10, after: String::new(), include_total: true });
        let listed = world.list(&buyer, ListOrdersRequest { page, user_id, status: 0 }).await.unwrap();
        let info = listed.page.unwrap();
        assert_eq!(
            (listed.orders, info.has_more, info.end_cursor.as_str(), info.total),
            (vec![], false, "", Some(0))
        );
    }
    let request = ListOrdersRequest { page: first_page(10), user_id: "no uuid".into(), status: 0 };
    assert_eq!(world.list(&world.admin, request).await.unwrap().orders, []);
}

#[tokio::test]
async fn pages_follow_each_other_without_a_gap_or_a_repeat_while_orders_come_in() {
    let world = World::new().await;
    let buyer = world.tokens.customer();
    let placed = place(&world, &buyer, 5).await;
    for (caller, request) in [
        (&buyer, all()),
        (&world.admin, all()),
        (&world.admin, of(&buyer)),
        (&world.admin, in_status(OrderStatus::Pending)),
    ] {
        let mut seen = vec![];
        let mut after = String::new();
        loop {
            let page = Some(PageRequest { limit: 2, after, include_total: false });
            let listed = world.list(caller, ListOrdersRequest { page, ..request.clone() }).await.unwrap();
            seen.extend(listed.orders);
            // Newer than the page that was read, so it must show in none of the following.
            let newest = world.order(&buyer).await;
            world.bring(&newest, OrderStatus::Cancelled).await;
            world.delete(&buyer, &newest.id).await.unwrap();
            let info = listed.page.unwrap();
            assert_eq!(info.total, None, "nobody asked for it");
            after = info.end_cursor;
            if !info.has_more {
                break;
            }
        }
        assert_eq!(seen, placed);
    }
}

#[tokio::test]
async fn an_order_that_is_placed_between_two_pages_is_in_neither_and_shifts_nothing() {
    let world = World::new().await;
    let buyer = world.tokens.customer();
    let placed = place(&world, &buyer, 3).await;
    let page = |after| Some(PageRequest { limit: 2, after, include_total: false });
    let first = world.list(&buyer, ListOrdersRequest { page: page(String::new()), ..all() }).await.unwrap();
    world.order(&buyer).await;
    let after = first.page.unwrap().end_cursor;
    let second = world.list(&buyer, ListOrdersRequest { page: page(after), ..all() }).await.unwrap();
    assert_eq!([first.orders, second.orders].concat(), placed);
}

#[tokio::test]
async fn the_total_counts_all_that_the_list_has_when_it_is_asked_for() {
    let world = World::new().await;
    let (buyer, other) = (world.tokens.customer(), world.tokens.customer());
    let mine = place(&world, &buyer, 3).await;
    place(&world, &other, 2).await;
    world.bring(&mine[0], OrderStatus::Cancelled).await;
    world.delete(&buyer, &mine[0].id).await.unwrap();
    world.bring(&mine[1], OrderStatus::Confirmed).await;
    let page = Some(PageRequest { limit: 1, after: String::new(), include_total: true });
    for (caller, request, total) in [
        (&buyer, all(), 2),
        (&buyer, in_status(OrderStatus::Confirmed), 1),
        (&world.admin, all(), 4),
        (&world.admin, of(&other), 2),
        (&world.admin, in_status(OrderStatus::Pending), 3),
        (&world.admin, in_status(OrderStatus::Shipped), 0),
    ] {
        let listed =
            world.list(caller, ListOrdersRequest { page: page.clone(), ..request.clone() }).await.unwrap();
        assert_eq!(listed.page.unwrap().total, Some(total), "{request:?}");
    }
}

#[tokio::test]
async fn a_list_can_be_narrowed_to_a_status() {
    let world = World::new().await;
    let (buyer, other) = (world.tokens.customer(), world.tokens.customer());
    let mine = place(&world, &buyer, 2).await;
    let theirs = place(&world, &other, 1).await;
    world.bring(&mine[0], OrderStatus::Shipped).await;
    world.bring(&theirs[0], OrderStatus::Shipped).await;
    let ids = |orders: Vec<Order>| orders.into_iter().map(|order| order.id).collect::<Vec<_>>();
    let shipped = in_status(OrderStatus::Shipped);
    assert_eq!(ids(world.list(&buyer, shipped.clone()).await.unwrap().orders), [mine[0].id.as_str()]);
    assert_eq!(
        ids(world.list(&world.admin, shipped).await.unwrap().orders),
        [theirs[0].id.as_str(), mine[0].id.as_str()]
    );
    let pending = ListOrdersRequest { status: OrderStatus::Pending.into(), ..of(&buyer) };
    assert_eq!(world.list(&world.admin, pending).await.unwrap().orders, [mine[1].clone()]);
}

#[tokio::test]
async fn a_status_that_is_none_is_refused() {
    let world = World::new().await;
    for status in [-1, 6, i32::MAX] {
        let request = ListOrdersRequest { status, ..all() };
        assert_refused(
            world.list(&world.admin, request).await,
            Kind::BadInput,
            "ORDER_STATUS_INVALID",
            "status",
        );
    }
}

#[tokio::test]
async fn page_sizes_and_cursors_that_make_no_sense_are_refused() {
    let world = World::new().await;
    let buyer = world.tokens.customer();
    for limit in [0, -1, 101, 1_000_000] {
        let request = ListOrdersRequest { page: first_page(limit), ..all() };
        assert_refused(world.list(&buyer, request).await, Kind::BadInput, "PAGE_SIZE_OUT_OF_RANGE", "limit");
    }
    let without = ListOrdersRequest { page: None, ..all() };
    assert_refused(world.list(&buyer, without).await, Kind::BadInput, "PAGE_SIZE_OUT_OF_RANGE", "limit");
    for after in ["x", "bm90IGEgdXVpZA", "\0", "🙈"] {
        let page = Some(PageRequest { limit: 1, after: after.into(), include_total: false });
        let outcome = world.list(&buyer, ListOrdersRequest { page, ..all() }).await;
        assert_refused(outcome, Kind::BadInput, "CURSOR_INVALID", "after");
    }
}
