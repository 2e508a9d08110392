//! The saga by itself, over each of the brokers: both services run as they do in processes of their own.

use testkit::until;

use crate::world::{Running, WINDOW, World};

impl World {
    /// Waits until order and payment are in these statuses and agree.
    async fn ends(&self, order: &str, as_order: &str, as_payment: &str) {
        let end = (as_order.to_owned(), as_payment.to_owned());
        until(&format!("{end:?}"), || async { self.statuses(order).await == end }).await;
        self.quiet().await;
        self.assert_ends(order, as_order, as_payment).await;
    }

    /// Places an order, and waits until it can be paid.
    async fn payable(&self) -> String {
        let order = self.place().await;
        until("it has a payment", || async { self.payment(&order).await.is_some() }).await;
        order
    }
}

async fn a_paid_order_is_confirmed(world: &World) {
    let order = world.payable().await;
    world.pay(&order, "tok_declined").await.unwrap().unwrap();
    world.pay(&order, "tok_visa").await.unwrap().unwrap();
    world.ends(&order, "CONFIRMED", "SUCCEEDED").await;
}

async fn a_cancelled_order_can_not_be_paid(world: &World) {
    let order = world.place().await;
    world.cancel(&order).await.unwrap();
    world.ends(&order, "CANCELLED", "CANCELLED").await;
    assert!(world.pay(&order, "tok_visa").await.unwrap().is_err());
}

async fn the_money_of_a_cancelled_order_is_given_back(world: &World) {
    let order = world.payable().await;
    world.pay(&order, "tok_visa").await.unwrap().unwrap();
    world.ends(&order, "CONFIRMED", "SUCCEEDED").await;
    world.cancel(&order).await.unwrap();
    world.ends(&order, "CANCELLED", "REFUNDED").await;
}

async fn an_order_that_nobody_pays_is_cancelled_when_its_time_is_over(world: &World) {
    let order = world.payable().await;
    world.clock.advance(WINDOW);
    world.ends(&order, "CANCELLED", "CANCELLED").await;
}

macro_rules! stories {
    ($($story:ident),*) => {
        mod over_the_bus {
            use super::*;
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $story() {
                let world = World::new().await;
                let _running: Running = world.run(world.bus());
                super::$story(&world).await;
            })*
        }

        mod over_rabbitmq {
            use super::*;
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $story() {
                let (world, vhost) = (World::new().await, testkit::Broker::new().await);
                let _running: Running = world.run(world.rabbitmq(&vhost).await);
                super::$story(&world).await;
            })*
        }
    };
}

stories!(
    a_paid_order_is_confirmed,
    a_cancelled_order_can_not_be_paid,
    the_money_of_a_cancelled_order_is_given_back,
    an_order_that_nobody_pays_is_cancelled_when_its_time_is_over
);
