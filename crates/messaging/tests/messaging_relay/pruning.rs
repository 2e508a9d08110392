//! What is done with is deleted after its time.

use std::sync::Arc;

use chrono::{TimeDelta, Utc};
use messaging::{Bus, Failure};
use uuid::Uuid;

use crate::world::{World, event};

#[tokio::test]
async fn told_rows_are_deleted_after_a_day_and_waiting_ones_never() {
    let world = World::new().await;
    let waits = Uuid::now_v7();
    let consumer = world.consumer("orders").that(move |event| match event.subject == waits {
        true => Err(Failure::Retry("never".to_owned())),
        false => Ok(()),
    });
    world.say(&[event(Uuid::now_v7(), 1), event(waits, 1), event(Uuid::now_v7(), 1)]).await;
    world.outbox.relay_once(&Bus::new(vec![Arc::new(consumer)]).into()).await.unwrap();

    assert_eq!(world.outbox.prune(Utc::now() + TimeDelta::hours(23)).await.unwrap(), 0);
    assert_eq!(world.outbox.prune(Utc::now() + TimeDelta::hours(25)).await.unwrap(), 2);

    let left: Vec<Uuid> =
        sqlx::query_scalar("SELECT subject FROM outbox").fetch_all(world.pool()).await.unwrap();
    assert_eq!(left, [waits]);
}

#[tokio::test]
async fn a_row_that_was_told_late_is_kept_for_a_day_from_then() {
    let world = World::new().await;
    world.say(&[event(Uuid::now_v7(), 1)]).await;
    world.execute("UPDATE outbox SET published_at = now() + interval '48 hours'").await;

    assert_eq!(world.outbox.prune(Utc::now() + TimeDelta::hours(71)).await.unwrap(), 0);
    assert_eq!(world.outbox.prune(Utc::now() + TimeDelta::hours(73)).await.unwrap(), 1);
}

#[tokio::test]
async fn inbox_rows_are_deleted_after_a_month() {
    let world = World::new().await;
    let bus = Bus::new(vec![Arc::new(world.consumer("first")), Arc::new(world.consumer("second"))]);
    world.say(&[event(Uuid::now_v7(), 1)]).await;
    world.outbox.relay_once(&bus.clone().into()).await.unwrap();

    assert_eq!(bus.prune(Utc::now() + TimeDelta::days(29)).await.unwrap(), 0);
    assert_eq!(bus.prune(Utc::now() + TimeDelta::days(31)).await.unwrap(), 2);
    assert_eq!(world.count("SELECT count(*) FROM inbox").await, 0);
}

#[tokio::test]
async fn more_rows_than_one_statement_deletes_are_all_deleted() {
    let world = World::new().await;
    let events: Vec<_> = (0..10_001).map(|_| event(Uuid::now_v7(), 1)).collect();
    world.say(&events).await;
    world.execute("UPDATE outbox SET published_at = now()").await;

    assert_eq!(world.outbox.prune(Utc::now() + TimeDelta::hours(25)).await.unwrap(), 10_001);
}
