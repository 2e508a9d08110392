//! RefreshSession: the family of tokens that descend from one sign-in.

use std::time::Duration;

use runtime::Kind;

use crate::support::{PASSWORD, World};

const DAY: Duration = Duration::from_secs(24 * 3600);
const GRACE: Duration = Duration::from_secs(30);

#[tokio::test]
async fn a_refresh_token_is_exchanged_for_its_successor_and_a_new_access_token_of_the_same_session() {
    let world = World::new().await;
    let ada = world.register("ada@example.com").await;
    world.clock.advance(Duration::from_secs(16 * 60));
    assert_eq!(world.get(&ada, &ada.user.id).await.unwrap_err().reason, "TOKEN_EXPIRED");

    let again = world.refresh(&ada.tokens.refresh_token).await.unwrap();
    assert_ne!(again.tokens.refresh_token, ada.tokens.refresh_token);
    assert_ne!(again.tokens.access_token, ada.tokens.access_token);
    assert_eq!(again.claim("sid"), ada.claim("sid"));
    assert_eq!(again.user, ada.user);
    assert!(world.is_signed_in(&again).await);
    let third = world.refresh(&again.tokens.refresh_token).await.unwrap();
    assert!(world.is_signed_in(&third).await);
}

#[tokio::test]
async fn a_retry_within_thirty_seconds_gets_the_same_successor() {
    let world = World::new().await;
    let ada = world.register("ada@example.com").await;
    let first = world.refresh(&ada.tokens.refresh_token).await.unwrap();
    world.clock.advance(GRACE - Duration::from_secs(2));
    let second = world.refresh(&ada.tokens.refresh_token).await.unwrap();
    assert_eq!(second.tokens.refresh_token, first.tokens.refresh_token);
    assert_ne!(second.claim("jti"), first.claim("jti"));
    assert!(world.is_signed_in(&second).await);
    assert_eq!(world.count("refresh_tokens").await, 2);
}

#[tokio::test]
async fn refreshing_at_the_same_time_gives_everyone_the_same_successor() {
    let world = World::new().await;
    let ada = world.register("ada@example.com").await;
    let refreshes = (0..12).map(|_| world.refresh(&ada.tokens.refresh_token));
    let members = futures::future::join_all(refreshes).await;
    let successor = &members[0].as_ref().unwrap().tokens.refresh_token;
    assert!(members.iter().all(|member| &member.as_ref().unwrap().tokens.refresh_token == successor));
    assert_eq!(world.count("refresh_tokens").await, 2);
    assert!(world.refresh(successor).await.is_ok());
}

#[tokio::test]
async fn a_token_used_again_after_its_successor_was_used_ends_the_whole_family() {
    let world = World::new().await;
    let ada = world.register("ada@example.com").await;
    let elsewhere = world.login("ada@example.com", PASSWORD).await.unwrap();
    let second = world.refresh(&ada.tokens.refresh_token).await.unwrap();
    let third = world.refresh(&second.tokens.refresh_token).await.unwrap();

    let refusal = world.refresh(&ada.tokens.refresh_token).await.unwrap_err();
    assert_eq!((refusal.kind, &*refusal.reason), (Kind::Unauthenticated, "REFRESH_TOKEN_REUSED"));
    for member in [&ada, &second, &third] {
        assert!(!world.is_signed_in(member).await);
        let refusal = world.refresh(&member.tokens.refresh_token).await.unwrap_err();
        assert_eq!((refusal.kind, &*refusal.reason), (Kind::Unauthenticated, "REFRESH_TOKEN_INVALID"));
    }
    assert!(world.is_signed_in(&elsewhere).await);

    let events = world.events("session.revoked").await;
    let [(subject, sequence, data)] = events.as_slice() else { panic!("{events:?}") };
    assert_eq!((subject.as_str(), *sequence), (ada.claim("sid").as_str().unwrap(), 2));
    assert_eq!((&data["sessionId"], &data["userId"]), (&ada.claim("sid"), &ada.user.id.clone().into()));
}

#[tokio::test]
async fn a_token_used_again_after_the_grace_ends_the_family_too() {
    let world = World::new().await;
    let ada = world.register("ada@example.com").await;
    let second = world.refresh(&ada.tokens.refresh_token).await.unwrap();
    world.clock.advance(GRACE + Duration::from_secs(1));
    let refusal = world.refresh(&ada.tokens.refresh_token).await.unwrap_err();
    assert_eq!(refusal.reason, "REFRESH_TOKEN_REUSED");
    assert!(!world.is_signed_in(&second).await);
    assert_eq!(
        world.refresh(&second.tokens.refresh_token).await.unwrap_err().reason,
        "REFRESH_TOKEN_INVALID"
    );
}

#[tokio::test]
async fn a_session_lives_while_it_is_used_but_not_beyond_ninety_days() {
    let world = World::new().await;
    let mut member = world.register("ada@example.com").await;
    for _ in 0..4 {
        world.clock.advance(DAY * 22);
        member = world.refresh(&member.tokens.refresh_token).await.unwrap();
    }
    world.clock.advance(DAY * 2);
    let refusal = world.refresh(&member.tokens.refresh_token).await.unwrap_err();
    assert_eq!((refusal.kind, &*refusal.reason), (Kind::Unauthenticated, "SESSION_EXPIRED"));
}

#[tokio::test]
async fn a_session_ends_after_thirty_idle_days() {
    let world = World::new().await;
    let ada = world.register("ada@example.com").await;
    world.clock.advance(DAY * 30);
    let refusal = world.refresh(&ada.tokens.refresh_token).await.unwrap_err();
    assert_eq!((refusal.kind, &*refusal.reason), (Kind::Unauthenticated, "SESSION_EXPIRED"));
}

#[tokio::test]
async fn what_is_no_refresh_token_of_ours_is_refused() {
    let world = World::new().await;
    let ada = world.register("ada@example.com").await;
    let mut other = ada.tokens.refresh_token.clone();
    other.replace_range(0..1, if other.starts_with('A') { "B" } else { "A" });
    let long = "A".repeat(100_000);
    for token in ["", "rubbish", "\0", "🙈", &other, &long, &ada.tokens.access_token] {
        let refusal = world.refresh(token).await.unwrap_err();
        assert_eq!((refusal.kind, &*refusal.reason), (Kind::Unauthenticated, "REFRESH_TOKEN_INVALID"));
    }
    assert!(world.is_signed_in(&ada).await);
    assert!(world.refresh(&ada.tokens.refresh_token).await.is_ok());
}

#[tokio::test]
async fn the_new_access_token_names_what_the_account_is_now() {
    let world = World::new().await;
    let ada = world.register("ada@example.com").await;
    let request = proto::user::v1::UpdateUserRequest {
        user: Some(proto::user::v1::User { first_name: "Augusta".into(), ..ada.user.clone() }),
        update_mask: Some(pbjson_types::FieldMask { paths: vec!["first_name".into()] }),
    };
    world.client().update_user(ada.request(request)).await.unwrap();
    let again = world.refresh(&ada.tokens.refresh_token).await.unwrap();
    assert_eq!(again.user.first_name, "Augusta");
}
