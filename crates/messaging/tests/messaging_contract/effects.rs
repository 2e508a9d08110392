//! Each event has one effect in each consumer's database.

use std::sync::Arc;

use messaging::Consumer;
use uuid::Uuid;

use crate::world::{World, event, events, named};

on_both_brokers![
    each_event_reaches_each_consumer,
    an_event_that_is_told_twice_has_one_effect,
    the_events_of_an_aggregate_all_have_their_effect,
    a_consumer_gets_only_what_it_wants,
];

async fn each_event_reaches_each_consumer(world: World) {
    let consumers: Vec<Arc<dyn Consumer>> =
        vec![Arc::new(world.consumer("first")), Arc::new(world.consumer("second"))];
    let _service = world.serve(consumers);
    world.until_declared(&["first", "second"]).await;

    world.say(&events(50)).await;

    world.until_effects("first", 50).await;
    world.until_effects("second", 50).await;
}

async fn an_event_that_is_told_twice_has_one_effect(world: World) {
    let consumer = Arc::new(world.consumer("orders"));
    let _service = world.serve(vec![consumer.clone()]);
    world.say(&events(10)).await;
    world.until_effects("orders", 10).await;

    world.tell_again().await;
    // A few more, which come after those.
    world.say(&events(10)).await;

    world.until_effects("orders", 20).await;
    assert_eq!(consumer.calls(), 20);
}

async fn the_events_of_an_aggregate_all_have_their_effect(world: World) {
    let _service = world.serve(vec![Arc::new(world.consumer("orders"))]);
    let order = Uuid::now_v7();

    world.say(&(1..=30).map(|sequence| event(order, sequence)).collect::<Vec<_>>()).await;

    world.until_effects("orders", 30).await;
}

async fn a_consumer_gets_only_what_it_wants(world: World) {
    let consumer = Arc::new(world.consumer("orders"));
    let _service = world.serve(vec![consumer.clone()]);

    world.say(&[named("order.deleted", Uuid::now_v7(), 1), event(Uuid::now_v7(), 1)]).await;

    world.until_effects("orders", 1).await;
    assert_eq!(consumer.calls(), 1);
}
