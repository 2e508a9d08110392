//! What becomes of events that a consumer can't handle.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use messaging::{CloudEvent, Consumer, Failure};
use uuid::Uuid;

use crate::world::{World, event, events};

on_both_brokers![
    a_failure_that_passes_leaves_one_effect,
    a_failure_that_stays_rests_with_its_reason_and_holds_up_no_other,
    a_rejected_event_rests_at_its_first_try,
    a_handler_that_panics_ends_nothing_else,
    a_consumer_that_fails_is_no_trouble_to_another,
    a_database_that_is_away_holds_its_events_and_none_rests,
];

async fn a_failure_that_passes_leaves_one_effect(world: World) {
    let tries = AtomicUsize::new(0);
    let consumer =
        Arc::new(world.consumer("orders").that(move |_| match tries.fetch_add(1, Ordering::SeqCst) {
            0 | 1 => Err(Failure::Retry("the other row is not there yet".to_owned())),
            _ => Ok(()),
        }));
    let _service = world.serve(vec![consumer.clone()]);

    world.say(&events(1)).await;

    world.until_effects("orders", 1).await;
    assert_eq!(consumer.calls(), 3);
    assert_eq!(world.dead_letters_of("orders").await, []);
}

async fn a_failure_that_stays_rests_with_its_reason_and_holds_up_no_other(world: World) {
    let bad = event(Uuid::now_v7(), 1);
    let id = bad.id;
    let consumer = Arc::new(world.consumer("orders").that(move |event| match event.id == id {
        true => Err(Failure::Retry("no such order".to_owned())),
        false => Ok(()),
    }));
    let _service = world.serve(vec![consumer.clone()]);

    world.say(&[vec![bad.clone()], events(20)].concat()).await;

    world.until_effects("orders", 20).await;
    let dead = world.until_dead("orders", 1).await.remove(0);
    assert_eq!((dead.consumer.as_str(), dead.id), ("orders", bad.id.to_string()));
    assert_eq!((dead.name.as_deref(), dead.tries), (Some("order.created"), 3));
    assert_eq!(dead.reason, "no such order (tried 3 times)");
    let age = chrono::Utc::now() - dead.died_at.unwrap();
    assert!(age.num_seconds().abs() < 60, "{age}");
    let message: CloudEvent = serde_json::from_str(&dead.message).unwrap();
    assert_eq!((message.id, message.data), (bad.id, bad.data));
    assert_eq!(consumer.calls(), 23);
}

async fn a_rejected_event_rests_at_its_first_try(world: World) {
    let consumer =
        Arc::new(world.consumer("orders").that(|_| Err(Failure::Reject("it names no currency".to_owned()))));
    let _service = world.serve(vec![consumer.clone()]);

    world.say(&events(1)).await;

    let dead = world.until_dead("orders", 1).await;
    assert_eq!((dead[0].reason.as_str(), dead[0].tries), ("it names no currency", 1));
    assert_eq!(consumer.calls(), 1);
    world.until_effects("orders", 0).await;
}

async fn a_handler_that_panics_ends_nothing_else(world: World) {
    let bad = Uuid::now_v7();
    let consumer = world.consumer("orders").that(move |event| {
        assert!(event.subject != bad, "an order without items");
        Ok(())
    });
    let _service = world.serve(vec![Arc::new(consumer)]);

    world.say(&[vec![event(bad, 1)], events(5)].concat()).await;

    world.until_effects("orders", 5).await;
    let dead = world.until_dead("orders", 1).await;
    assert_eq!(dead[0].reason, "it panicked: an order without items (tried 3 times)");
}

async fn a_consumer_that_fails_is_no_trouble_to_another(world: World) {
    let bad = world.consumer("bad").that(|_| Err(Failure::Retry("not today".to_owned())));
    let consumers: Vec<Arc<dyn Consumer>> = vec![Arc::new(bad), Arc::new(world.consumer("good"))];
    let _service = world.serve(consumers);
    world.until_declared(&["bad", "good"]).await;

    world.say(&events(10)).await;

    world.until_effects("good", 10).await;
    world.until_dead("bad", 10).await;
    assert_eq!(world.dead_letters_of("good").await, []);
}

async fn a_database_that_is_away_holds_its_events_and_none_rests(world: World) {
    let elsewhere = World::in_process().await;
    let consumer = Arc::new(elsewhere.consumer("payments"));
    elsewhere.execute("ALTER TABLE inbox RENAME TO away").await;
    let _service = world.serve(vec![consumer.clone()]);
    world.say(&events(1)).await;
    // Far longer than three tries take.
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(consumer.calls(), 0);

    elsewhere.execute("ALTER TABLE away RENAME TO inbox").await;
    elsewhere.until_effects("payments", 1).await;
    // And while the consumer is at work.
    elsewhere.execute("ALTER TABLE inbox RENAME TO away").await;
    world.say(&events(10)).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(consumer.calls(), 1);

    elsewhere.execute("ALTER TABLE away RENAME TO inbox").await;
    elsewhere.until_effects("payments", 11).await;
    assert_eq!(elsewhere.dead_letters_of("payments").await, []);
    assert_eq!(world.dead_letters_of("payments").await, []);
}
