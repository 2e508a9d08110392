//! What becomes of events that a consumer can't handle.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use messaging::{Failure, Outbox};
use testkit::until;
use uuid::Uuid;

use crate::world::{World, event, hasty};

#[tokio::test]
async fn a_failure_that_passes_leaves_one_effect() {
    let world = World::new().await;
    let tries = AtomicUsize::new(0);
    let consumer =
        Arc::new(world.consumer("orders").that(move |_| match tries.fetch_add(1, Ordering::SeqCst) {
            0 | 1 => Err(Failure::Retry("the other row is not there yet".to_owned())),
            _ => Ok(()),
        }));
    world.say(&[event(Uuid::now_v7(), 1)]).await;

    let _relay = world.run(&hasty(vec![consumer.clone()]));

    until("the event is told", async || world.waiting().await == 0).await;
    assert_eq!((world.effects().await, consumer.calls()), (1, 3));
    assert_eq!(world.dead_letters().await, []);
}

#[tokio::test]
async fn a_failure_that_stays_becomes_a_dead_letter_and_frees_its_aggregate() {
    let world = World::new().await;
    let consumer = Arc::new(world.consumer("orders").that(|event| match event.sequence() {
        Some(1) => Err(Failure::Retry("no such order".to_owned())),
        _ => Ok(()),
    }));
    let order = Uuid::now_v7();
    world.say(&[event(order, 1), event(order, 2)]).await;

    let _relay = world.run(&hasty(vec![consumer.clone()]));

    until("both are told", async || world.waiting().await == 0).await;
    assert_eq!(world.effects_on(order).await, [2]);
    assert_eq!(
        world.dead_letters().await,
        [("orders".to_owned(), "no such order (tried 3 times)".to_owned())]
    );
    assert_eq!(consumer.calls(), 4);
}

#[tokio::test]
async fn a_rejected_event_becomes_a_dead_letter_at_its_first_try() {
    let world = World::new().await;
    let consumer =
        Arc::new(world.consumer("orders").that(|_| Err(Failure::Reject("no currency\0 named".to_owned()))));
    let said = event(Uuid::now_v7(), 1);
    world.say(std::slice::from_ref(&said)).await;
    let bus = hasty(vec![consumer.clone()]);

    assert_eq!(world.outbox.relay_once(&bus).await.unwrap(), 1);

    assert_eq!(world.dead_letters().await, [("orders".to_owned(), "no currency named".to_owned())]);
    assert_eq!((world.effects().await, consumer.calls()), (0, 1), "its effect is rolled back");
    let kept: messaging::CloudEvent = serde_json::from_value(
        sqlx::query_scalar("SELECT event FROM dead_letters").fetch_one(world.pool()).await.unwrap(),
    )
    .unwrap();
    assert_eq!((kept.id, kept.data), (said.id, said.data));
}

#[tokio::test]
async fn a_dead_letter_is_not_tried_again_when_its_event_comes_again() {
    let world = World::new().await;
    let consumer = Arc::new(world.consumer("orders").that(|_| Err(Failure::Reject("no".to_owned()))));
    let bus = hasty(vec![consumer.clone()]);
    world.say(&[event(Uuid::now_v7(), 1)]).await;
    world.outbox.relay_once(&bus).await.unwrap();

    world.unmark().await;
    assert_eq!(world.outbox.relay_once(&bus).await.unwrap(), 1);

    assert_eq!((consumer.calls(), world.dead_letters().await.len()), (1, 1));
}

#[tokio::test]
async fn a_handler_that_panics_is_tried_again_and_ends_nothing_else() {
    let world = World::new().await;
    let (bad, good) = (Uuid::now_v7(), Uuid::now_v7());
    let consumer = Arc::new(world.consumer("orders").that(move |event| {
        assert!(event.subject != bad, "an order without items");
        Ok(())
    }));
    world.say(&[event(bad, 1), event(good, 1)]).await;

    let relay = world.run(&hasty(vec![consumer.clone()]));

    until("both are told", async || world.waiting().await == 0).await;
    assert_eq!((world.effects_on(bad).await, world.effects_on(good).await), (vec![], vec![1]));
    let reason = "it panicked: an order without items (tried 3 times)".to_owned();
    assert_eq!(world.dead_letters().await, [("orders".to_owned(), reason)]);
    assert!(!relay.task.is_finished());
}

#[tokio::test]
async fn a_panic_after_the_commit_has_no_second_effect() {
    let world = World::new().await;
    let consumer = Arc::new(world.consumer("orders").after_commit(|| panic!("after the commit")));
    world.say(&[event(Uuid::now_v7(), 1)]).await;

    let _relay = world.run(&hasty(vec![consumer.clone()]));

    until("the event is told", async || world.waiting().await == 0).await;
    assert_eq!((world.effects().await, consumer.calls()), (1, 1));
    assert_eq!(world.dead_letters().await, []);
}

#[tokio::test]
async fn a_consumer_whose_database_is_away_makes_no_dead_letters() {
    let (world, elsewhere) = (World::new().await, World::new().await);
    let consumer = Arc::new(elsewhere.consumer("payments"));
    world.say(&[event(Uuid::now_v7(), 1)]).await;
    elsewhere.execute("ALTER TABLE inbox RENAME TO away").await;

    let _relay = world.run(&hasty(vec![consumer.clone()]));
    // Far longer than three tries take.
    tokio::time::sleep(std::time::Duration::from_millis(300)).await;
    assert_eq!((world.waiting().await, consumer.calls()), (1, 0));

    elsewhere.execute("ALTER TABLE away RENAME TO inbox").await;
    until("the event is told", async || world.waiting().await == 0).await;
    assert_eq!((elsewhere.effects().await, elsewhere.dead_letters().await.len()), (1, 0));
}

#[tokio::test]
async fn what_a_consumer_says_in_its_transaction_is_told_too_and_only_if_it_commits() {
    let world = World::new().await;
    let consumer = Arc::new(Echo { pool: world.pool().clone(), tries: AtomicUsize::new(0) });
    world.say(&[event(Uuid::now_v7(), 1)]).await;
    let bus = hasty(vec![consumer]);

    assert_eq!(world.outbox.relay_once(&bus).await.unwrap(), 0, "the first try fails");
    assert_eq!(world.count("SELECT count(*) FROM outbox").await, 1);

    assert_eq!(world.outbox.relay_once(&bus).await.unwrap(), 2);
    assert_eq!(world.count("SELECT count(*) FROM outbox WHERE name = 'payment.success'").await, 1);
}

/// Answers each order with a payment, but not at the first try.
struct Echo {
    pool: sqlx::PgPool,
    tries: AtomicUsize,
}

impl messaging::Consumer for Echo {
    fn name(&self) -> &'static str {
        "echo"
    }

    fn events(&self) -> &'static [&'static str] {
        &["order.created"]
    }

    fn pool(&self) -> &sqlx::PgPool {
        &self.pool
    }

    fn handle<'a>(
        &'a self,
        tx: &'a mut sqlx::PgConnection,
        event: &'a messaging::CloudEvent,
    ) -> futures::future::BoxFuture<'a, Result<(), Failure>> {
        Box::pin(async move {
            let answer = crate::world::named("payment.success", event.subject, 1);
            Outbox::append_in_tx(tx, &[answer]).await?;
            match self.tries.fetch_add(1, Ordering::SeqCst) {
                0 => Err(Failure::Retry("not at once".to_owned())),
                _ => Ok(()),
            }
        })
    }
}
