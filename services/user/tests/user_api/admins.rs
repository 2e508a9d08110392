//! How the first admin and the demonstration's users come to be, without an RPC.

use identity::Role;
use runtime::Kind;

use crate::support::{OTHER_PASSWORD, PASSWORD, World};

#[tokio::test]
async fn an_admin_is_made_with_a_strong_password_and_is_told_as_user_created() {
    let world = World::new().await;
    let app = &world.service.app;
    app.create_admin("root@example.com", PASSWORD.into()).await.unwrap();
    let root = world.login("root@example.com", PASSWORD).await.unwrap();
    assert_eq!(root.claim("role"), "ADMIN");
    assert_eq!(world.events("user.created").await.len(), 1);
    for (email, password, reason) in [
        ("nonsense", PASSWORD, "EMAIL_INVALID"),
        ("two@example.com", "password123", "PASSWORD_TOO_WEAK"),
        ("two@example.com", "short", "PASSWORD_TOO_SHORT"),
    ] {
        assert_eq!(app.create_admin(email, password.into()).await.unwrap_err().reason, reason);
    }
}

#[tokio::test]
async fn an_account_that_exists_is_neither_promoted_nor_given_a_password_by_making_an_admin() {
    let world = World::new().await;
    let ada = world.register("ada@example.com").await;
    let refusal = world.service.app.create_admin("ADA@example.com", OTHER_PASSWORD.into()).await.unwrap_err();
    assert_eq!((refusal.kind, &*refusal.reason), (Kind::Conflict, "EMAIL_TAKEN"));
    assert!(world.is_signed_in(&ada).await);
    assert_eq!(world.login("ada@example.com", PASSWORD).await.unwrap().claim("role"), "CUSTOMER");
}

#[tokio::test]
async fn an_account_that_exists_is_promoted_by_its_email_and_keeps_its_password() {
    let world = World::new().await;
    let ada = world.register("ada@example.com").await;
    world.service.app.promote_admin("ADA@example.com").await.unwrap();
    assert!(!world.is_signed_in(&ada).await);
    assert_eq!(world.login("ada@example.com", PASSWORD).await.unwrap().claim("role"), "ADMIN");
    world.service.app.promote_admin("ada@example.com").await.unwrap();
    let refusal = world.service.app.promote_admin("nobody@example.com").await.unwrap_err();
    assert_eq!(refusal.kind, Kind::NotFound);
}

#[tokio::test]
async fn a_demonstration_user_is_made_once_with_a_password_however_weak() {
    let world = World::new().await;
    let app = &world.service.app;
    let seed = || app.seed_user("demo@example.com", "demo".into(), "Demo", "User", Role::Customer);
    assert!(seed().await.unwrap());
    let demo = world.login("demo@example.com", "demo").await.unwrap();
    assert!(!seed().await.unwrap());
    assert!(world.is_signed_in(&demo).await);
    assert_eq!(world.count("users").await, 1);
    assert!(app.seed_user("nonsense", "demo".into(), "Demo", "User", Role::Admin).await.is_err());
}
