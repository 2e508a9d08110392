use std::time::Duration;

use proto::order::v1::{Product, UpsertProductRequest};
use runtime::Kind;
use tonic::Status;

use crate::support::{World, assert_refused, create_request, money};

fn request() -> UpsertProductRequest {
    UpsertProductRequest {
        id: "new-1".into(),
        name: "Café ☕".into(),
        unit_price: money(350, "EUR"),
        active: None,
    }
}

async fn upsert(world: &World, request: UpsertProductRequest) -> Result<Product, Status> {
    let response = world.client.clone().upsert_product(world.admin.request(request)).await?;
    Ok(response.into_inner().product.unwrap())
}

#[tokio::test]
async fn a_new_product_is_active_and_can_be_ordered() {
    let world = World::new().await;
    let product = upsert(&world, request()).await.unwrap();
    assert!(product.active);
    assert_eq!((product.name.as_str(), &product.unit_price), ("Café ☕", &money(350, "EUR")));
    assert_eq!(product.created_at, product.updated_at);
    let order = world.create(&world.tokens.customer(), create_request(&[("new-1", 2)])).await.unwrap();
    assert_eq!(order.total, money(700, "EUR"));
}

#[tokio::test]
async fn a_product_that_exists_is_changed_and_stays_withdrawn_unless_that_is_said() {
    let world = World::new().await;
    let made = upsert(&world, UpsertProductRequest { active: Some(false), ..request() }).await.unwrap();
    world.clock.advance(Duration::from_secs(60));
    let changed =
        upsert(&world, UpsertProductRequest { unit_price: money(4, "JPY"), ..request() }).await.unwrap();
    assert_eq!((changed.active, &changed.unit_price), (false, &money(4, "JPY")));
    assert_eq!(changed.created_at, made.created_at);
    assert_ne!(changed.updated_at, made.updated_at);
    let again = upsert(&world, UpsertProductRequest { active: Some(true), ..request() }).await.unwrap();
    assert!(again.active);
}

#[tokio::test]
async fn a_free_product_and_the_dearest_one_are_products() {
    let world = World::new().await;
    for price in [0, i64::MAX] {
        let product = upsert(&world, UpsertProductRequest { unit_price: money(price, "USD"), ..request() })
            .await
            .unwrap();
        assert_eq!(product.unit_price, money(price, "USD"));
    }
}

#[tokio::test]
async fn each_field_is_held_against_its_rule() {
    let world = World::new().await;
    for id in ["", "-a", ".a", "a b", "a/b", "ä", "a\0", "a\n", &"x".repeat(65)] {
        let outcome = upsert(&world, UpsertProductRequest { id: id.into(), ..request() }).await;
        assert_refused(outcome, Kind::BadInput, "PRODUCT_ID_INVALID", "id");
    }
    for name in ["", "  ", "a\0", "two\nlines", &"é".repeat(201)] {
        let outcome = upsert(&world, UpsertProductRequest { name: name.into(), ..request() }).await;
        assert_refused(outcome, Kind::BadInput, "PRODUCT_NAME_INVALID", "name");
    }
    for price in [-1, i64::MIN] {
        let outcome =
            upsert(&world, UpsertProductRequest { unit_price: money(price, "USD"), ..request() }).await;
        assert_refused(outcome, Kind::BadInput, "PRICE_INVALID", "unitPrice");
    }
    for currency in ["", "usd", "ABC", "XAU", "U\0D"] {
        let outcome =
            upsert(&world, UpsertProductRequest { unit_price: money(1, currency), ..request() }).await;
        assert_refused(outcome, Kind::BadInput, "CURRENCY_UNKNOWN", "currency");
    }
    let outcome = upsert(&world, UpsertProductRequest { unit_price: None, ..request() }).await;
    assert_refused(outcome, Kind::BadInput, "CURRENCY_UNKNOWN", "currency");
    let products: i64 =
        sqlx::query_scalar("SELECT count(*) FROM products").fetch_one(world.database.pool()).await.unwrap();
    assert_eq!(products, 5, "nothing was made");
    upsert(&world, UpsertProductRequest { id: "x".repeat(64), name: "é".repeat(200), ..request() })
        .await
        .unwrap();
}

#[tokio::test]
async fn only_an_admin_makes_products() {
    let world = World::new().await;
    let customer = world.tokens.customer();
    for (way, mut client) in world.ways() {
        let refused = client.upsert_product(customer.request(request())).await.expect_err(way);
        assert_eq!(testkit::refusal(&refused).kind, Kind::Forbidden, "{way}");
        let refused = client.upsert_product(testkit::anonymous(request())).await.expect_err(way);
        assert_eq!(testkit::refusal(&refused).kind, Kind::Unauthenticated, "{way}");
    }
}

#[tokio::test]
async fn two_upserts_of_one_new_product_at_the_same_time_both_succeed() {
    let world = World::new().await;
    let outcomes = futures::future::join_all((0..8).map(|_| upsert(&world, request()))).await;
    assert!(outcomes.iter().all(Result::is_ok), "{outcomes:?}");
}
