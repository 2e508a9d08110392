use proto::order::v1::BatchGetProductsRequest;
use runtime::Kind;
use testkit::anonymous;

use crate::support::{World, assert_refused, money};

#[tokio::test]
async fn anyone_gets_products_that_exist_once_each_withdrawn_ones_included() {
    let world = World::new().await;
    let ids = ["prod-1", "old-1", "prod-1", "prod-99", "", "a b", "\0"].map(str::to_owned).to_vec();
    let response =
        world.client.clone().batch_get_products(anonymous(BatchGetProductsRequest { ids })).await.unwrap();
    let mut products = response.into_inner().products;
    products.sort_by(|a, b| a.id.cmp(&b.id));
    let read: Vec<_> =
        products.iter().map(|p| (p.id.as_str(), p.name.as_str(), p.unit_price.clone(), p.active)).collect();
    assert_eq!(
        read,
        [
            ("old-1", "Floppy disk", money(100, "USD"), false),
            ("prod-1", "Laptop", money(99_999, "USD"), true)
        ]
    );
}

#[tokio::test]
async fn a_batch_has_at_most_1000_ids() {
    let world = World::new().await;
    let request = BatchGetProductsRequest { ids: vec!["prod-1".into(); 1_001] };
    let outcome = world.client.clone().batch_get_products(anonymous(request)).await;
    assert_refused(outcome, Kind::BadInput, "TOO_MANY_KEYS", "ids");
}
