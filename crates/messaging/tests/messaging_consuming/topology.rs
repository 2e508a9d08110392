//! What must be there before anybody listens.

use std::sync::Arc;

use messaging::{
    Broker, Heard, RabbitMq,
    topology::{QUEUES, declare_all, definitions},
};

use crate::world::{World, config, event, run};

#[tokio::test]
async fn an_event_waits_for_a_consumer_that_has_never_run_though_others_hear_it() {
    let world = World::new().await;
    let config = config(&world.vhost.url());
    declare_all(&config).await.unwrap();
    declare_all(&config).await.unwrap();
    let rabbitmq = RabbitMq::new(&config, "payment").unwrap();
    let mut listener = Broker::from(rabbitmq.clone()).listen(&["order.created"]);
    assert!(matches!(listener.next().await, Heard::Anew));

    world.publish("order.created", event().to_string()).await;

    assert!(matches!(listener.next().await, Heard::Event(_)));
    let _running = run(&rabbitmq, vec![Arc::new(world.consumer("payment.order_created"))]);
    world.until_effects("payment.order_created", 1).await;
}

#[tokio::test]
async fn an_event_waits_for_a_consumer_in_the_queue_that_definitions_brought() {
    let world = World::new().await;
    world.vhost.load(&definitions(world.vhost.name())).await;
    world.publish("order.created", event().to_string()).await;

    // RabbitMQ refuses what differs from what is there.
    declare_all(&config(&world.vhost.url())).await.unwrap();
    let rabbitmq = RabbitMq::new(&config(&world.vhost.url()), "payment").unwrap();
    let _running = run(&rabbitmq, vec![Arc::new(world.consumer("payment.order_created"))]);

    world.until_effects("payment.order_created", 1).await;
}

#[tokio::test]
async fn all_queues_of_the_system_are_declared_with_theirs() {
    let world = World::new().await;
    declare_all(&config(&world.vhost.url())).await.unwrap();

    let mut names: Vec<_> = world.vhost.queues().await.into_iter().map(|(name, _)| name).collect();
    names.sort();

    let suffixes = ["", ".dead", ".retry.1000", ".retry.200", ".retry.20000", ".retry.5000", ".retry.60000"];
    let mut expected: Vec<_> = QUEUES
        .iter()
        .flat_map(|queue| suffixes.map(|suffix| format!("{}{suffix}", queue.consumer)))
        .collect();
    expected.sort();
    assert_eq!(names, expected);
}
