//! The products that a new system begins with.

use order::SeedProduct;
use proto::order::v1::BatchGetProductsRequest;
use testkit::anonymous;

use crate::support::{World, money};

#[tokio::test]
async fn seeding_makes_the_products_that_are_missing_and_leaves_the_others_as_they_are() {
    let world = World::new().await;
    let seeds = [
        SeedProduct { id: "prod-1", name: "Not a laptop", unit_price: "1.00", currency: "EUR" },
        SeedProduct { id: "prod-9", name: "Mouse", unit_price: "24.5", currency: "USD" },
    ];
    for _ in 0..2 {
        world.app.seed_products(&seeds).await.unwrap();
    }
    let request = BatchGetProductsRequest { ids: vec!["prod-1".into(), "prod-9".into()] };
    let response = world.client.clone().batch_get_products(anonymous(request)).await.unwrap();
    let mut products = response.into_inner().products;
    products.sort_by(|a, b| a.id.cmp(&b.id));
    let read: Vec<_> = products.iter().map(|p| (p.name.as_str(), p.unit_price.clone(), p.active)).collect();
    assert_eq!(read, [("Laptop", money(99_999, "USD"), true), ("Mouse", money(2_450, "USD"), true)]);
}

#[tokio::test]
async fn a_seed_that_breaks_a_rule_is_refused() {
    let world = World::new().await;
    let seed = SeedProduct { id: "prod-9", name: "Mouse", unit_price: "24.555", currency: "USD" };
    let refused = world.app.seed_products(&[seed]).await.unwrap_err();
    assert!(refused.to_string().contains("unitPrice"), "{refused}");
}
