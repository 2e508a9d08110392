//! SetUserActive.

use runtime::Kind;
use uuid::Uuid;

use crate::support::{PASSWORD, World};

#[tokio::test]
async fn deactivating_ends_all_sessions_and_activating_lets_the_user_sign_in_again() {
    let world = World::new().await;
    let admin = world.admin("root@example.com").await;
    let ada = world.register("ada@example.com").await;
    let elsewhere = world.login("ada@example.com", PASSWORD).await.unwrap();
    let user = world.set_active(&admin, &ada.user.id, false).await.unwrap();
    assert!(!user.active);
    for member in [&ada, &elsewhere] {
        assert!(!world.is_signed_in(member).await);
        let refusal = world.refresh(&member.tokens.refresh_token).await.unwrap_err();
        assert_eq!(refusal.reason, "REFRESH_TOKEN_INVALID");
    }
    assert_eq!(world.login("ada@example.com", PASSWORD).await.unwrap_err().reason, "INVALID_CREDENTIALS");
    assert_eq!(world.get(&admin, &ada.user.id).await.unwrap(), user);

    assert!(world.set_active(&admin, &ada.user.id, true).await.unwrap().active);
    assert!(!world.is_signed_in(&ada).await);
    world.login("ada@example.com", PASSWORD).await.unwrap();
    let events = world.events("user.updated").await;
    assert_eq!(events.iter().map(|(_, sequence, _)| *sequence).collect::<Vec<_>>(), [2, 3]);
    assert_eq!(world.events("session.revoked").await.len(), 2);
}

#[tokio::test]
async fn the_same_again_changes_nothing() {
    let world = World::new().await;
    let admin = world.admin("root@example.com").await;
    let ada = world.register("ada@example.com").await;
    world.set_active(&admin, &ada.user.id, false).await.unwrap();
    let before = world.footprint().await;
    world.set_active(&admin, &ada.user.id, false).await.unwrap();
    assert_eq!(world.footprint().await, before);
}

#[tokio::test]
async fn the_last_active_admin_stays_active_also_when_all_go_at_the_same_time() {
    let world = World::new().await;
    let admin = world.admin("root@example.com").await;
    let refusal = world.set_active(&admin, &admin.user.id, false).await.unwrap_err();
    assert_eq!((refusal.kind, &*refusal.reason), (Kind::FailedPrecondition, "LAST_ADMIN"));

    let second = world.admin("second@example.com").await;
    let (one, two) = tokio::join!(
        world.set_active(&admin, &second.user.id, false),
        world.set_active(&second, &admin.user.id, false)
    );
    assert!(one.is_ok() != two.is_ok(), "{one:?} {two:?}");
    assert_eq!(world.count("users WHERE active").await, 1);
}

#[tokio::test]
async fn it_is_for_admins_and_for_accounts_that_exist() {
    let world = World::new().await;
    let admin = world.admin("root@example.com").await;
    let ada = world.register("ada@example.com").await;
    assert_eq!(world.set_active(&ada, &admin.user.id, false).await.unwrap_err().kind, Kind::Forbidden);
    for id in [&*Uuid::now_v7().to_string(), "not-a-uuid"] {
        assert_eq!(world.set_active(&admin, id, false).await.unwrap_err().kind, Kind::NotFound);
    }
}
