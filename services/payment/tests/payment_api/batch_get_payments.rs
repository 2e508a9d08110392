use proto::payment::v1::{BatchGetPaymentsRequest, Payment};
use testkit::Caller;
use uuid::Uuid;

use crate::world::{Answer, World, assert_bad_input};

async fn batch(world: &World, caller: &Caller, ids: Vec<String>) -> Answer<Vec<Payment>> {
    let request = BatchGetPaymentsRequest { ids };
    let mut found = world.client().batch_get_payments(caller.request(request)).await?.into_inner().payments;
    found.sort_by(|a, b| a.id.cmp(&b.id));
    Ok(found)
}

#[tokio::test]
async fn it_gives_what_the_viewer_may_see_and_leaves_the_rest_out() {
    let world = World::new().await;
    let first = world.pending(&world.ann, 100).await;
    let second = world.pending(&world.ann, 200).await;
    let anothers = world.pending(&world.bob, 300).await;
    let ids = vec![
        second.id.clone(),
        anothers.id.clone(),
        "no-uuid".into(),
        Uuid::now_v7().to_string(),
        "\0".into(),
        first.id.clone(),
        first.id.clone(),
    ];
    assert_eq!(batch(&world, &world.ann, ids.clone()).await.unwrap(), [first.clone(), second.clone()]);
    assert_eq!(batch(&world, &world.bob, ids.clone()).await.unwrap(), std::slice::from_ref(&anothers));
    assert_eq!(batch(&world, &world.admin, ids).await.unwrap(), [first, second, anothers]);
}

#[tokio::test]
async fn a_thousand_ids_are_taken_and_one_more_is_refused() {
    let world = World::new().await;
    let mut ids: Vec<String> = (0..999).map(|_| Uuid::now_v7().to_string()).collect();
    let payment = world.pending(&world.ann, 100).await;
    ids.push(payment.id.clone());
    assert_eq!(batch(&world, &world.ann, ids.clone()).await.unwrap(), std::slice::from_ref(&payment));
    ids.push(payment.id);
    assert_bad_input(batch(&world, &world.ann, ids).await, "TOO_MANY_KEYS", "ids");
    assert_eq!(batch(&world, &world.ann, vec![]).await.unwrap(), []);
}
