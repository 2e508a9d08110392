//! RevokeSession: logging out.

use proto::user::v1::RevokeSessionRequest;

use crate::support::{PASSWORD, Service, World, read};

#[tokio::test]
async fn logging_out_ends_the_session_at_once_and_no_other() {
    let world = World::new().await;
    let ada = world.register("ada@example.com").await;
    let elsewhere = world.login("ada@example.com", PASSWORD).await.unwrap();
    read(world.client().revoke_session(ada.request(RevokeSessionRequest {})).await).unwrap();
    assert!(!world.is_signed_in(&ada).await);
    assert_eq!(world.refresh(&ada.tokens.refresh_token).await.unwrap_err().reason, "REFRESH_TOKEN_INVALID");
    assert!(world.is_signed_in(&elsewhere).await);
    assert!(world.refresh(&elsewhere.tokens.refresh_token).await.is_ok());
}

#[tokio::test]
async fn it_is_told_as_session_revoked_once_also_when_two_log_out_at_the_same_time() {
    let world = World::new().await;
    let ada = world.register("ada@example.com").await;
    let revocations = (0..4).map(|_| {
        let (mut client, request) = (world.client(), ada.request(RevokeSessionRequest {}));
        async move { read(client.revoke_session(request).await) }
    });
    let outcomes = futures::future::join_all(revocations).await;
    // Those that come after the first was done are refused like everyone with that token.
    let refused = outcomes.iter().filter_map(|outcome| outcome.as_ref().err());
    assert!(
        outcomes.iter().any(Result::is_ok)
            && refused.clone().all(|refusal| refusal.reason == "SESSION_REVOKED")
    );
    let events = world.events("session.revoked").await;
    let [(subject, 2, data)] = events.as_slice() else { panic!("{events:?}") };
    assert_eq!(subject.as_str(), ada.claim("sid").as_str().unwrap());
    assert!(data["revokedAt"].is_string());
}

#[tokio::test]
async fn a_session_stays_revoked_when_the_service_starts_again() {
    let world = World::new().await;
    let ada = world.register("ada@example.com").await;
    let bob = world.register("bob@example.com").await;
    world.client().revoke_session(ada.request(RevokeSessionRequest {})).await.unwrap();

    let World { clock, service, database } = world;
    drop(service);
    let service = Service::start(&database, &clock, &[]).await;
    let world = World { clock, service, database };
    assert!(!world.is_signed_in(&ada).await);
    assert!(world.is_signed_in(&bob).await);
}
