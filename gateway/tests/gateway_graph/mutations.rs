//! What is wrong with a mutation is found before any of it runs, and what runs, runs once and in order.

use serde_json::{Value, json};

use crate::world::{World, reason, refusal};

/// Asserts that the request was refused as a whole: nothing ran, and there is no `data`.
fn refused_whole(world: &World, body: &Value, expected: &str) {
    assert_eq!(reason(body), ("BAD_USER_INPUT", expected), "{body}");
    assert!(body.get("data").is_none(), "{body}");
    assert!(world.store.take_changes().is_empty());
}

#[tokio::test]
async fn a_field_that_stands_twice_is_refused_and_nothing_runs() {
    let world = World::new();
    let (ada, _, payment) = world.buyer();
    let pay = format!(r#"processPayment(input: {{ paymentId: "{payment}", token: "tok_visa" }}) {{ id }}"#);
    for document in [
        format!("mutation {{ {pay} {pay} }}"),
        format!("mutation {{ a: {pay} a: {pay} }}"),
        format!("mutation {{ {pay} ... {{ {pay} }} }}"),
        format!("mutation {{ {pay} ... on Mutation {{ ... on Mutation {{ {pay} }} }} }}"),
        format!("mutation {{ {pay} ...again }} fragment again on Mutation {{ {pay} }}"),
        format!("mutation {{ ...once ...once }} fragment once on Mutation {{ {pay} }}"),
        format!("mutation {{ logout {pay} logout: {pay} }}"),
    ] {
        let body = world.ask(Some(&ada), &document).await;
        refused_whole(&world, &body, "MUTATION_FIELD_REPEATED");
    }
}

#[tokio::test]
async fn fields_with_names_of_their_own_run_one_after_the_other() {
    let world = World::new();
    let ada = world.customer("Ada");
    world.store.add_product("prod-1", "Laptop", 99_999);
    let place = |note: &str| {
        format!(
            r#"{note}: createOrder(input: {{ shippingAddress: "x", notes: "{note}", items: [{{ productId: "prod-1", quantity: 1 }}] }}) {{ notes }}"#
        )
    };
    let document = format!("mutation {{ {} {} {} }}", place("c"), place("a"), place("b"));
    let body = world.ask(Some(&ada), &document).await;
    assert_eq!(body["data"]["b"]["notes"], "b");
    assert_eq!(world.store.take_changes(), ["CreateOrder c", "CreateOrder a", "CreateOrder b"]);
}

#[tokio::test]
async fn a_value_that_is_missing_or_of_another_type_is_found_before_the_first_field_runs() {
    let world = World::new();
    let ada = world.customer("Ada");
    let head = "mutation($input: CreateOrderInput!, $id: ID!, $quantity: Int!, $status: OrderStatus, $price: Decimal)";
    let good_item = json!({ "productId": "prod-1", "quantity": 1 });
    let good = json!({ "input": { "shippingAddress": "x", "items": [good_item] }, "id": "1", "quantity": 1 });
    let document = format!(
        r#"{head} {{ logout createOrder(input: $input) {{ id }} cancelOrder(id: $id) {{ id }}
            second: createOrder(input: {{ shippingAddress: "x", items: [{{ productId: "1", quantity: $quantity, unitPrice: $price }}] }}) {{ id }}
            updateOrderStatus(id: $id, status: $status) {{ id }} }}"#
    )
    .replace("status: $status", "status: SHIPPED")
    .replace(", $status: OrderStatus", "");
    let with = |pointer: &str, value: Value| {
        let mut variables = good.clone();
        let (parent, name) = pointer.rsplit_once('/').unwrap();
        variables.pointer_mut(parent).unwrap()[name] = value;
        variables
    };
    let without = |name: &str| {
        let mut variables = good.clone();
        variables.as_object_mut().unwrap().remove(name);
        variables
    };
    for (variables, field) in [
        (without("id"), "id"),
        (without("quantity"), "quantity"),
        (without("input"), "input"),
        (with("/id", Value::Null), "id"),
        (with("/id", json!({})), "id"),
        (with("/id", json!(1.5)), "id"),
        (with("/quantity", json!(2_147_483_648_i64)), "quantity"),
        (with("/quantity", json!(1.5)), "quantity"),
        (with("/quantity", json!("1")), "quantity"),
        (with("/input", json!("x")), "input"),
        (with("/input/items", Value::Null), "items"),
        (
            with("/input/items", json!([good_item, { "productId": "1", "quantity": 99_999_999_999_i64 }])),
            "items.1.quantity",
        ),
        (with("/input/items", json!([{ "productId": "1" }])), "items.0.quantity"),
        (with("/input/shippingAddress", json!(7)), "shippingAddress"),
        (with("/input/surprise", json!(7)), "surprise"),
    ] {
        let body = world.ask_with(Some(&ada), &document, variables.clone()).await;
        refused_whole(&world, &body, "INPUT_INVALID");
        assert_eq!(refusal(&body)["violations"][0]["field"], field, "{variables}");
        assert!(refusal(&body)["violations"][0]["message"].is_string());
    }
    let body = world.ask_with(Some(&ada), &document, with("/price", json!("1e3"))).await;
    refused_whole(&world, &body, "DECIMAL_INVALID");
}

#[tokio::test]
async fn a_value_in_the_document_that_does_not_fit_is_found_before_the_first_field_runs() {
    let world = World::new();
    let ada = world.customer("Ada");
    let order = |item: &str| {
        format!(
            r#"mutation {{ logout createOrder(input: {{ shippingAddress: "x", items: [{{ productId: "1", {item} }}] }}) {{ id }} }}"#
        )
    };
    let body = world.ask(Some(&ada), &order("quantity: 2147483648")).await;
    refused_whole(&world, &body, "INPUT_INVALID");
    assert_eq!(refusal(&body)["violations"][0]["field"], "items.0.quantity");
    let body = world.ask(Some(&ada), &order("quantity: 1, unitPrice: -1.00")).await;
    refused_whole(&world, &body, "DECIMAL_INVALID");
    assert_eq!(refusal(&body)["violations"][0]["field"], "items.0.unitPrice");
    // A variable that may be absent where a value is needed.
    let document = "mutation($id: ID) { logout cancelOrder(id: $id) { id } }";
    let body = world.ask(Some(&ada), document).await;
    assert!(body.get("data").is_none(), "{body}");
    assert!(world.store.take_changes().is_empty());
}

#[tokio::test]
async fn a_document_that_is_wrong_anywhere_runs_nowhere() {
    let world = World::new();
    let ada = world.customer("Ada");
    for document in [
        "mutation { logout nonsense }",
        "mutation { logout cancelOrder { id } }",
        "mutation { logout cancelOrder(id: \"1\") }",
        "mutation { logout cancelOrder(id: \"1\", force: true) { id } }",
        "mutation { logout updateOrderStatus(id: \"1\", status: LOST) { id } }",
        "mutation { logout ",
        "mutation($x: Nothing) { logout }",
        "mutation { logout ...missing }",
    ] {
        let body = world.ask(Some(&ada), document).await;
        assert_eq!(reason(&body).0, "BAD_USER_INPUT", "{document}: {body}");
        assert!(body.get("data").is_none(), "{document}: {body}");
        assert!(world.store.take_changes().is_empty(), "{document}");
    }
}

#[tokio::test]
async fn variables_that_may_be_left_out_are_taken_as_left_out() {
    let world = World::new();
    let ada = world.customer("Ada");
    let document = "mutation($id: ID!, $first: String, $last: String = \"Byron\", $none: String) {
        updateUser(id: $id, input: { firstName: $first, lastName: $last, email: $none }) { firstName } }";
    let variables = json!({ "id": ada.viewer.user_id.to_string(), "first": "Augusta" });
    let body = world.ask_with(Some(&ada), document, variables).await;
    assert_eq!(body, json!({ "data": { "updateUser": { "firstName": "Augusta" } } }));
    assert_eq!(world.store.take_changes(), ["UpdateUser first_name,last_name"]);
    let list = "query($limit: Int, $status: OrderStatus) { orders(limit: $limit, filter: {status: $status}) { data { id } } }";
    assert_eq!(world.ask(Some(&ada), list).await, json!({ "data": { "orders": { "data": [] } } }));
    let body = world.ask_with(Some(&ada), list, json!({ "limit": null, "status": null })).await;
    assert_eq!(body, json!({ "data": { "orders": { "data": [] } } }));
}

#[tokio::test]
async fn a_mutation_sees_what_the_one_before_it_changed() {
    let world = World::new();
    let (ada, order, payment) = world.buyer();
    let document = format!(
        r#"mutation {{
            before: createPayment(input: {{ orderId: "{order}" }}) {{ order {{ status }} user {{ firstName }} }}
            cancelOrder(id: "{order}") {{ payment {{ status }} }}
            processPayment(input: {{ paymentId: "{payment}", token: "tok_visa" }}) {{ order {{ status payment {{ status }} }} }}
            updateUser(id: "{user}", input: {{ firstName: "Augusta" }}) {{ id }}
            after: createPayment(input: {{ orderId: "{order}" }}) {{ user {{ firstName }} }} }}"#,
        user = ada.viewer.user_id
    );
    let data = world.ask(Some(&ada), &document).await["data"].clone();
    assert_eq!(data["before"], json!({ "order": { "status": "PENDING" }, "user": { "firstName": "Ada" } }));
    assert_eq!(data["cancelOrder"]["payment"]["status"], "PENDING");
    assert_eq!(
        data["processPayment"]["order"],
        json!({ "status": "CANCELLED", "payment": { "status": "SUCCEEDED" } })
    );
    assert_eq!(data["after"]["user"]["firstName"], "Augusta");
}

#[tokio::test]
async fn a_refusal_of_a_service_arrives_with_its_reason_its_fields_and_its_delay() {
    let world = World::new();
    let (ada, order, _) = world.buyer();
    let document = r#"mutation { createOrder(input: { shippingAddress: "x", items: [{ productId: "none", quantity: 1 }] }) { id } }"#;
    let body = world.ask(Some(&ada), document).await;
    assert_eq!(body["data"], Value::Null);
    assert_eq!(body["errors"][0]["path"], json!(["createOrder"]));
    assert_eq!(reason(&body), ("BAD_USER_INPUT", "PRODUCT_UNKNOWN"));
    assert_eq!(
        refusal(&body)["violations"],
        json!([{ "field": "items.0.productId", "message": "must exist" }])
    );

    let cancel = format!(
        r#"mutation {{ a: cancelOrder(id: "{order}") {{ status }} b: cancelOrder(id: "{order}") {{ status }} }}"#
    );
    let body = world.ask(Some(&ada), &cancel).await;
    assert_eq!(reason(&body), ("FAILED_PRECONDITION", "ORDER_NOT_CANCELLABLE"));
    assert_eq!(body["errors"][0]["path"], json!(["b"]));

    let body = world
        .ask(None, r#"mutation { login(input: { email: "a", password: "too often" }) { token } }"#)
        .await;
    assert_eq!(reason(&body), ("RATE_LIMITED", "LOGIN_THROTTLED"));
    assert_eq!(refusal(&body)["retryAfter"], 3);
}

#[tokio::test]
async fn a_hundred_logins_in_one_request_are_a_hundred_attempts() {
    let world = World::with(&["--limit-root-fields", "100", "--login-limit-per-minute", "100"]);
    world.customer("Ada");
    let fields: String = (0..100)
        .map(|n| {
            format!(r#" a{n}: login(input: {{ email: "ada@example.com", password: "{n}" }}) {{ token }}"#)
        })
        .collect();
    world.calls.take();
    world.ask(None, &format!("mutation {{ {fields} }}")).await;
    assert_eq!(world.calls.take()["Authenticate"], 100);
}

#[tokio::test]
async fn every_mutation_is_one_call() {
    let world = World::new();
    let (ada, order, payment) = world.buyer();
    let (admin, user) = (world.admin(), ada.viewer.user_id);
    for (mutation, change) in [
        (r#"refreshToken(refreshToken: "x") { token }"#.to_owned(), "RefreshSession"),
        ("logout".into(), "RevokeSession"),
        (r#"changePassword(input: { currentPassword: "a", newPassword: "b" })"#.into(), "ChangePassword"),
        (format!(r#"updateUser(id: "{user}", input: {{ email: "a@b.c" }}) {{ id }}"#), "UpdateUser email"),
        (format!(r#"setUserRole(id: "{user}", role: ADMIN) {{ role }}"#), "SetUserRole"),
        (format!(r#"setUserActive(id: "{user}", active: false) {{ active }}"#), "SetUserActive"),
        (format!(r#"updateOrderStatus(id: "{order}", status: CONFIRMED) {{ status }}"#), "UpdateOrderStatus"),
        (format!(r#"createPayment(input: {{ orderId: "{order}" }}) {{ status }}"#), "CreatePayment"),
        (
            format!(r#"processPayment(input: {{ paymentId: "{payment}", token: "tok_visa" }}) {{ method }}"#),
            "ProcessPayment tok_visa",
        ),
        (
            format!(r#"refundPayment(input: {{ paymentId: "{payment}" }}) {{ refunded }}"#),
            "RefundPayment all",
        ),
        (format!(r#"cancelOrder(id: "{order}") {{ status }}"#), "CancelOrder"),
        (format!(r#"deleteOrder(id: "{order}")"#), "DeleteOrder"),
        (format!(r#"deleteUser(id: "{user}")"#), "DeleteUser"),
    ] {
        world.calls.take();
        let body = world.ask(Some(&admin), &format!("mutation {{ {mutation} }}")).await;
        assert!(body.get("errors").is_none(), "{mutation}: {body}");
        assert_eq!(world.store.take_changes(), [change], "{mutation}");
        assert_eq!(world.calls.take().values().sum::<usize>(), 1, "{mutation}");
    }
}
