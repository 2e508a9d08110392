//! GetUser.

use runtime::Kind;
use uuid::Uuid;

use crate::support::World;

#[tokio::test]
async fn one_sees_oneself_and_an_admin_sees_everyone() {
    let world = World::new().await;
    let admin = world.admin("root@example.com").await;
    let ada = world.register("ada@example.com").await;
    assert_eq!(world.get(&ada, &ada.user.id).await.unwrap(), ada.user);
    assert_eq!(world.get(&admin, &ada.user.id).await.unwrap(), ada.user);
    assert_eq!(world.get(&admin, &ada.user.id.to_uppercase()).await.unwrap(), ada.user);
}

#[tokio::test]
async fn anothers_id_answers_exactly_as_a_missing_one_and_as_one_that_is_none() {
    let world = World::new().await;
    let (ada, bob) = (world.register("ada@example.com").await, world.register("bob@example.com").await);
    let expected = world.get(&ada, &Uuid::now_v7().to_string()).await.unwrap_err();
    assert_eq!((expected.kind, &*expected.reason), (Kind::NotFound, "NOT_FOUND"));
    for id in [&*bob.user.id, "", "1", "not-a-uuid", "\0", "🙈", "' OR 1=1 --"] {
        assert_eq!(world.get(&ada, id).await.unwrap_err(), expected, "{id:?}");
    }
}

#[tokio::test]
async fn a_deleted_account_is_seen_by_nobody() {
    let world = World::new().await;
    let admin = world.admin("root@example.com").await;
    let ada = world.register("ada@example.com").await;
    world.delete(&admin, &ada.user.id).await.unwrap();
    assert_eq!(world.get(&admin, &ada.user.id).await.unwrap_err().kind, Kind::NotFound);
}
