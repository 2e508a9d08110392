//! SetUserRole.

use proto::user::v1::{Role, SetUserRoleRequest};
use runtime::Kind;
use uuid::Uuid;

use crate::support::{PASSWORD, World, fields, read};

#[tokio::test]
async fn a_new_role_ends_the_users_sessions_and_comes_with_the_next_login() {
    let world = World::new().await;
    let admin = world.admin("root@example.com").await;
    let ada = world.register("ada@example.com").await;
    let user = world.set_role(&admin, &ada.user.id, Role::Admin).await.unwrap();
    assert_eq!(user.role(), Role::Admin);
    assert!(!world.is_signed_in(&ada).await);
    assert_eq!(world.refresh(&ada.tokens.refresh_token).await.unwrap_err().reason, "REFRESH_TOKEN_INVALID");
    assert!(world.is_signed_in(&admin).await);

    let again = world.login("ada@example.com", PASSWORD).await.unwrap();
    assert_eq!(again.claim("role"), "ADMIN");
    assert!(world.get(&again, &admin.user.id).await.is_ok());
    let events = world.events("user.updated").await;
    let [(subject, 2, data)] = events.as_slice() else { panic!("{events:?}") };
    assert_eq!((subject, &data["user"]["role"]), (&ada.user.id, &"ROLE_ADMIN".into()));
    assert_eq!(world.events("session.revoked").await.len(), 1);
}

#[tokio::test]
async fn the_same_role_again_changes_nothing() {
    let world = World::new().await;
    let admin = world.admin("root@example.com").await;
    let ada = world.register("ada@example.com").await;
    let before = world.footprint().await;
    assert_eq!(world.set_role(&admin, &ada.user.id, Role::Customer).await.unwrap(), ada.user);
    assert!(world.is_signed_in(&ada).await);
    assert_eq!(world.footprint().await, before);
}

#[tokio::test]
async fn the_last_active_admin_keeps_the_role() {
    let world = World::new().await;
    let admin = world.admin("root@example.com").await;
    let second = world.admin("second@example.com").await;
    world.set_active(&admin, &second.user.id, false).await.unwrap();
    let refusal = world.set_role(&admin, &admin.user.id, Role::Customer).await.unwrap_err();
    assert_eq!((refusal.kind, &*refusal.reason), (Kind::FailedPrecondition, "LAST_ADMIN"));
    assert!(world.is_signed_in(&admin).await);
    // One that is not active is not the last active one.
    world.set_role(&admin, &second.user.id, Role::Customer).await.unwrap();
}

#[tokio::test]
async fn of_admins_who_all_step_down_at_the_same_time_one_stays() {
    let world = World::new().await;
    let mut admins = vec![];
    for n in 0..4 {
        admins.push(world.admin(&format!("root{n}@example.com")).await);
    }
    let steps = admins.iter().map(|admin| world.set_role(admin, &admin.user.id, Role::Customer));
    let outcomes = futures::future::join_all(steps).await;
    let refused: Vec<_> = outcomes.into_iter().filter_map(Result::err).collect();
    assert_eq!(refused.iter().map(|refusal| &*refusal.reason).collect::<Vec<_>>(), ["LAST_ADMIN"]);
    assert_eq!(world.count("users WHERE role = 'ADMIN'").await, 1);
}

#[tokio::test]
async fn a_role_that_is_none_and_an_account_that_is_none_are_refused() {
    let world = World::new().await;
    let admin = world.admin("root@example.com").await;
    let ada = world.register("ada@example.com").await;
    for role in [0, 3, -1] {
        let request = admin.request(SetUserRoleRequest { id: ada.user.id.clone(), role });
        let refusal = read(world.client().set_user_role(request).await).unwrap_err();
        assert_eq!((&*refusal.reason, fields(&refusal)), ("ROLE_INVALID", vec!["role"]));
    }
    for id in [&*Uuid::now_v7().to_string(), "not-a-uuid"] {
        let refusal = world.set_role(&admin, id, Role::Admin).await.unwrap_err();
        assert_eq!(refusal.kind, Kind::NotFound);
    }
}

#[tokio::test]
async fn a_customer_may_not_set_roles_not_even_their_own() {
    let world = World::new().await;
    let ada = world.register("ada@example.com").await;
    let refusal = world.set_role(&ada, &ada.user.id, Role::Admin).await.unwrap_err();
    assert_eq!(refusal.kind, Kind::Forbidden);
    assert_eq!(world.get(&ada, &ada.user.id).await.unwrap().role(), Role::Customer);
}
