//! What RabbitMQ itself does with a message that is never answered, and what is forgotten in time.

use std::sync::Arc;

use lapin::options::BasicGetOptions;
use messaging::topology::DELIVERY_LIMIT;
use testkit::until;
use uuid::Uuid;

use crate::world::{World, event};

#[tokio::test]
async fn a_message_that_is_never_answered_rests_in_the_end() {
    let world = World::new().await;
    let consumer = Arc::new(world.consumer("orders"));
    world.consume(vec![consumer.clone()]).await.stop().await;
    let event = event();
    world.publish("order.created", event.to_string()).await;

    // As processes do that it kills.
    let mut handed_out = 0;
    until("it is handed out no more", async || {
        let channel = world.connection.create_channel().await.unwrap();
        let got = channel.basic_get("orders".into(), BasicGetOptions::default()).await.unwrap();
        channel.close(200, "OK".into()).await.unwrap();
        handed_out += u32::from(got.is_some());
        world.ready("orders.dead").await == Some(1)
    })
    .await;

    assert_eq!(handed_out, DELIVERY_LIMIT + 1);
    let dead = world.until_dead("orders", 1).await.remove(0);
    assert_eq!(dead.reason, "it was handed out again and again, and never answered");
    assert_eq!(
        (dead.id.as_str(), dead.name.as_deref()),
        (event["id"].as_str().unwrap(), Some("order.created"))
    );
    assert!(dead.died_at.is_some());
    assert_eq!(consumer.calls(), 0);
}

#[tokio::test]
async fn old_inbox_rows_are_pruned() {
    let world = World::new().await;
    sqlx::query(
        "INSERT INTO inbox (consumer, event_id, handled_at) VALUES ($1, $2, now() - interval '31 days')",
    )
    .bind("orders")
    .bind("019aa5b0-0000-7000-8000-000000000001".parse::<Uuid>().unwrap())
    .execute(world.pool())
    .await
    .unwrap();

    let _running = world.consume(vec![Arc::new(world.consumer("orders"))]).await;

    until("it is gone", async || {
        let rows: i64 =
            sqlx::query_scalar("SELECT count(*) FROM inbox").fetch_one(world.pool()).await.unwrap();
        rows == 0
    })
    .await;
}
