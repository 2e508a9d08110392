//! How other processes learn that a session ended: at once by the broker, and by polling without one.

use std::time::Duration;

use messaging::{Broker, BrokerConfig, Bus, RabbitMq, revocations};
use proto::user::v1::RevokeSessionRequest;
use runtime::{Sessions, Stop, sessions::TokenConfig};
use tokio_util::sync::DropGuard;

use crate::support::{Member, World};

/// Within which time a revocation is known "at once": far more than a broker needs, on a busy machine too.
const AT_ONCE: Duration = Duration::from_secs(5);
/// How often processes poll, and a margin for the answer.
const BY_POLLING: Duration = Duration::from_millis(2_000 + 2_000);

/// The sessions of another process. It knows the keys, and asks nobody what was revoked.
fn elsewhere(world: &World) -> Sessions {
    let config = TokenConfig { token_issuer: "portico".into(), token_audience: "portico".into() };
    let sessions = Sessions::new(&config, world.clock.clone());
    sessions.set_keys(world.service.sessions.keys());
    sessions.set_loaded();
    sessions
}

/// Lets the service tell its events to `here`, and `sessions` hear of revocations `there`, until it is dropped.
fn connected(world: &World, here: Broker, there: Broker, sessions: &Sessions) -> DropGuard {
    let stop = Stop::new();
    let app = &world.service.app;
    tokio::spawn(here.serve(app.outbox(), app.consumers(), stop.clone()));
    tokio::spawn(revocations::follow(there, sessions.clone(), stop.clone()));
    stop.drop_guard()
}

async fn log_out(world: &World, member: &Member) {
    world.client().revoke_session(member.request(RevokeSessionRequest {})).await.unwrap();
}

/// Whether `sessions` refuse the member's token within this time.
async fn refuse(sessions: &Sessions, member: &Member, within: Duration) -> bool {
    let refused = async {
        while let Ok(_viewer) = sessions.viewer(&member.tokens.access_token).await {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        sessions.viewer(&member.tokens.access_token).await.unwrap_err()
    };
    let refused = tokio::time::timeout(within, refused).await;
    refused.is_ok_and(|refusal| refusal.reason == "SESSION_REVOKED")
}

#[tokio::test]
async fn the_bus_tells_it_at_once_to_all_who_do_not_share_the_services_sessions() {
    let world = World::new().await;
    let (ada, bob) = (world.register("ada@example.com").await, world.register("bob@example.com").await);
    let sessions = elsewhere(&world);
    let broker = Broker::from(Bus::new(vec![]));
    let _connected = connected(&world, broker.clone(), broker, &sessions);
    assert!(sessions.viewer(&ada.tokens.access_token).await.is_ok());
    log_out(&world, &ada).await;
    assert!(refuse(&sessions, &ada, AT_ONCE).await);
    assert!(sessions.viewer(&bob.tokens.access_token).await.is_ok());
}

#[tokio::test]
async fn rabbitmq_tells_it_at_once_to_other_processes() {
    let (world, vhost) = (World::new().await, testkit::Broker::new().await);
    let ada = world.register("ada@example.com").await;
    let sessions = elsewhere(&world);
    let config = BrokerConfig::at(vhost.url());
    let [here, there] = ["user", "elsewhere"].map(|name| Broker::from(RabbitMq::new(&config, name).unwrap()));
    let _connected = connected(&world, here, there, &sessions);
    // Until it listens it may miss some.
    let mut heard = false;
    for number in 0..50 {
        let first = world.register(&format!("first-{number}@example.com")).await;
        log_out(&world, &first).await;
        heard = refuse(&sessions, &first, AT_ONCE / 25).await;
        if heard {
            break;
        }
    }
    assert!(heard, "it never listened");
    assert!(sessions.viewer(&ada.tokens.access_token).await.is_ok());
    log_out(&world, &ada).await;
    assert!(refuse(&sessions, &ada, AT_ONCE).await);
}

#[tokio::test]
async fn with_the_broker_down_the_next_poll_tells_it() {
    let world = World::new().await;
    let ada = world.register("ada@example.com").await;
    let sessions = elsewhere(&world);
    // Port 9 is "discard": nobody is there.
    let config = BrokerConfig::at("amqp://127.0.0.1:9/%2f");
    let [here, there] = ["user", "elsewhere"].map(|name| Broker::from(RabbitMq::new(&config, name).unwrap()));
    let _connected = connected(&world, here, there, &sessions);
    let stop = Stop::new();
    tokio::spawn(sessions.clone().follow(world.service.app.transport(), stop.clone()));
    let _polling = stop.drop_guard();
    assert!(sessions.viewer(&ada.tokens.access_token).await.is_ok());
    log_out(&world, &ada).await;
    assert!(refuse(&sessions, &ada, BY_POLLING).await);
}
