use proto::order::v1::{CreateOrderRequest, NewOrderItem, OrderCreated, OrderStatus};
use runtime::Kind;

use crate::support::{World, assert_refused, create_request, item, money};

#[tokio::test]
async fn an_order_is_priced_from_the_products_and_begins_pending() {
    let world = World::new().await;
    let buyer = world.tokens.customer();
    let request = CreateOrderRequest {
        shipping_address: "1 Main St\nSpringfield".into(),
        notes: "ring twice".into(),
        ..create_request(&[("prod-1", 2), ("prod-2", 3)])
    };
    let order = world.create(&buyer, request).await.unwrap();

    assert_eq!(order.user_id, buyer.viewer.user_id.to_string());
    assert_eq!(order.status(), OrderStatus::Pending);
    assert_eq!(order.total, money(2 * 99_999 + 3 * 50, "USD"));
    assert_eq!(
        (order.shipping_address.as_str(), order.notes.as_str()),
        ("1 Main St\nSpringfield", "ring twice")
    );
    let items: Vec<_> =
        order.items.iter().map(|i| (i.product_name.as_str(), i.quantity, i.unit_price.clone())).collect();
    assert_eq!(items, [("Laptop", 2, money(99_999, "USD")), ("Sticker", 3, money(50, "USD"))]);
    assert_eq!(order.created_at, order.updated_at);
    assert_eq!(world.get(&buyer, &order.id).await.unwrap(), order);
}

#[tokio::test]
async fn an_order_is_told_in_the_outbox_with_the_transaction_that_makes_it() {
    let world = World::new().await;
    let order = world.order(&world.tokens.customer()).await;
    let [(name, sequence, data)] = world.events_of(&order.id).await.try_into().unwrap();
    assert_eq!((name.as_str(), sequence), ("order.created", 1));
    let told: OrderCreated = serde_json::from_value(data).unwrap();
    assert_eq!(
        told,
        OrderCreated {
            order_id: order.id,
            user_id: order.user_id,
            total: order.total,
            items: order.items,
            created_at: order.created_at,
        }
    );
}

#[tokio::test]
async fn the_same_product_may_stand_in_two_lines_and_lines_keep_their_order() {
    let world = World::new().await;
    let buyer = world.tokens.customer();
    let lines = [("prod-2", 1), ("prod-1", 2), ("prod-2", 10_000)];
    let order = world.create(&buyer, create_request(&lines)).await.unwrap();
    let order = world.get(&buyer, &order.id).await.unwrap();
    let read: Vec<_> = order.items.iter().map(|item| (item.product_id.as_str(), item.quantity)).collect();
    assert_eq!(read, lines);
}

#[tokio::test]
async fn a_hundred_lines_are_an_order() {
    let world = World::new().await;
    let order = world.create(&world.tokens.customer(), create_request(&[("prod-2", 1); 100])).await.unwrap();
    assert_eq!((order.items.len(), order.total), (100, money(5_000, "USD")));
}

#[tokio::test]
async fn an_order_keeps_the_name_and_price_at_which_it_was_placed() {
    let world = World::new().await;
    let buyer = world.tokens.customer();
    let order = world.order(&buyer).await;
    world.product("prod-1", "Laptop II", 1, "EUR", false).await;
    assert_eq!(world.get(&buyer, &order.id).await.unwrap(), order);
}

#[tokio::test]
async fn a_price_seen_must_be_the_products() {
    let world = World::new().await;
    let buyer = world.tokens.customer();
    let seen = |product: &str, price: &str| {
        let line = NewOrderItem { unit_price: Some(price.into()), ..item(product, 1) };
        CreateOrderRequest { items: vec![item("prod-2", 1), line], ..create_request(&[]) }
    };
    for price in ["999.99", "0999.990"] {
        world.create(&buyer, seen("prod-1", price)).await.unwrap();
    }
    let before = world.footprint().await;
    for price in ["999.98", "0", "99999"] {
        let outcome = world.create(&buyer, seen("prod-1", price)).await;
        assert_refused(outcome, Kind::FailedPrecondition, "PRICE_CHANGED", "items.1.unitPrice");
    }
    for price in ["NaN", "-999.99", "999.990001", "", "1e3", "٩", "inf", "999.99\0", &"9".repeat(10_000)] {
        let outcome = world.create(&buyer, seen("prod-1", price)).await;
        assert_refused(outcome, Kind::BadInput, "PRICE_INVALID", "items.1.unitPrice");
    }
    assert_eq!(world.footprint().await, before);
}

#[tokio::test]
async fn over_precise_means_more_decimals_than_the_products_currency_has() {
    let world = World::new().await;
    let line = NewOrderItem { unit_price: Some("500.5".into()), ..item("yen-1", 1) };
    let request = CreateOrderRequest { items: vec![line], ..create_request(&[]) };
    let outcome = world.create(&world.tokens.customer(), request).await;
    assert_refused(outcome, Kind::BadInput, "PRICE_INVALID", "items.0.unitPrice");
}

#[tokio::test]
async fn a_product_that_does_not_exist_is_refused_by_its_line() {
    let world = World::new().await;
    let buyer = world.tokens.customer();
    let before = world.footprint().await;
    for id in ["prod-99", "", "no such/id", "prod-1\0", "PROD-1", "продукт", &"x".repeat(5_000)] {
        let outcome = world.create(&buyer, create_request(&[("prod-1", 1), (id, 1)])).await;
        let refusal = assert_refused(outcome, Kind::BadInput, "PRODUCT_UNKNOWN", "items.1.productId");
        assert!(id.is_empty() || !refusal.message.contains(id), "the message repeats the input");
    }
    assert_eq!(world.footprint().await, before);
}

#[tokio::test]
async fn a_withdrawn_product_can_not_be_ordered() {
    let world = World::new().await;
    let outcome = world.create(&world.tokens.customer(), create_request(&[("old-1", 1)])).await;
    assert_refused(outcome, Kind::FailedPrecondition, "PRODUCT_NOT_AVAILABLE", "items.0.productId");
}

#[tokio::test]
async fn quantities_are_from_1_to_10_000() {
    let world = World::new().await;
    let buyer = world.tokens.customer();
    let before = world.footprint().await;
    for quantity in [0, -1, 10_001, 1_000_000, i32::MAX, i32::MIN] {
        let outcome = world.create(&buyer, create_request(&[("prod-2", 1), ("prod-2", quantity)])).await;
        assert_refused(outcome, Kind::BadInput, "QUANTITY_OUT_OF_RANGE", "items.1.quantity");
    }
    assert_eq!(world.footprint().await, before);
}

#[tokio::test]
async fn an_order_has_1_to_100_lines() {
    let world = World::new().await;
    let buyer = world.tokens.customer();
    let before = world.footprint().await;
    assert_refused(world.create(&buyer, create_request(&[])).await, Kind::BadInput, "ITEMS_EMPTY", "items");
    for lines in [101, 1_000] {
        let outcome = world.create(&buyer, create_request(&vec![("prod-2", 1); lines])).await;
        assert_refused(outcome, Kind::BadInput, "TOO_MANY_ITEMS", "items");
    }
    assert_eq!(world.footprint().await, before);
}

#[tokio::test]
async fn one_order_has_one_currency() {
    let world = World::new().await;
    let buyer = world.tokens.customer();
    let mixed = world.create(&buyer, create_request(&[("prod-1", 1), ("euro-1", 1)])).await;
    assert_refused(mixed, Kind::BadInput, "CURRENCY_MISMATCH", "items.1.productId");

    let asked =
        |currency: &str| CreateOrderRequest { currency: currency.into(), ..create_request(&[("euro-1", 1)]) };
    let other = world.create(&buyer, asked("USD")).await;
    assert_refused(other, Kind::BadInput, "CURRENCY_MISMATCH", "items.0.productId");
    for unknown in ["usd", "DOLLAR", "ABC", "XXX", "U\0D"] {
        assert_refused(
            world.create(&buyer, asked(unknown)).await,
            Kind::BadInput,
            "CURRENCY_UNKNOWN",
            "currency",
        );
    }
    assert_eq!(world.create(&buyer, asked("EUR")).await.unwrap().total, money(1_000, "EUR"));
}

#[tokio::test]
async fn a_total_that_overflows_is_refused() {
    let world = World::new().await;
    world.product("max", "Everything", i64::MAX, "USD", true).await;
    let buyer = world.tokens.customer();
    for lines in [&[("max", 2)][..], &[("max", 10_000)], &[("max", 1), ("prod-2", 1)]] {
        let outcome = world.create(&buyer, create_request(lines)).await;
        assert_refused(outcome, Kind::BadInput, "TOTAL_TOO_LARGE", "items");
    }
    let largest = world.create(&buyer, create_request(&[("max", 1)])).await.unwrap();
    assert_eq!(largest.total, money(i64::MAX, "USD"));
}

#[tokio::test]
async fn text_in_every_script_comes_back_as_it_was() {
    let world = World::new().await;
    let buyer = world.tokens.customer();
    for text in [
        "Кутузовский 12\n東京都\t千代田区",
        "شارع ١",
        "रामपुर 🏠👨‍👩‍👧",
        "e\u{301} \u{202e}rtl",
        "'; DROP TABLE orders; --",
    ] {
        let request = CreateOrderRequest {
            shipping_address: text.into(),
            notes: text.into(),
            ..create_request(&[("yen-1", 1)])
        };
        let id = world.create(&buyer, request).await.unwrap().id;
        let order = world.get(&buyer, &id).await.unwrap();
        assert_eq!((order.shipping_address.as_str(), order.notes.as_str()), (text, text));
        assert_eq!(order.items[0].product_name, "はがき");
    }
}

#[tokio::test]
async fn lengths_are_counted_in_characters() {
    let world = World::new().await;
    let buyer = world.tokens.customer();
    let with = |address: String, notes: String| CreateOrderRequest {
        shipping_address: address,
        notes,
        ..create_request(&[("prod-2", 1)])
    };
    world.create(&buyer, with("🏠".repeat(500), "語".repeat(2_000))).await.unwrap();
    let address = world.create(&buyer, with("🏠".repeat(501), String::new())).await;
    assert_refused(address, Kind::BadInput, "SHIPPING_ADDRESS_INVALID", "shippingAddress");
    let notes = world.create(&buyer, with("here".into(), "語".repeat(2_001))).await;
    assert_refused(notes, Kind::BadInput, "NOTES_INVALID", "notes");
}

#[tokio::test]
async fn addresses_and_notes_that_are_no_text_are_refused() {
    let world = World::new().await;
    let buyer = world.tokens.customer();
    let before = world.footprint().await;
    for address in ["", "   \n", "1 Main St\0", "bell\u{7}", "\u{1b}[2J", "\u{85}next line"] {
        let request =
            CreateOrderRequest { shipping_address: address.into(), ..create_request(&[("prod-2", 1)]) };
        let outcome = world.create(&buyer, request).await;
        assert_refused(outcome, Kind::BadInput, "SHIPPING_ADDRESS_INVALID", "shippingAddress");
    }
    for notes in ["\0", "a\0b", "\u{7f}"] {
        let request = CreateOrderRequest { notes: notes.into(), ..create_request(&[("prod-2", 1)]) };
        assert_refused(world.create(&buyer, request).await, Kind::BadInput, "NOTES_INVALID", "notes");
    }
    assert_eq!(world.footprint().await, before);
}
