//! `session.revoked` ends a session at once, without waiting for the poll.

use chrono::Utc;
use messaging::{Event, revocations};
use proto::user::v1::SessionRevoked;
use runtime::{Clock, Stop};
use secrecy::ExposeSecret;
use serde_json::json;
use testkit::{Tokens, until};
use uuid::Uuid;

use crate::world::{World, named};

on_both_brokers![a_revoked_session_ends_at_once, a_revocation_that_can_not_be_read_ends_nothing_else];

async fn a_revoked_session_ends_at_once(world: World) {
    let tokens = Tokens::new();
    let sessions = tokens.sessions(&Clock::system());
    let (ends, stays) = (tokens.customer(), tokens.customer());
    let broker = world.broker(vec![]);
    let stop = Stop::new();
    let following = tokio::spawn(revocations::follow(broker.clone(), sessions.clone(), stop.clone()));
    let _service = world.serve_on(broker, vec![]);
    sessions.viewer(ends.token.expose_secret()).await.unwrap();

    until("it is revoked", async || {
        // Again and again: it may not listen yet.
        world.say(&[revoked(&ends)]).await;
        sessions.viewer(ends.token.expose_secret()).await.is_err()
    })
    .await;

    sessions.viewer(stays.token.expose_secret()).await.unwrap();
    stop.cancel();
    following.await.unwrap();
}

async fn a_revocation_that_can_not_be_read_ends_nothing_else(world: World) {
    let tokens = Tokens::new();
    let sessions = tokens.sessions(&Clock::system());
    let caller = tokens.customer();
    let broker = world.broker(vec![]);
    let _following = tokio::spawn(revocations::follow(broker.clone(), sessions.clone(), Stop::new()));
    let _service = world.serve_on(broker, vec![]);
    let mut nonsense = named("session.revoked", Uuid::now_v7(), 1);
    nonsense.data = json!({ "sessionId": "all of them" });

    until("it is revoked", async || {
        world.say(&[nonsense_again(&nonsense), revoked(&caller)]).await;
        sessions.viewer(caller.token.expose_secret()).await.is_err()
    })
    .await;
}

fn nonsense_again(nonsense: &Event) -> Event {
    Event { id: Uuid::now_v7(), ..nonsense.clone() }
}

fn revoked(caller: &testkit::Caller) -> Event {
    let session = caller.viewer.session_id;
    let message = SessionRevoked {
        session_id: session.to_string(),
        user_id: caller.viewer.user_id.to_string(),
        revoked_at: Some(Utc::now().into()),
    };
    Event::of(&message, session.0, 1, Utc::now()).unwrap()
}
