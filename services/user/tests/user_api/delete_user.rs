//! DeleteUser.

use runtime::Kind;
use uuid::Uuid;

use crate::support::{PASSWORD, World};

#[tokio::test]
async fn deleting_oneself_ends_all_sessions_and_frees_the_email() {
    let world = World::new().await;
    let ada = world.register("ada@example.com").await;
    let elsewhere = world.login("ada@example.com", PASSWORD).await.unwrap();
    world.delete(&ada, &ada.user.id).await.unwrap();
    assert!(!world.is_signed_in(&ada).await);
    assert!(!world.is_signed_in(&elsewhere).await);
    assert_eq!(world.login("ada@example.com", PASSWORD).await.unwrap_err().reason, "INVALID_CREDENTIALS");

    let next = world.register("Ada@example.com").await;
    assert_ne!(next.user.id, ada.user.id);
    world.login("ada@example.com", PASSWORD).await.unwrap();

    let events = world.events("user.deleted").await;
    let [(subject, 2, data)] = events.as_slice() else { panic!("{events:?}") };
    assert_eq!((subject, &data["userId"]), (&ada.user.id, &ada.user.id.clone().into()));
    assert_eq!(world.events("session.revoked").await.len(), 2);
}

#[tokio::test]
async fn an_admin_deletes_anyone_and_once() {
    let world = World::new().await;
    let admin = world.admin("root@example.com").await;
    let ada = world.register("ada@example.com").await;
    world.delete(&admin, &ada.user.id).await.unwrap();
    let refusal = world.delete(&admin, &ada.user.id).await.unwrap_err();
    assert_eq!(refusal.kind, Kind::NotFound);
    assert_eq!(world.events("user.deleted").await.len(), 1);
}

#[tokio::test]
async fn another_account_does_not_exist_for_a_customer() {
    let world = World::new().await;
    let (ada, bob) = (world.register("ada@example.com").await, world.register("bob@example.com").await);
    let missing = world.delete(&ada, &Uuid::now_v7().to_string()).await.unwrap_err();
    assert_eq!(missing.kind, Kind::NotFound);
    for id in [&*bob.user.id, "not-a-uuid"] {
        assert_eq!(world.delete(&ada, id).await.unwrap_err(), missing);
    }
    assert!(world.is_signed_in(&bob).await);
}

#[tokio::test]
async fn the_last_active_admin_is_not_deleted() {
    let world = World::new().await;
    let admin = world.admin("root@example.com").await;
    let refusal = world.delete(&admin, &admin.user.id).await.unwrap_err();
    assert_eq!((refusal.kind, &*refusal.reason), (Kind::FailedPrecondition, "LAST_ADMIN"));
    world.admin("second@example.com").await;
    world.delete(&admin, &admin.user.id).await.unwrap();
}
