//! What failed comes again after growing delays.

use std::{
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use messaging::{Failure, RabbitMq};
use testkit::until;

use crate::world::{World, config, event, run};

const DELAYS: [Duration; 3] =
    [Duration::from_millis(100), Duration::from_millis(400), Duration::from_millis(1000)];

#[tokio::test]
async fn the_delays_between_tries_grow() {
    let world = World::new().await;
    let tried: Arc<Mutex<Vec<Instant>>> = Arc::default();
    let times = tried.clone();
    let consumer = Arc::new(world.consumer("orders").that(move |_| {
        times.lock().unwrap().push(Instant::now());
        Err(Failure::Retry("not yet".to_owned()))
    }));
    let rabbitmq = RabbitMq::new(&config(&world.vhost.url()), "order").unwrap().retrying(&DELAYS);
    let _running = run(&rabbitmq, vec![consumer]);
    world.until_declared("orders").await;

    world.publish("order.created", event().to_string()).await;

    let dead = world.until_dead("orders", 1).await;
    assert_eq!((dead[0].tries, dead[0].reason.as_str()), (4, "not yet (tried 4 times)"));
    let tried = tried.lock().unwrap();
    let waited: Vec<_> = tried.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert_eq!(waited.len(), 3);
    // A clock of RabbitMQ's, in whole milliseconds.
    let least = |delay: &Duration| delay.saturating_sub(Duration::from_millis(5));
    assert!(waited.iter().zip(&DELAYS).all(|(waited, delay)| *waited >= least(delay)), "{waited:?}");
}

#[tokio::test]
async fn one_that_waits_holds_up_no_other() {
    let world = World::new().await;
    let consumer = Arc::new(world.consumer("orders").that(|event| match event.sequence() {
        Some(2) => Err(Failure::Retry("not yet".to_owned())),
        _ => Ok(()),
    }));
    let long = [Duration::from_secs(3600)];
    let rabbitmq = RabbitMq::new(&config(&world.vhost.url()), "order").unwrap().retrying(&long);
    let _running = run(&rabbitmq, vec![consumer]);
    world.until_declared("orders").await;

    for sequence in ["2", "2", "2", "2", "2", "2", "2", "2", "2", "2", "1"] {
        let event = crate::world::event_with("sequence", sequence.into());
        world.publish("order.created", event.to_string()).await;
    }

    world.until_effects("orders", 1).await;
    until("the others wait", async || world.ready("orders.retry.3600000").await == Some(10)).await;
}
