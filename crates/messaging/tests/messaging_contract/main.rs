//! What both brokers promise to consumers and listeners, each test run on the in-process bus and on a real RabbitMQ: one
//! file per promise.

#![allow(clippy::unwrap_used, reason = "a test that can't be set up has failed")]

/// Makes two tests of each of these functions, one for each broker.
macro_rules! on_both_brokers {
    ($($test:ident),+ $(,)?) => {
        mod in_process {
            $(#[tokio::test]
            async fn $test() {
                super::$test(crate::world::World::in_process().await).await;
            })+
        }

        mod rabbitmq {
            $(#[tokio::test]
            async fn $test() {
                super::$test(crate::world::World::rabbitmq().await).await;
            })+
        }
    };
}

mod dead_letters;
mod effects;
mod failures;
mod listeners;
mod recorder;
mod restarts;
mod revocations;
mod world;
