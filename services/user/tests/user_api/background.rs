//! What runs beside the requests.

use std::time::Duration;

use proto::user::v1::RevokeSessionRequest;
use runtime::Stop;

use crate::support::World;

const DAY: Duration = Duration::from_secs(24 * 3600);

/// Runs the background jobs until `done` says so.
async fn work(world: &World, done: impl AsyncFn() -> bool) {
    let stop = Stop::new();
    let wait = async {
        while !done().await {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        stop.cancel();
    };
    let both = async { tokio::join!(world.service.app.background(stop.clone()), wait).0 };
    tokio::time::timeout(Duration::from_secs(10), both).await.unwrap().unwrap();
}

#[tokio::test]
async fn sessions_and_tokens_that_ended_long_ago_are_removed_and_others_stay() {
    let world = World::new().await;
    let idle = world.register("idle@example.com").await;
    world.clock.advance(DAY * 20);
    let mut live = world.register("live@example.com").await;
    let first = live.tokens.refresh_token.clone();
    world.clock.advance(DAY * 12);
    live = world.refresh(&live.tokens.refresh_token).await.unwrap();
    let out = world.register("out@example.com").await;
    world.client().revoke_session(out.request(RevokeSessionRequest {})).await.unwrap();
    assert_eq!((world.count("sessions").await, world.count("refresh_tokens").await), (3, 4));

    work(&world, async || world.count("sessions").await == 2).await;
    assert_eq!(world.refresh(&idle.tokens.refresh_token).await.unwrap_err().reason, "REFRESH_TOKEN_INVALID");
    world.clock.advance(DAY * 2);
    work(&world, async || world.count("sessions").await == 1).await;
    assert_eq!(world.count("refresh_tokens").await, 2);

    // A token that was exchanged is known for a month more.
    world.clock.advance(DAY * 27);
    live = world.refresh(&live.tokens.refresh_token).await.unwrap();
    world.clock.advance(DAY * 2);
    work(&world, async || world.count("refresh_tokens").await == 2).await;
    assert_eq!(world.refresh(&first).await.unwrap_err().reason, "REFRESH_TOKEN_INVALID");
    world.refresh(&live.tokens.refresh_token).await.unwrap();
}

#[tokio::test]
async fn a_new_key_is_made_in_time_though_nobody_asks_for_keys() {
    let world = World::new().await;
    world.clock.advance(DAY * 30);
    work(&world, async || world.count("signing_keys").await == 2).await;
}
