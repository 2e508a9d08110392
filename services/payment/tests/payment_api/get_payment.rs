use runtime::Kind;
use uuid::Uuid;

use crate::world::{World, assert_refused};

#[tokio::test]
async fn its_owner_and_an_admin_read_a_payment() {
    let world = World::new().await;
    let payment = world.pending(&world.ann, 500).await;
    assert_eq!(world.get(&world.ann, &payment.id).await.unwrap(), payment);
    assert_eq!(world.get(&world.again(&world.ann), &payment.id).await.unwrap(), payment);
    assert_eq!(world.get(&world.admin, &payment.id).await.unwrap(), payment);
}

#[tokio::test]
async fn anothers_payment_a_missing_one_and_what_is_no_id_answer_alike() {
    let world = World::new().await;
    let anothers = world.pending(&world.bob, 500).await;
    let mut refusals = vec![];
    for id in [anothers.id.as_str(), &Uuid::now_v7().to_string(), "no-uuid", "", "\0", "支払い"] {
        refusals.push(assert_refused(world.get(&world.ann, id).await, Kind::NotFound, "NOT_FOUND"));
    }
    assert!(refusals.windows(2).all(|pair| pair[0] == pair[1]));
    assert!(!refusals[0].message.contains(&anothers.id));
}
