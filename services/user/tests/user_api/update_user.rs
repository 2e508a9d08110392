//! UpdateUser.

use std::time::Duration;

use pbjson_types::FieldMask;
use proto::user::v1::{UpdateUserRequest, User};
use runtime::Kind;
use uuid::Uuid;

use crate::support::{Member, Outcome, PASSWORD, World, fields, read};

async fn update(world: &World, caller: &Member, user: User, paths: &[&str]) -> Outcome<User> {
    let update_mask = Some(FieldMask { paths: paths.iter().map(|path| (*path).into()).collect() });
    let request = UpdateUserRequest { user: Some(user), update_mask };
    Ok(read(world.client().update_user(caller.request(request)).await)?.user.unwrap())
}

fn values(id: &str) -> User {
    User {
        id: id.into(),
        email: "countess@example.com".into(),
        first_name: "Augusta".into(),
        last_name: "King".into(),
        ..User::default()
    }
}

#[tokio::test]
async fn only_the_fields_that_the_mask_names_change() {
    let world = World::new().await;
    let ada = world.register("ada@example.com").await;
    world.clock.advance(Duration::from_secs(1));
    let user = update(&world, &ada, values(&ada.user.id), &["first_name"]).await.unwrap();
    assert!(user.updated_at.unwrap().seconds > ada.user.updated_at.unwrap().seconds);
    let expected = User { first_name: "Augusta".into(), updated_at: user.updated_at, ..ada.user.clone() };
    assert_eq!(user, expected);

    let user = update(&world, &ada, values(&ada.user.id), &["email", "last_name"]).await.unwrap();
    assert_eq!((&*user.email, &*user.last_name), ("countess@example.com", "King"));
    assert_eq!(world.get(&ada, &ada.user.id).await.unwrap(), user);
    world.login("countess@example.com", PASSWORD).await.unwrap();
    world.login("ada@example.com", PASSWORD).await.unwrap_err();
}

#[tokio::test]
async fn every_change_is_told_as_user_updated_with_the_next_sequence() {
    let world = World::new().await;
    let ada = world.register("ada@example.com").await;
    let changes = (0..4).map(|_| update(&world, &ada, values(&ada.user.id), &["first_name"]));
    futures::future::try_join_all(changes).await.unwrap();
    let events = world.events("user.updated").await;
    let mut sequences: Vec<_> = events.iter().map(|(_, sequence, _)| *sequence).collect();
    sequences.sort_unstable();
    assert_eq!(sequences, [2, 3, 4, 5]);
    assert_eq!(events[0].0, ada.user.id);
    assert_eq!(events[0].2["user"]["firstName"], "Augusta");
}

#[tokio::test]
async fn role_and_activity_are_not_changed_by_it() {
    let world = World::new().await;
    let ada = world.register("ada@example.com").await;
    for path in ["role", "active", "id", "password_hash", "firstName", "*", ""] {
        let refusal =
            update(&world, &ada, User { role: 2, ..values(&ada.user.id) }, &[path]).await.unwrap_err();
        assert_eq!((refusal.kind, &*refusal.reason), (Kind::BadInput, "UPDATE_MASK_INVALID"), "{path}");
    }
    let refusal = update(&world, &ada, values(&ada.user.id), &[]).await.unwrap_err();
    assert_eq!((&*refusal.reason, fields(&refusal)), ("UPDATE_MASK_INVALID", vec!["input"]));
    assert_eq!(world.get(&ada, &ada.user.id).await.unwrap(), ada.user);
}

#[tokio::test]
async fn bad_values_are_refused_together_and_change_nothing() {
    let world = World::new().await;
    let ada = world.register("ada@example.com").await;
    let bad =
        User { id: ada.user.id.clone(), email: "nonsense".into(), last_name: "\0".into(), ..User::default() };
    let refusal = update(&world, &ada, bad, &["email", "first_name", "last_name"]).await.unwrap_err();
    assert_eq!(
        (&*refusal.reason, fields(&refusal)),
        ("EMAIL_INVALID", vec!["email", "firstName", "lastName"])
    );
    assert_eq!(world.get(&ada, &ada.user.id).await.unwrap(), ada.user);
    assert!(world.events("user.updated").await.is_empty());
}

#[tokio::test]
async fn an_email_that_another_has_is_refused_and_ones_own_in_another_case_is_not() {
    let world = World::new().await;
    let (ada, _bob) = (world.register("ada@example.com").await, world.register("bob@example.com").await);
    let with = |email: &str| User { email: email.into(), ..values(&ada.user.id) };
    let refusal = update(&world, &ada, with("BOB@example.com"), &["email"]).await.unwrap_err();
    assert_eq!((refusal.kind, &*refusal.reason), (Kind::Conflict, "EMAIL_TAKEN"));
    let user = update(&world, &ada, with("ADA@example.com"), &["email"]).await.unwrap();
    assert_eq!(user.email, "ADA@example.com");
}

#[tokio::test]
async fn another_account_is_changed_by_an_admin_and_does_not_exist_for_a_customer() {
    let world = World::new().await;
    let admin = world.admin("root@example.com").await;
    let (ada, bob) = (world.register("ada@example.com").await, world.register("bob@example.com").await);
    let missing =
        update(&world, &ada, values(&Uuid::now_v7().to_string()), &["first_name"]).await.unwrap_err();
    assert_eq!(missing.kind, Kind::NotFound);
    for id in [&*bob.user.id, "not-a-uuid", ""] {
        let refusal = update(&world, &ada, values(id), &["first_name"]).await.unwrap_err();
        assert_eq!(refusal, missing, "{id}");
    }
    assert_eq!(world.get(&bob, &bob.user.id).await.unwrap(), bob.user);
    assert_eq!(
        update(&world, &admin, values(&bob.user.id), &["first_name"]).await.unwrap().first_name,
        "Augusta"
    );
    let refusal =
        update(&world, &admin, values(&Uuid::now_v7().to_string()), &["first_name"]).await.unwrap_err();
    assert_eq!(refusal, missing);
}
