//! Bad input through the whole system: refused with its code, its reason and its field, and nothing changed.

use serde_json::{Value, json};

use crate::{
    real_world::{PASSWORD, RealWorld},
    world::{reason, refusal},
};

/// The field of the first violation; empty where there is none.
fn field(answer: &Value) -> &str {
    refusal(answer)["violations"][0]["field"].as_str().unwrap_or_default()
}

#[tokio::test]
async fn accounts_that_are_not_accepted() {
    let world = RealWorld::new().await;
    world.register("ada").await;
    let admin = world.admin().await;
    let query = "mutation($input: RegisterInput!) { register(input: $input) { token } }";
    let long = "long-words-and-more-".repeat(7);
    for (email, password, first_name, expected, named) in [
        ("no email", PASSWORD, "A", "EMAIL_INVALID", "email"),
        ("a@b\u{0}.example", PASSWORD, "A", "EMAIL_INVALID", "email"),
        ("new@example.com", "short", "A", "PASSWORD_TOO_SHORT", "password"),
        ("new@example.com", "password123", "A", "PASSWORD_TOO_WEAK", "password"),
        ("new@example.com", &long, "A", "PASSWORD_TOO_LONG", "password"),
        ("new@example.com", PASSWORD, "", "NAME_INVALID", "firstName"),
        ("new@example.com", PASSWORD, "a\u{0}b", "NAME_INVALID", "firstName"),
        ("ADA@Example.com", PASSWORD, "A", "EMAIL_TAKEN", ""),
    ] {
        let input = json!({ "input": { "email": email, "password": password, "firstName": first_name, "lastName": "L" } });
        let (_, answer) = world.send(&Default::default(), query, input).await;
        assert_eq!(
            (reason(&answer).1, field(&answer)),
            (expected, named),
            "{email:?} {first_name:?}: {answer}"
        );
        assert!(!answer.to_string().contains(password), "{answer}");
    }
    assert_eq!(world.data(&admin, "{ users { pageInfo { total } } }").await["users"]["pageInfo"]["total"], 2);
}

#[tokio::test]
async fn orders_that_are_not_accepted() {
    let world = RealWorld::new().await;
    let ada = world.register("ada").await;
    let query = "mutation($input: CreateOrderInput!) { createOrder(input: $input) { id } }";
    let one = json!({ "productId": "prod-1", "quantity": 1 });
    let with = |name: &str, value: Value| {
        let mut item = one.clone();
        item[name] = value;
        json!([item])
    };
    for (items, code, expected, named) in [
        (json!([]), "BAD_USER_INPUT", "ITEMS_EMPTY", "items"),
        (json!(vec![one.clone(); 1_000]), "BAD_USER_INPUT", "TOO_MANY_ITEMS", "items"),
        (with("quantity", json!(0)), "BAD_USER_INPUT", "QUANTITY_OUT_OF_RANGE", "items.0.quantity"),
        (with("quantity", json!(-1)), "BAD_USER_INPUT", "QUANTITY_OUT_OF_RANGE", "items.0.quantity"),
        (with("quantity", json!(1_000_000)), "BAD_USER_INPUT", "QUANTITY_OUT_OF_RANGE", "items.0.quantity"),
        (with("quantity", json!(10_000_000_000_i64)), "BAD_USER_INPUT", "INPUT_INVALID", "items.0.quantity"),
        (with("productId", json!("prod-0")), "BAD_USER_INPUT", "PRODUCT_UNKNOWN", "items.0.productId"),
        (with("productId", json!("\u{0}")), "BAD_USER_INPUT", "PRODUCT_UNKNOWN", "items.0.productId"),
        (with("unitPrice", json!("NaN")), "BAD_USER_INPUT", "DECIMAL_INVALID", "items.0.unitPrice"),
        (with("unitPrice", json!(-999.99)), "BAD_USER_INPUT", "DECIMAL_INVALID", "items.0.unitPrice"),
        (with("unitPrice", json!("999.990001")), "BAD_USER_INPUT", "PRICE_INVALID", "items.0.unitPrice"),
        (with("unitPrice", json!("1.00")), "FAILED_PRECONDITION", "PRICE_CHANGED", "items.0.unitPrice"),
    ] {
        let input = json!({ "input": { "shippingAddress": "x", "notes": "", "items": items } });
        let (_, answer) = world.send(&ada, query, input).await;
        assert_eq!(reason(&answer), (code, expected), "{items:.100}: {answer}");
        assert_eq!(field(&answer), named, "{answer}");
    }
    let input = json!({ "input": { "shippingAddress": "a\u{0}b", "notes": "", "items": [one] } });
    assert_eq!(field(&world.send(&ada, query, input).await.1), "shippingAddress");
    assert_eq!(
        world.data(&ada, "{ myOrders { pageInfo { total } } }").await["myOrders"]["pageInfo"]["total"],
        0
    );
}

#[tokio::test]
async fn pages_and_cursors_that_are_not_accepted() {
    let world = RealWorld::new().await;
    let admin = world.admin().await;
    for list in ["users", "orders", "myOrders", "products", "payments", "myPayments"] {
        for (arguments, expected, named) in [
            ("limit: 0", "PAGE_SIZE_OUT_OF_RANGE", "limit"),
            ("limit: -1", "PAGE_SIZE_OUT_OF_RANGE", "limit"),
            ("limit: 1000000", "PAGE_SIZE_OUT_OF_RANGE", "limit"),
            (r#"after: "broken""#, "CURSOR_INVALID", "after"),
            (r#"after: "\u0000""#, "CURSOR_INVALID", "after"),
        ] {
            let answer =
                world.ask(&admin, &format!("{{ list: {list}({arguments}) {{ data {{ id }} }} }}")).await;
            assert_eq!(reason(&answer), ("BAD_USER_INPUT", expected), "{list} {arguments}: {answer}");
            assert_eq!((field(&answer), &answer["data"]["list"]), (named, &Value::Null), "{list}");
        }
    }
    let answer = world.ask(&admin, "{ me { email orders(limit: 101) { id } } }").await;
    assert_eq!(answer["data"]["me"], json!({ "email": "grace@example.com", "orders": null }));
    assert_eq!(reason(&answer).1, "PAGE_SIZE_OUT_OF_RANGE");
}

#[tokio::test]
async fn another_s_ids_and_ids_that_are_none_answer_as_missing_ones() {
    let world = RealWorld::new().await;
    let (ada, mallory) = (world.register("ada").await, world.register("mallory").await);
    let (order, payment) = world.order(&ada).await;
    let missing = uuid::Uuid::now_v7().to_string();
    let mut answers = vec![];
    for (user, order, payment) in [
        (ada.id.as_str(), order.as_str(), payment.as_str()),
        (&missing, &missing, &missing),
        ("1", "\\u0000", "🙈"),
    ] {
        let read = format!(
            r#"{{ user(id: "{user}") {{ id }} order(id: "{order}") {{ id }} payment(id: "{payment}") {{ id }}
                paymentByOrder(orderId: "{order}") {{ id }} orders(filter: {{userId: "{user}"}}) {{ data {{ id }} }} }}"#
        );
        let mut told = vec![world.data(&mallory, &read).await];
        for mutation in [
            format!(r#"cancelOrder(id: "{order}") {{ id }}"#),
            format!(r#"deleteOrder(id: "{order}")"#),
            format!(r#"updateUser(id: "{user}", input: {{firstName: "M"}}) {{ id }}"#),
            format!(r#"deleteUser(id: "{user}")"#),
            format!(r#"processPayment(input: {{paymentId: "{payment}", token: "tok_visa"}}) {{ id }}"#),
        ] {
            let answer = world.ask(&mallory, &format!("mutation {{ {mutation} }}")).await;
            assert_eq!(reason(&answer), ("NOT_FOUND", "NOT_FOUND"), "{mutation}: {answer}");
            told.push(answer["errors"][0]["message"].clone());
        }
        answers.push(told);
    }
    assert_eq!(answers[0], answers[1]);
    assert_eq!(answers[0], answers[2]);
    let untouched =
        world.data(&ada, &format!(r#"{{ order(id: "{order}") {{ status payment {{ status }} }} }}"#)).await;
    assert_eq!(untouched["order"], json!({ "status": "PENDING", "payment": { "status": "PENDING" } }));
}

#[tokio::test]
async fn changes_that_an_order_or_a_payment_is_not_ready_for() {
    let world = RealWorld::new().await;
    let (ada, admin) = (world.register("ada").await, world.admin().await);
    let (order, payment) = world.order(&ada).await;
    let pay = format!(
        r#"mutation {{ processPayment(input: {{paymentId: "{payment}", token: "tok_visa"}}) {{ id }} }}"#
    );
    let refund = |amount: &str| {
        format!(
            r#"mutation {{ refundPayment(input: {{paymentId: "{payment}", amount: "{amount}"}}) {{ id }} }}"#
        )
    };
    let ship = format!(r#"mutation {{ updateOrderStatus(id: "{order}", status: DELIVERED) {{ id }} }}"#);
    let delete = format!(r#"mutation {{ deleteOrder(id: "{order}") }}"#);
    assert_eq!(reason(&world.ask(&admin, &ship).await), ("FAILED_PRECONDITION", "ORDER_STATUS_NOT_ALLOWED"));
    assert_eq!(reason(&world.ask(&ada, &delete).await), ("FAILED_PRECONDITION", "ORDER_NOT_DELETABLE"));
    assert_eq!(
        reason(&world.ask(&admin, &refund("1.00")).await),
        ("FAILED_PRECONDITION", "PAYMENT_NOT_REFUNDABLE")
    );
    world.pay(&ada, &payment).await;
    assert_eq!(reason(&world.ask(&ada, &pay).await).1, "PAYMENT_ALREADY_PAID");
    for (amount, expected) in
        [("1000.00", "REFUND_EXCEEDS_PAYMENT"), ("0.001", "AMOUNT_INVALID"), ("0", "AMOUNT_INVALID")]
    {
        assert_eq!(reason(&world.ask(&admin, &refund(amount)).await).1, expected, "{amount}");
    }
    let settled = world.data(&ada, &format!(r#"{{ payment(id: "{payment}") {{ status refunded }} }}"#)).await;
    assert_eq!(settled["payment"], json!({ "status": "SUCCEEDED", "refunded": "0.00" }));
}

#[tokio::test]
async fn text_in_every_script_comes_back_as_it_was_sent() {
    let world = RealWorld::new().await;
    let ada = world.register("ada").await;
    let query = r#"mutation($id: ID!, $name: String!) { updateUser(id: $id, input: {firstName: $name}) { firstName } }"#;
    for name in
        ["Žofie", "Александр", "李小龍", "محمد", "अनुष्का", "ゆき", "𝒜𝓁𝒾𝒸ℯ", "👩🏽‍🚀", "O'Neil \"quoted\" \\ <b>"]
    {
        let (_, answer) = world.send(&ada, query, json!({ "id": ada.id, "name": name })).await;
        assert_eq!(answer["data"]["updateUser"]["firstName"], name, "{answer}");
    }
}
