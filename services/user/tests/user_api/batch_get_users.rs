//! BatchGetUsers.

use proto::user::v1::{BatchGetUsersRequest, User};
use uuid::Uuid;

use crate::support::{Member, Outcome, World, fields, read};

async fn batch(world: &World, caller: &Member, ids: Vec<String>) -> Outcome<Vec<User>> {
    let mut users =
        read(world.client().batch_get_users(caller.request(BatchGetUsersRequest { ids })).await)?.users;
    users.sort_by(|a, b| a.id.cmp(&b.id));
    Ok(users)
}

#[tokio::test]
async fn an_admin_gets_those_that_exist_and_a_customer_only_themselves() {
    let world = World::new().await;
    let admin = world.admin("root@example.com").await;
    let (ada, bob) = (world.register("ada@example.com").await, world.register("bob@example.com").await);
    let gone = world.register("gone@example.com").await;
    world.delete(&gone, &gone.user.id).await.unwrap();
    let ids = || {
        vec![
            bob.user.id.clone(),
            ada.user.id.clone(),
            ada.user.id.clone(),
            gone.user.id.clone(),
            Uuid::now_v7().to_string(),
            "not-a-uuid".into(),
            "\0".into(),
        ]
    };
    assert_eq!(batch(&world, &admin, ids()).await.unwrap(), [ada.user.clone(), bob.user.clone()]);
    assert_eq!(batch(&world, &ada, ids()).await.unwrap(), std::slice::from_ref(&ada.user));
    assert_eq!(batch(&world, &ada, vec![bob.user.id.clone()]).await.unwrap(), []);
    assert_eq!(batch(&world, &admin, vec![]).await.unwrap(), []);
}

#[tokio::test]
async fn a_thousand_ids_are_taken_and_one_more_is_refused() {
    let world = World::new().await;
    let ada = world.register("ada@example.com").await;
    let ids: Vec<_> = (0..1_001).map(|_| Uuid::now_v7().to_string()).collect();
    assert_eq!(batch(&world, &ada, ids[1..].to_vec()).await.unwrap(), []);
    let refusal = batch(&world, &ada, ids).await.unwrap_err();
    assert_eq!((&*refusal.reason, fields(&refusal)), ("TOO_MANY_KEYS", vec!["ids"]));
}
