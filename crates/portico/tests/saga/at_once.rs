//! Both sides of a race at the same moment: they wait at the same row, behind a lock of the test, in a known order.

use std::time::Duration;

use futures::{
    FutureExt,
    future::{LocalBoxFuture, join},
};
use testkit::{Database, until};

use crate::world::{Chance, WINDOW, World, uuid};

/// Two who meet, in the order in which they come.
type Both<'a> = [LocalBoxFuture<'a, ()>; 2];

fn both<'a>(
    first_is_first: bool,
    first: impl Future<Output = ()> + 'a,
    second: impl Future<Output = ()> + 'a,
) -> Both<'a> {
    let (first, second) = (first.boxed_local(), second.boxed_local());
    if first_is_first { [first, second] } else { [second, first] }
}

/// Lets the first and then the second come to the row that `lock` locks, and opens it only then.
async fn meet(database: &Database, lock: &'static str, order: &str, [first, second]: Both<'_>) {
    let mut door = database.pool().begin().await.unwrap();
    sqlx::query(lock).bind(uuid(order)).execute(&mut *door).await.unwrap();
    let second = async {
        waiting(database, 1).await;
        let open = async {
            waiting(database, 2).await;
            door.rollback().await.unwrap();
        };
        join(second, open).await;
    };
    join(first, second).await;
}

/// Waits until this many sessions wait for a lock.
async fn waiting(database: &Database, sessions: i64) {
    until("the two have met", || async {
        let waiting: i64 = sqlx::query_scalar(
            "SELECT count(*) FROM pg_stat_activity
             WHERE datname = current_database() AND wait_event_type = 'Lock'",
        )
        .fetch_one(database.pool())
        .await
        .unwrap();
        waiting >= sessions
    })
    .await;
}

const ORDER: &str = "SELECT FROM orders WHERE id = $1 FOR UPDATE";
const PAYMENT: &str = "SELECT FROM payments WHERE order_id = $1 FOR UPDATE";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cancel_and_a_success_that_meet_at_the_order() {
    let world = World::new().await;
    for cancel_first in [true, false] {
        let order = world.paid().await;
        let cancel = async { world.cancel(&order).await.unwrap() };
        let success = world.deliver_named(&order, "payment.success");
        meet(&world.order_database, ORDER, &order, both(cancel_first, cancel, success)).await;
        world.settle().await;
        world.assert_ends(&order, "CANCELLED", "REFUNDED").await;
        let changes = world.said_of(&order, "order.status_changed").await.len();
        assert_eq!(changes, if cancel_first { 1 } else { 2 });
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cancel_and_the_end_of_a_charge_that_meet_at_the_payment() {
    let world = World::new().await;
    for cancel_first in [true, false] {
        for (token, end) in [("tok_visa", "REFUNDED"), ("tok_declined", "CANCELLED")] {
            let order = world.placed().await;
            let attempt = world.start_charge(&order).await;
            world.cancel(&order).await.unwrap();
            let cancel = world.deliver_named(&order, "order.status_changed");
            let success = world.finish(&attempt, token);
            meet(&world.payment_database, PAYMENT, &order, both(cancel_first, cancel, success)).await;
            world.settle().await;
            world.assert_ends(&order, "CANCELLED", end).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cancel_and_the_begin_of_a_charge_that_meet_at_the_payment() {
    let world = World::new().await;
    for cancel_first in [true, false] {
        let order = world.placed().await;
        world.cancel(&order).await.unwrap();
        let cancel = world.deliver_named(&order, "order.status_changed");
        let pay = async {
            let paid = world.pay(&order, "tok_visa").await.unwrap();
            assert_eq!(paid.is_err(), cancel_first);
        };
        meet(&world.payment_database, PAYMENT, &order, both(cancel_first, cancel, pay)).await;
        world.settle().await;
        world.assert_ends(&order, "CANCELLED", if cancel_first { "CANCELLED" } else { "REFUNDED" }).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_order_and_its_cancel_that_are_heard_at_once_leave_nothing_to_pay() {
    let world = World::new().await;
    for _ in 0..20 {
        let order = world.place().await;
        world.cancel(&order).await.unwrap();
        join(
            world.deliver_named(&order, "order.created"),
            world.deliver_named(&order, "order.status_changed"),
        )
        .await;
        world.settle().await;
        world.assert_ends(&order, "CANCELLED", "CANCELLED").await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_expiry_leaves_a_payment_that_is_being_charged_to_the_charge() {
    let world = World::new().await;
    let order = world.placed().await;
    let attempt = world.start_charge(&order).await;
    world.clock.advance(WINDOW);
    let mut door = world.payment_database.pool().begin().await.unwrap();
    sqlx::query(PAYMENT).bind(uuid(&order)).execute(&mut *door).await.unwrap();
    let charged = world.finish(&attempt, "tok_visa");
    let expired = async {
        waiting(&world.payment_database, 1).await;
        // Neither waits for the row nor takes it, before and after the charge is decided.
        assert_eq!(world.expire().await, 0);
        door.rollback().await.unwrap();
    };
    join(charged, expired).await;
    assert_eq!(world.expire().await, 0);
    world.settle().await;
    world.assert_ends(&order, "CONFIRMED", "SUCCEEDED").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_expiry_and_a_cancel_that_meet_at_the_order() {
    let world = World::new().await;
    for cancel_first in [true, false] {
        let order = world.placed().await;
        world.clock.advance(WINDOW);
        assert_eq!(world.expire().await, 1);
        let cancel = async {
            let cancelled = world.cancel(&order).await;
            assert_eq!(cancelled.is_ok(), cancel_first);
        };
        let expiry = world.deliver_named(&order, "payment.cancelled");
        meet(&world.order_database, ORDER, &order, both(cancel_first, cancel, expiry)).await;
        world.settle().await;
        world.assert_ends(&order, "CANCELLED", "CANCELLED").await;
    }
}

/// Everything runs at once and by itself: clients, brokers, relays, the recoverer, the expiry.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn however_clients_and_jobs_meet_orders_and_payments_agree_in_the_end() {
    let mut chance = Chance::new();
    let world = World::new().await;
    let _running = world.run(world.bus());
    let mut orders = vec![];
    for _ in 0..6 {
        let rounds: Vec<_> = (0..8).map(|_| Round::new(&mut chance)).collect();
        orders.extend(futures::future::join_all(rounds.iter().map(|round| round.play(&world))).await);
        // Some of those that nobody paid run out of time while the next are placed.
        world.clock.advance(WINDOW / 3);
        world.expire().await;
    }
    world.quiet().await;
    world.clock.advance(WINDOW);
    world.expire().await;
    world.quiet().await;
    for order in orders {
        assert_ne!(world.statuses(&order).await.0, "PENDING");
        world.assert_agrees(&order).await;
    }
}

/// What the clients of one order do, and when.
struct Round {
    pay: Option<(&'static str, Duration)>,
    cancel: Option<Duration>,
}

impl Round {
    fn new(chance: &mut Chance) -> Self {
        let token = chance.one_of(&["tok_visa", "tok_visa", "tok_declined"]);
        Self {
            pay: (chance.below(4) > 0).then(|| (token, chance.moment())),
            cancel: (chance.below(3) > 0).then(|| chance.moment()),
        }
    }

    async fn play(&self, world: &World) -> String {
        let order = world.place().await;
        let pay = async {
            let Some((token, moment)) = self.pay else { return };
            until("the order has a payment", || async { world.payment(&order).await.is_some() }).await;
            tokio::time::sleep(moment).await;
            // Refused when the cancel was first.
            let _ = world.pay(&order, token).await;
        };
        let cancel = async {
            let Some(moment) = self.cancel else { return };
            tokio::time::sleep(moment).await;
            world.cancel(&order).await.unwrap();
        };
        join(pay, cancel).await;
        order
    }
}
