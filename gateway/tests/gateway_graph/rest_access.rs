//! Who may use which route of REST: the whole document, asked by everyone.

use axum::http::Method;
use serde_json::{Value, json};
use testkit::Caller;

use crate::{rest::request, world::World};

/// The rule of each operation, as people would write it down. One that is new and not here fails the test.
const RULES: [(&str, &str); 24] = [
    ("register", "ACCESS_PUBLIC"),
    ("login", "ACCESS_PUBLIC"),
    ("refreshToken", "ACCESS_PUBLIC"),
    ("logout", "ACCESS_SIGNED_IN"),
    ("listUsers", "ACCESS_ADMIN"),
    ("me", "ACCESS_SIGNED_IN"),
    ("getUser", "ACCESS_SIGNED_IN"),
    ("updateUser", "ACCESS_SIGNED_IN"),
    ("deleteUser", "ACCESS_SIGNED_IN"),
    ("listProducts", "ACCESS_PUBLIC"),
    ("getProduct", "ACCESS_PUBLIC"),
    ("createOrder", "ACCESS_SIGNED_IN"),
    ("listOrders", "ACCESS_SIGNED_IN"),
    ("listMyOrders", "ACCESS_SIGNED_IN"),
    ("getOrder", "ACCESS_SIGNED_IN"),
    ("updateOrderStatus", "ACCESS_ADMIN"),
    ("cancelOrder", "ACCESS_SIGNED_IN"),
    ("deleteOrder", "ACCESS_SIGNED_IN"),
    ("listPayments", "ACCESS_SIGNED_IN"),
    ("listMyPayments", "ACCESS_SIGNED_IN"),
    ("getPayment", "ACCESS_SIGNED_IN"),
    ("getPaymentByOrder", "ACCESS_SIGNED_IN"),
    ("processPayment", "ACCESS_SIGNED_IN"),
    ("refundPayment", "ACCESS_ADMIN"),
];

/// An operation of the document.
struct Operation {
    id: String,
    access: String,
    method: Method,
    path: String,
    body: Option<Value>,
}

fn operations() -> Vec<Operation> {
    let document: Value = serde_json::from_str(&gateway::openapi()).unwrap();
    let mut operations = vec![];
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, told) in item.as_object().unwrap() {
            let text = |value: &Value| value.as_str().unwrap().to_owned();
            operations.push(Operation {
                id: text(&told["operationId"]),
                access: text(&told["x-access"]),
                method: method.to_uppercase().parse().unwrap(),
                path: path.strip_prefix("/api/v1").unwrap().replace("{id}", "x").replace("{orderId}", "x"),
                body: told.get("requestBody").map(|_| body(&text(&told["operationId"]))),
            });
        }
    }
    operations
}

/// A body of the right form.
fn body(operation: &str) -> Value {
    match operation {
        "register" => {
            json!({ "email": "lin@example.com", "password": "x", "firstName": "Lin", "lastName": "Wei" })
        }
        "login" => json!({ "email": "lin@example.com", "password": "x" }),
        "refreshToken" => json!({ "refreshToken": "x" }),
        "updateUser" | "refundPayment" => json!({}),
        "createOrder" => json!({ "shippingAddress": "x", "items": [{ "productId": "x", "quantity": 1 }] }),
        "updateOrderStatus" => json!({ "status": "SHIPPED" }),
        "processPayment" => json!({ "token": "x" }),
        _ => panic!("{operation} is new: say what it takes"),
    }
}

/// The code with which the operation is refused, and whether a service heard of it.
async fn ask(world: &World, who: Option<&Caller>, operation: &Operation) -> (String, bool) {
    world.calls.take();
    let request = request(operation.method.clone(), &operation.path, who, operation.body.as_ref());
    let answer = world.send(request).await;
    let code = answer.body["error"]["code"].as_str().unwrap_or_default().to_owned();
    let reason = answer.body["error"]["details"]["reason"].as_str().unwrap_or_default();
    assert!(!["INPUT_INVALID", "REQUEST_MALFORMED"].contains(&reason), "{}: {}", operation.id, answer.text);
    (code, !world.calls.take().is_empty())
}

#[tokio::test]
async fn every_route_is_refused_to_those_whom_its_rule_leaves_out() {
    let world = World::new();
    let (customer, admin) = (world.customer("Ada"), world.admin());
    let operations = operations();
    assert_eq!(operations.len(), RULES.len());
    for operation in &operations {
        let (_, rule) = RULES.iter().find(|(id, _)| *id == operation.id).unwrap();
        assert_eq!(operation.access, *rule, "{}", operation.id);
        let anonymous = ask(&world, None, operation).await;
        if *rule == "ACCESS_PUBLIC" {
            assert!(anonymous.1, "{} is open to all: {anonymous:?}", operation.id);
        } else {
            assert_eq!(anonymous, ("UNAUTHENTICATED".into(), false), "{}", operation.id);
        }
        let customers = ask(&world, Some(&customer), operation).await;
        if *rule == "ACCESS_ADMIN" {
            assert_eq!(customers, ("FORBIDDEN".into(), false), "{}", operation.id);
        } else {
            assert!(
                customers.1 && customers.0 != "FORBIDDEN",
                "{} is open to customers: {customers:?}",
                operation.id
            );
        }
        let admins = ask(&world, Some(&admin), operation).await;
        assert!(admins.1 && admins.0 != "FORBIDDEN", "{} is open to admins: {admins:?}", operation.id);
    }
}

#[test]
fn the_committed_document_is_the_one_that_is_served() {
    let committed = include_str!("../../../docs/openapi.json");
    assert!(committed == gateway::openapi(), "docs/openapi.json is old: run `make sdl`");
}
