//! Events that come again: at once, from the broker, and after everybody has forgotten having had them.

use std::time::Duration;

use futures::future::join_all;
use messaging::{Broker, Bus};

use crate::world::{WINDOW, World};

/// Orders that ended in every way that there is.
async fn one_of_each(world: &World) -> Vec<(String, &'static str, &'static str)> {
    let expired = world.placed().await;
    world.clock.advance(WINDOW);
    world.expire().await;
    let confirmed = world.paid().await;
    world.settle().await;
    let cancelled = world.placed().await;
    let cancelled_when_paid = world.paid().await;
    for order in [&cancelled, &cancelled_when_paid] {
        world.cancel(order).await.unwrap();
    }
    let deleted = world.paid().await;
    world.cancel(&deleted).await.unwrap();
    world.delete(&deleted).await.unwrap();
    world.settle().await;
    vec![
        (expired, "CANCELLED", "CANCELLED"),
        (confirmed, "CONFIRMED", "SUCCEEDED"),
        (cancelled, "CANCELLED", "CANCELLED"),
        (cancelled_when_paid, "CANCELLED", "REFUNDED"),
        (deleted, "CANCELLED", "REFUNDED"),
    ]
}

#[tokio::test]
async fn events_of_a_year_ago_that_nobody_remembers_change_nothing() {
    let world = World::new().await;
    let orders = one_of_each(&world).await;
    let before = world.footprint().await;
    world.clock.advance(Duration::from_secs(365 * 24 * 60 * 60));
    for event in world.said().await {
        for _ in 0..3 {
            world.deliver(&event).await;
        }
    }
    world.settle().await;
    assert_eq!(world.expire().await, 0);
    assert_eq!(world.footprint().await, before);
    for (order, as_order, as_payment) in orders {
        world.assert_ends(&order, as_order, as_payment).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_event_that_many_hand_over_at_the_same_time_has_one_effect() {
    let world = World::new().await;
    let many = async |order: &str, name: &str| {
        join_all((0..6).map(|_| world.deliver_named(order, name))).await;
    };
    let paid = world.place().await;
    many(&paid, "order.created").await;
    world.pay(&paid, "tok_visa").await.unwrap().unwrap();
    many(&paid, "payment.success").await;
    world.assert_ends(&paid, "CONFIRMED", "SUCCEEDED").await;
    world.cancel(&paid).await.unwrap();
    many(&paid, "order.status_changed").await;
    assert_eq!(world.recover().await, 1);
    world.assert_ends(&paid, "CANCELLED", "REFUNDED").await;

    let unpaid = world.place().await;
    many(&unpaid, "order.created").await;
    world.clock.advance(WINDOW);
    assert_eq!(world.expire().await, 1);
    many(&unpaid, "payment.cancelled").await;
    many(&unpaid, "order.status_changed").await;
    world.assert_ends(&unpaid, "CANCELLED", "CANCELLED").await;
}

#[tokio::test]
async fn events_that_a_broker_tells_three_times_and_again_without_an_inbox_have_one_effect() {
    let world = World::new().await;
    let orders = one_of_each(&world).await;
    let bus = Bus::new(world.consumers());
    let broker = Broker::from(bus.clone());
    let mut footprint = None;
    for round in 0..4 {
        if round == 3 {
            let in_a_month = chrono::Utc::now() + chrono::TimeDelta::days(31);
            assert!(bus.prune(in_a_month).await.unwrap() > 0);
        }
        for (database, outbox) in [
            (&world.order_database, world.orders.outbox()),
            (&world.payment_database, world.payments.outbox()),
        ] {
            // What a crash before the mark leaves behind.
            sqlx::query("UPDATE outbox SET published_at = NULL").execute(database.pool()).await.unwrap();
            assert!(outbox.relay_once(&broker).await.unwrap() > 0);
        }
        world.settle().await;
        let now = world.footprint().await;
        assert_eq!(*footprint.get_or_insert(now.clone()), now);
    }
    for (order, as_order, as_payment) in orders {
        world.assert_ends(&order, as_order, as_payment).await;
    }
    assert_eq!(world.dead_letters().await, 0);
}
