//! What can be done with dead letters.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use messaging::{Failure, dead_letters::Which};
use testkit::until;

use crate::{
    recorder::Recorder,
    world::{World, events, of},
};

on_both_brokers![
    a_redriven_event_is_handled_again,
    one_that_is_redriven_in_vain_rests_again,
    only_those_that_are_meant_are_redriven,
    a_redriven_event_is_tried_as_often_as_a_new_one,
    what_is_deleted_never_comes_again,
    looking_changes_nothing,
    a_consumer_that_never_ran_has_none,
];

/// A consumer that rejects all while the gate is shut.
fn gated(world: &World) -> (Arc<Recorder>, Arc<AtomicBool>) {
    let open = Arc::new(AtomicBool::new(false));
    let gate = open.clone();
    let consumer = world.consumer("orders").that(move |_| match gate.load(Ordering::SeqCst) {
        true => Ok(()),
        false => Err(Failure::Reject("the gate is shut".to_owned())),
    });
    (Arc::new(consumer), open)
}

async fn a_redriven_event_is_handled_again(world: World) {
    let (consumer, open) = gated(&world);
    let _service = world.serve(vec![consumer.clone()]);
    world.say(&events(5)).await;
    world.until_dead("orders", 5).await;

    open.store(true, Ordering::SeqCst);
    assert_eq!(world.dead_letters().redrive(&of("orders")).await.unwrap(), 5);

    world.until_effects("orders", 5).await;
    world.until_dead("orders", 0).await;
    assert_eq!((consumer.calls(), world.dead_letters().redrive(&of("orders")).await.unwrap()), (10, 0));
}

async fn one_that_is_redriven_in_vain_rests_again(world: World) {
    let (consumer, _shut) = gated(&world);
    let _service = world.serve(vec![consumer.clone()]);
    world.say(&events(1)).await;
    let before = world.until_dead("orders", 1).await;

    assert_eq!(world.dead_letters().redrive(&of("orders")).await.unwrap(), 1);

    until("it is tried again", async || consumer.calls() == 2).await;
    let after = world.until_dead("orders", 1).await;
    assert_eq!((&after[0].id, &after[0].reason), (&before[0].id, &before[0].reason));
}

async fn only_those_that_are_meant_are_redriven(world: World) {
    let (consumer, open) = gated(&world);
    let _service = world.serve(vec![consumer]);
    let said = events(3);
    world.say(&said).await;
    world.until_dead("orders", 3).await;
    open.store(true, Ordering::SeqCst);

    let other = Which { consumer: Some("orders".to_owned()), id: Some(uuid::Uuid::now_v7().to_string()) };
    assert_eq!(world.dead_letters().redrive(&other).await.unwrap(), 0);
    let one = Which { id: Some(said[1].id.to_string()), ..other };
    assert_eq!(world.dead_letters().redrive(&one).await.unwrap(), 1);

    world.until_effects("orders", 1).await;
    let mut rest: Vec<_> = world.until_dead("orders", 2).await.into_iter().map(|letter| letter.id).collect();
    rest.sort();
    assert_eq!(rest, [said[0].id.to_string(), said[2].id.to_string()]);
}

async fn a_redriven_event_is_tried_as_often_as_a_new_one(world: World) {
    let consumer =
        Arc::new(world.consumer("orders").that(|_| Err(Failure::Retry("no such order".to_owned()))));
    let _service = world.serve(vec![consumer.clone()]);
    world.say(&events(1)).await;
    world.until_dead("orders", 1).await;
    assert_eq!(consumer.calls(), 3);

    world.dead_letters().redrive(&of("orders")).await.unwrap();

    until("it is tried again", async || consumer.calls() == 6).await;
    let dead = world.until_dead("orders", 1).await;
    assert_eq!((dead[0].tries, dead[0].reason.as_str()), (3, "no such order (tried 3 times)"));
}

async fn what_is_deleted_never_comes_again(world: World) {
    let (consumer, open) = gated(&world);
    let _service = world.serve(vec![consumer.clone()]);
    let said = events(2);
    world.say(&said).await;
    world.until_dead("orders", 2).await;
    open.store(true, Ordering::SeqCst);

    let one = Which { consumer: Some("orders".to_owned()), id: Some(said[0].id.to_string()) };
    assert_eq!(world.dead_letters().delete(&one).await.unwrap(), 1);

    let rest = world.until_dead("orders", 1).await;
    assert_eq!(rest[0].id, said[1].id.to_string());
    assert_eq!(world.dead_letters().redrive(&one).await.unwrap(), 0);
    assert_eq!(world.dead_letters().delete(&of("orders")).await.unwrap(), 1);
    assert_eq!(world.dead_letters().redrive(&of("orders")).await.unwrap(), 0);
    assert_eq!(consumer.calls(), 2);
}

async fn looking_changes_nothing(world: World) {
    let (consumer, open) = gated(&world);
    let _service = world.serve(vec![consumer]);
    world.say(&events(3)).await;
    let first = world.until_dead("orders", 3).await;

    for _ in 0..30 {
        assert_eq!(world.dead_letters_of("orders").await, first);
    }
    assert_eq!(world.dead_letters().list(&of("orders"), 2).await.unwrap(), first[..2]);

    open.store(true, Ordering::SeqCst);
    world.dead_letters().redrive(&of("orders")).await.unwrap();
    world.until_effects("orders", 3).await;
}

async fn a_consumer_that_never_ran_has_none(world: World) {
    let nobody = of("nobody");
    assert_eq!(world.dead_letters().list(&nobody, 10).await.unwrap(), []);
    assert_eq!(world.dead_letters().redrive(&nobody).await.unwrap(), 0);
    assert_eq!(world.dead_letters().delete(&Which::default()).await.unwrap(), 0);
}
