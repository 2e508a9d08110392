//! The ways that people go through the whole system, from the first account to the last refund.

use axum::http::StatusCode;
use futures::future::join;
use serde_json::{Value, json};

use crate::{
    real_world::{Person, RealWorld, text},
    world::reason,
};

const ENTITIES: &str = "query($keys: [_Any!]!) { _entities(representations: $keys) { __typename
    ... on User { email } ... on Product { name } ... on Order { totalAmount } ... on Payment { amount } } }";

#[tokio::test]
async fn a_newcomer_registers_orders_pays_and_reads_it_all_back() {
    let world = RealWorld::new().await;
    let ada = world.register("ada").await;
    let placed = world
        .data(
            &ada,
            r#"mutation { createOrder(input: {shippingAddress: "12 St James's Square", notes: "Ring twice", currency: "USD",
                idempotencyKey: "first", items: [{productId: "prod-1", productName: "Laptop", quantity: 2, unitPrice: 999.99},
                {productId: "prod-2", quantity: 3}]}) { id status totalAmount items { productName quantity unitPrice } } }"#,
        )
        .await;
    let order = text(&placed["createOrder"]["id"]);
    assert_eq!(
        placed["createOrder"],
        json!({ "id": order, "status": "PENDING", "totalAmount": "2001.48", "items": [
            { "productName": "Laptop", "quantity": 2, "unitPrice": "999.99" },
            { "productName": "Sticker", "quantity": 3, "unitPrice": "0.50" },
        ] })
    );
    world.settle().await;
    let query = format!(
        r#"mutation {{ createPayment(input: {{orderId: "{order}"}}) {{ id status amount currency }} }}"#
    );
    let payment = world.data(&ada, &query).await["createPayment"].clone();
    let payment_id = text(&payment["id"]);
    assert_eq!(
        payment,
        json!({ "id": payment_id, "status": "PENDING", "amount": "2001.48", "currency": "USD" })
    );
    world.pay(&ada, &payment_id).await;

    let read = world
        .data(
            &ada,
            "{ orders(limit: 10) { data { id status totalAmount user { id email fullName } payment { id status amount } }
                pageInfo { total hasMore } } me { id email firstName lastName orders { id status items { product { name } } } } }",
        )
        .await;
    assert_eq!(
        read["orders"],
        json!({ "pageInfo": { "total": 1, "hasMore": false }, "data": [{
            "id": order, "status": "CONFIRMED", "totalAmount": "2001.48",
            "user": { "id": ada.id, "email": "ada@example.com", "fullName": "ada Lovelace" },
            "payment": { "id": payment_id, "status": "SUCCEEDED", "amount": "2001.48" },
        }] })
    );
    assert_eq!(read["me"]["orders"][0]["items"][1]["product"]["name"], "Sticker");
    assert_eq!(read["me"]["orders"][0]["status"], "CONFIRMED");
}

#[tokio::test]
async fn an_admin_sees_everything_and_moves_orders_on() {
    let world = RealWorld::new().await;
    let (ada, admin) = (world.register("ada").await, world.admin().await);
    let (order, payment) = world.order(&ada).await;
    world.pay(&ada, &payment).await;
    let all = world
        .data(
            &admin,
            r#"{ users(filter: {search: "ADA"}) { data { id orders { id payment { id } } } pageInfo { total } } }"#,
        )
        .await;
    assert_eq!(
        all["users"],
        json!({ "data": [{ "id": ada.id, "orders": [{ "id": order, "payment": { "id": payment } }] }], "pageInfo": { "total": 1 } })
    );
    for status in ["SHIPPED", "DELIVERED"] {
        let query =
            format!(r#"mutation {{ updateOrderStatus(id: "{order}", status: {status}) {{ status }} }}"#);
        assert_eq!(world.data(&admin, &query).await["updateOrderStatus"]["status"], status);
    }
    let query = format!(
        r#"mutation {{ refundPayment(input: {{paymentId: "{payment}", amount: "100.00", reason: "late"}}) {{ status refunded }} }}"#
    );
    let refunded = world.data(&admin, &query).await;
    assert_eq!(refunded["refundPayment"], json!({ "status": "PARTIALLY_REFUNDED", "refunded": "100.00" }));
    let query = r#"mutation { upsertProduct(input: {id: "prod-9", name: "Kaffee ☕", unitPrice: "4.5", currency: "EUR"}) { name unitPrice active } }"#;
    assert_eq!(
        world.data(&admin, query).await["upsertProduct"],
        json!({ "name": "Kaffee ☕", "unitPrice": "4.50", "active": true })
    );
}

#[tokio::test]
async fn cancelling_a_paid_order_gives_the_money_back() {
    let world = RealWorld::new().await;
    let ada = world.register("ada").await;
    let (order, payment) = world.order(&ada).await;
    world.pay(&ada, &payment).await;
    let cancel = format!(r#"mutation {{ cancelOrder(id: "{order}") {{ status }} }}"#);
    assert_eq!(world.data(&ada, &cancel).await["cancelOrder"]["status"], "CANCELLED");
    world.settle().await;
    let query = format!(r#"{{ paymentByOrder(orderId: "{order}") {{ status refunded amount }} }}"#);
    let payment = world.data(&ada, &query).await["paymentByOrder"].clone();
    assert_eq!(payment, json!({ "status": "REFUNDED", "refunded": "999.99", "amount": "999.99" }));
    let again = world.ask(&ada, &cancel).await;
    assert_eq!(reason(&again), ("FAILED_PRECONDITION", "ORDER_NOT_CANCELLABLE"));
    let delete = format!(r#"mutation {{ deleteOrder(id: "{order}") }}"#);
    assert_eq!(world.data(&ada, &delete).await["deleteOrder"], true);
    assert_eq!(
        world.data(&ada, &format!(r#"{{ order(id: "{order}") {{ id }} }}"#)).await["order"],
        Value::Null
    );
}

#[tokio::test]
async fn every_entity_is_shown_to_those_alone_who_may_see_it() {
    let world = RealWorld::new().await;
    let (ada, stranger, admin) =
        (world.register("ada").await, world.register("mallory").await, world.admin().await);
    let (order, payment) = world.order(&ada).await;
    let nobody = Person::default();
    for (typename, id, field, value) in [
        ("User", ada.id.as_str(), "email", "ada@example.com"),
        ("Order", &order, "totalAmount", "999.99"),
        ("Payment", &payment, "amount", "999.99"),
        ("Product", "prod-1", "name", "Laptop"),
    ] {
        let shown = json!([{ "__typename": typename, field: value }]);
        let hidden = if typename == "Product" { shown.clone() } else { json!([null]) };
        for (who, expected) in [(&ada, &shown), (&admin, &shown), (&stranger, &hidden), (&nobody, &hidden)] {
            let (_, answer) =
                world.send(who, ENTITIES, json!({ "keys": [{ "__typename": typename, "id": id }] })).await;
            assert_eq!(answer["data"]["_entities"], *expected, "{typename}: {answer}");
        }
    }
}

#[tokio::test]
async fn a_session_is_renewed_and_ended() {
    let world = RealWorld::new().await;
    let ada = world.register("ada").await;
    let query = format!(
        r#"mutation {{ refreshToken(refreshToken: "{}") {{ token refreshToken user {{ id }} }} }}"#,
        ada.refresh_token
    );
    let renewed = world.data(&Person::default(), &query).await["refreshToken"].clone();
    assert_eq!(renewed["user"]["id"], ada.id.as_str());
    let renewed = Person { token: Some(text(&renewed["token"])), ..ada.clone() };
    assert_eq!(world.data(&renewed, "mutation { logout }").await["logout"], true);
    for person in [&ada, &renewed] {
        let (status, answer) = world.send(person, "{ products { data { id } } }", json!({})).await;
        assert_eq!(status, StatusCode::UNAUTHORIZED);
        assert_eq!(reason(&answer), ("UNAUTHENTICATED", "SESSION_REVOKED"));
    }
}

#[tokio::test]
async fn what_an_admin_changes_about_an_account_ends_its_sessions() {
    let world = RealWorld::new().await;
    let admin = world.admin().await;
    for (name, change) in [
        ("bob", r#"setUserRole(id: "ID", role: ADMIN) { role }"#),
        ("carol", r#"setUserActive(id: "ID", active: false) { active }"#),
        ("dave", r#"deleteUser(id: "ID")"#),
    ] {
        let person = world.register(name).await;
        assert_eq!(world.data(&person, "{ me { role } }").await["me"]["role"], "CUSTOMER");
        world.data(&admin, &format!("mutation {{ {} }}", change.replace("ID", &person.id))).await;
        let (status, answer) = world.send(&person, "{ me { id } }", json!({})).await;
        assert_eq!((status, reason(&answer).1), (StatusCode::UNAUTHORIZED, "SESSION_REVOKED"), "{name}");
    }
}

#[tokio::test]
async fn a_repeat_under_its_key_gets_the_first_order_and_other_input_is_refused() {
    let world = RealWorld::new().await;
    let ada = world.register("ada").await;
    let place = |quantity: u32| {
        format!(
            r#"mutation {{ createOrder(input: {{shippingAddress: "x", notes: "", idempotencyKey: "one",
            items: [{{productId: "prod-1", quantity: {quantity}}}]}}) {{ id }} }}"#
        )
    };
    let first = world.data(&ada, &place(1)).await;
    assert_eq!(world.data(&ada, &place(1)).await, first);
    assert_eq!(reason(&world.ask(&ada, &place(2)).await).1, "IDEMPOTENCY_KEY_REUSED");
    assert_eq!(
        world.data(&ada, "{ myOrders { pageInfo { total } } }").await["myOrders"]["pageInfo"]["total"],
        1
    );
}

#[tokio::test]
async fn of_two_refunds_at_once_that_add_up_to_too_much_one_is_refused() {
    let world = RealWorld::new().await;
    let (ada, admin) = (world.register("ada").await, world.admin().await);
    let (_, payment) = world.order(&ada).await;
    world.pay(&ada, &payment).await;
    let query = format!(
        r#"mutation {{ refundPayment(input: {{paymentId: "{payment}", amount: 600}}) {{ refunded }} }}"#
    );
    let (one, other) = join(world.ask(&admin, &query), world.ask(&admin, &query)).await;
    let refused = [&one, &other].into_iter().filter(|answer| answer.get("errors").is_some()).count();
    assert_eq!(refused, 1, "{one} {other}");
    let query = format!(r#"{{ payment(id: "{payment}") {{ refunded status }} }}"#);
    let payment = world.data(&ada, &query).await["payment"].clone();
    assert_eq!(payment, json!({ "refunded": "600.00", "status": "PARTIALLY_REFUNDED" }));
}
