//! The examples that clients of this kind of system already write, to the letter.

use serde_json::json;

use crate::world::World;

#[tokio::test]
async fn register_gives_a_token_and_the_account() {
    let world = World::new();
    let body = world
        .ask(
            None,
            r#"mutation { register(input: {email: "ada@example.com", password: "violet-harbour-93", firstName: "Ada",
                lastName: "Lovelace"}) { token user { id email fullName } } }"#,
        )
        .await;
    let id = world.store.tables().users[0].id.clone();
    assert_eq!(
        body,
        json!({ "data": { "register": {
            "token": "an.access.token",
            "user": { "id": id, "email": "ada@example.com", "fullName": "Ada Lovelace" },
        } } })
    );
}

#[tokio::test]
async fn login_gives_both_tokens_and_when_they_end() {
    let world = World::new();
    let ada = world.customer("Ada");
    let body = world
        .ask(
            None,
            r#"mutation { login(input: {email: "ada@example.com", password: "secret"}) {
                token refreshToken expiresAt user { id email } } }"#,
        )
        .await;
    let login = &body["data"]["login"];
    assert_eq!(login["token"], "an.access.token");
    assert_eq!(login["refreshToken"], "refresh");
    assert_eq!(login["user"], json!({ "id": ada.viewer.user_id.to_string(), "email": "ada@example.com" }));
    let expires_at = login["expiresAt"].as_str().unwrap();
    assert!(
        expires_at.ends_with('Z') && chrono::DateTime::parse_from_rfc3339(expires_at).is_ok(),
        "{expires_at}"
    );
}

#[tokio::test]
async fn create_order_answers_with_the_servers_own_prices() {
    let world = World::new();
    let ada = world.customer("Ada");
    world.store.add_product("prod-1", "Laptop", 99_999);
    let body = world
        .ask(
            Some(&ada),
            r#"mutation { createOrder(input: {shippingAddress: "12 St James's Square", notes: "Ring twice",
                items: [{productId: "prod-1", productName: "Notebook", quantity: 2, unitPrice: 999.99}]})
                { id status totalAmount items { productName quantity unitPrice } } }"#,
        )
        .await;
    let order = &body["data"]["createOrder"];
    assert_eq!(order["status"], "PENDING");
    assert_eq!(order["totalAmount"], "1999.98");
    assert_eq!(order["items"], json!([{ "productName": "Laptop", "quantity": 2, "unitPrice": "999.99" }]));
    assert_eq!(world.store.take_changes(), ["CreateOrder Ring twice", "price 999.99"]);
}

#[tokio::test]
async fn orders_come_with_their_buyer_their_payment_and_their_place_in_the_list() {
    let world = World::new();
    let (ada, order, payment) = world.buyer();
    let body = world
        .ask(
            Some(&ada),
            "{ orders(limit: 10) { data { id status totalAmount user { id email fullName }
                payment { id status amount } } pageInfo { total hasMore endCursor } } }",
        )
        .await;
    let page = &body["data"]["orders"];
    assert_eq!(
        page["data"],
        json!([{
            "id": order, "status": "PENDING", "totalAmount": "999.99",
            "user": { "id": ada.viewer.user_id.to_string(), "email": "ada@example.com", "fullName": "Ada Lovelace" },
            "payment": { "id": payment, "status": "PENDING", "amount": "999.99" },
        }])
    );
    assert_eq!(page["pageInfo"]["total"], 1);
    assert_eq!(page["pageInfo"]["hasMore"], false);
    assert!(page["pageInfo"]["endCursor"].is_string());
}

#[tokio::test]
async fn me_is_the_holder_of_the_token_with_the_newest_orders() {
    let world = World::new();
    let (ada, order, _) = world.buyer();
    let newer = world.store.add_order(&ada, "prod-1").0;
    let body = world
        .ask(
            Some(&ada),
            "{ me { id email firstName lastName orders { id status totalAmount items { productName quantity } } } }",
        )
        .await;
    let items = json!([{ "productName": "Laptop", "quantity": 1 }]);
    let row = |id| json!({ "id": id, "status": "PENDING", "totalAmount": "999.99", "items": items });
    assert_eq!(
        body,
        json!({ "data": { "me": {
            "id": ada.viewer.user_id.to_string(), "email": "ada@example.com", "firstName": "Ada", "lastName": "Lovelace",
            "orders": [row(newer), row(order)],
        } } })
    );
}

#[tokio::test]
async fn me_has_the_newest_twenty_orders_unless_another_number_is_asked_for() {
    let world = World::new();
    let (ada, ..) = world.buyer();
    for _ in 0..30 {
        world.store.add_order(&ada, "prod-1");
    }
    let body = world.ask(Some(&ada), "{ me { orders { id } five: orders(limit: 5) { id } } }").await;
    assert_eq!(body["data"]["me"]["orders"].as_array().unwrap().len(), 20);
    assert_eq!(body["data"]["me"]["five"].as_array().unwrap().len(), 5);
}

#[tokio::test]
async fn the_cursor_of_a_page_leads_to_the_next() {
    let world = World::new();
    let (ada, first, _) = world.buyer();
    let second = world.store.add_order(&ada, "prod-1").0;
    let page = "query($after: String) { myOrders(limit: 1, after: $after) { data { id } pageInfo { hasMore endCursor } } }";
    let body = world.ask(Some(&ada), page).await;
    assert_eq!(body["data"]["myOrders"]["data"][0]["id"], second.as_str());
    assert_eq!(body["data"]["myOrders"]["pageInfo"]["hasMore"], true);
    let after = json!({ "after": body["data"]["myOrders"]["pageInfo"]["endCursor"] });
    let body = world.ask_with(Some(&ada), page, after).await;
    assert_eq!(body["data"]["myOrders"]["data"][0]["id"], first.as_str());
    assert_eq!(body["data"]["myOrders"]["pageInfo"]["hasMore"], false);
}

#[tokio::test]
async fn lists_take_their_filters() {
    let world = World::new();
    let (ada, order, payment) = world.buyer();
    let admin = world.admin();
    let ada_id = ada.viewer.user_id.to_string();
    let cases = [
        (r#"users(filter: {search: "ada", active: true, role: CUSTOMER})"#.to_owned(), Some(ada_id.clone())),
        (r#"users(filter: {search: "ada", role: ADMIN})"#.to_owned(), None),
        (format!(r#"orders(filter: {{userId: "{ada_id}", status: PENDING}})"#), Some(order.clone())),
        ("orders(filter: {status: SHIPPED})".to_owned(), None),
        (format!(r#"payments(filter: {{userId: "{ada_id}", status: PENDING}})"#), Some(payment)),
        ("payments(filter: {status: PARTIALLY_REFUNDED})".to_owned(), None),
        ("myOrders".to_owned(), None),
        ("myPayments".to_owned(), None),
        ("products(limit: 1)".to_owned(), Some("prod-1".to_owned())),
    ];
    for (list, found) in cases {
        let body = world.ask(Some(&admin), &format!("{{ list: {list} {{ data {{ id }} }} }}")).await;
        let rows: Vec<_> = found.iter().map(|id| json!({ "id": id })).collect();
        assert_eq!(body, json!({ "data": { "list": { "data": rows } } }), "{list}");
    }
    let body = world
        .ask(Some(&ada), &format!(r#"{{ paymentByOrder(orderId: "{order}") {{ order {{ id }} }} }}"#))
        .await;
    assert_eq!(body["data"]["paymentByOrder"]["order"]["id"], order.as_str());
}
