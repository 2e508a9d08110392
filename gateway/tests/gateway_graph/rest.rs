//! REST beside the graph: the same answers, refusals and limits in another form.

use axum::{
    body::Body,
    http::{Method, Request, StatusCode, header},
};
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use testkit::Caller;

use crate::world::{Answer, World};

/// A request of REST at `path` below its root.
pub(crate) fn request(
    method: Method,
    path: &str,
    who: Option<&Caller>,
    body: Option<&Value>,
) -> Request<Body> {
    let mut request = Request::builder().method(method).uri(format!("/api/v1{path}"));
    if let Some(caller) = who {
        request = request.header(header::AUTHORIZATION, format!("Bearer {}", caller.token.expose_secret()));
    }
    match body {
        Some(body) => {
            let request = request.header(header::CONTENT_TYPE, "application/json");
            request.body(Body::from(body.to_string())).unwrap()
        }
        None => request.body(Body::empty()).unwrap(),
    }
}

async fn get(world: &World, path: &str, who: Option<&Caller>) -> Answer {
    world.send(request(Method::GET, path, who, None)).await
}

async fn post(world: &World, path: &str, who: Option<&Caller>, body: &Value) -> Answer {
    world.send(request(Method::POST, path, who, Some(body))).await
}

/// Status, code and reason of a failure.
fn failure(answer: &Answer) -> (u16, &str, &str) {
    let error = &answer.body["error"];
    let (code, reason) = (error["code"].as_str(), error["details"]["reason"].as_str());
    (answer.status.as_u16(), code.unwrap_or_default(), reason.unwrap_or_default())
}

fn an_order() -> Value {
    json!({ "shippingAddress": "12 St James's Square", "items": [{ "productId": "prod-1", "quantity": 2, "unitPrice": "999.99" }] })
}

#[tokio::test]
async fn a_thing_is_told_as_the_graph_tells_it() {
    let world = World::new();
    let (ada, order, payment) = world.buyer();
    let told = get(&world, &format!("/orders/{order}"), Some(&ada)).await;
    assert_eq!(told.status, StatusCode::OK, "{}", told.text);
    assert_eq!((&told.body["success"], &told.body["meta"]), (&json!(true), &json!({})));
    assert_eq!(told.headers[header::CACHE_CONTROL], "no-store");
    assert_eq!(told.headers[header::CONTENT_TYPE], "application/json");
    let query = format!(
        r#"{{ order(id: "{order}") {{ id userId status totalAmount currency shippingAddress notes
             items {{ productId productName quantity unitPrice }} createdAt updatedAt }}
             payment(id: "{payment}") {{ id orderId userId amount refunded currency status method transactionId
             failureReason paidAt createdAt updatedAt }}
             me {{ id email firstName lastName fullName role active createdAt updatedAt }}
             product(id: "prod-1") {{ id name unitPrice currency active createdAt updatedAt }} }}"#
    );
    let graph = world.ask(Some(&ada), &query).await;
    assert_eq!(told.body["data"], graph["data"]["order"]);
    let paths = [
        (format!("/payments/{payment}"), "payment"),
        (format!("/payments/order/{order}"), "payment"),
        ("/users/me".to_owned(), "me"),
        (format!("/users/{}", ada.viewer.user_id), "me"),
        ("/products/prod-1".to_owned(), "product"),
    ];
    for (path, field) in paths {
        assert_eq!(get(&world, &path, Some(&ada)).await.body["data"], graph["data"][field], "{path}");
    }
}

#[tokio::test]
async fn a_list_goes_on_after_its_cursor_and_is_counted_when_that_is_asked_for() {
    let world = World::new();
    let (ada, ..) = world.buyer();
    world.store.add_order(&ada, "prod-1");
    world.store.add_order(&ada, "prod-1");
    let first = get(&world, "/orders?limit=2&total=true", Some(&ada)).await.body;
    assert_eq!((&first["meta"]["total"], &first["meta"]["hasMore"]), (&json!(3), &json!(true)));
    let cursor = first["meta"]["nextCursor"].as_str().unwrap();
    let second = get(&world, &format!("/orders?limit=2&after={cursor}"), Some(&ada)).await.body;
    assert_eq!(second["data"].as_array().unwrap().len(), 1);
    assert_eq!(second["meta"], json!({ "total": null, "hasMore": false, "nextCursor": null }));
    for path in ["/orders/my-orders", "/orders?status=PENDING", "/payments", "/payments/my-payments"] {
        assert_eq!(get(&world, path, Some(&ada)).await.body["data"].as_array().unwrap().len(), 3, "{path}");
    }
    let shipped = get(&world, "/orders?status=SHIPPED", Some(&ada)).await.body;
    assert_eq!(shipped["data"], json!([]));
    let stranger = world.customer("Mallory");
    assert_eq!(get(&world, "/orders", Some(&stranger)).await.body["data"], json!([]));
}

#[tokio::test]
async fn products_are_for_everyone_and_for_caches_and_nothing_else_is() {
    let world = World::new();
    let (ada, ..) = world.buyer();
    for path in ["/products", "/products/prod-1"] {
        let told = get(&world, path, None).await;
        assert_eq!(told.headers[header::CACHE_CONTROL], "public, max-age=60", "{path}");
        assert!(!told.headers.contains_key("ratelimit"), "{path}");
        let mut again = request(Method::GET, path, None, None);
        again.headers_mut().insert(header::IF_NONE_MATCH, told.headers[header::ETAG].clone());
        assert_eq!(world.send(again).await.status, StatusCode::NOT_MODIFIED, "{path}");
    }
    let named = [("/products", Some(&ada)), ("/users/me", Some(&ada))];
    for (path, who) in [("/products/missing", None), ("/products?limit=0", None)].into_iter().chain(named) {
        assert_eq!(get(&world, path, who).await.headers[header::CACHE_CONTROL], "no-store", "{path}");
    }
}

#[tokio::test]
async fn what_is_made_is_told_as_made_with_exact_money() {
    let world = World::new();
    let (ada, ..) = world.buyer();
    let made = post(&world, "/orders", Some(&ada), &an_order()).await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.text);
    assert_eq!(made.body["data"]["totalAmount"], "1999.98");
    let input = json!({ "email": "lin@example.com", "password": "a-door-with-columns-7", "firstName": "Lin", "lastName": "Wei" });
    let registered = post(&world, "/users/register", None, &input).await;
    assert_eq!(registered.status, StatusCode::CREATED, "{}", registered.text);
    let session = &registered.body["data"];
    assert!(session["token"].is_string() && session["refreshToken"].is_string(), "{session}");
    assert_eq!(session["user"]["fullName"], "Lin Wei");
}

#[tokio::test]
async fn a_body_is_read_as_the_graph_reads_its_inputs() {
    let world = World::new();
    let (ada, ..) = world.buyer();
    let with = |pointer: &str, value: Value| {
        let mut order = an_order();
        *order.pointer_mut(pointer).unwrap() = value;
        order
    };
    for (body, field, reason) in [
        (with("/items/0/quantity", json!("2")), "items.0.quantity", "INPUT_INVALID"),
        (with("/items/0/quantity", json!(2.5)), "items.0.quantity", "INPUT_INVALID"),
        (with("/items/0/unitPrice", json!("9,99")), "items.0.unitPrice", "DECIMAL_INVALID"),
        (with("/items/0/unitPrice", json!(-1)), "items.0.unitPrice", "DECIMAL_INVALID"),
        (with("/shippingAddress", json!(null)), "shippingAddress", "INPUT_INVALID"),
        (json!({ "shippingAddress": "here" }), "items", "INPUT_INVALID"),
        (json!({ "nonsense": 1 }), "nonsense", "INPUT_INVALID"),
        (json!([]), "input", "INPUT_INVALID"),
    ] {
        let refused = post(&world, "/orders", Some(&ada), &body).await;
        assert_eq!(failure(&refused), (400, "BAD_USER_INPUT", reason), "{body}");
        assert_eq!(refused.body["error"]["details"]["violations"][0]["field"], field, "{body}");
        assert!(world.store.take_changes().is_empty(), "{body}");
    }
    let exact = with("/items/0/unitPrice", json!(999.99));
    assert_eq!(post(&world, "/orders", Some(&ada), &exact).await.status, StatusCode::CREATED);
}

#[tokio::test]
async fn a_parameter_that_is_unknown_or_there_twice_or_no_value_of_its_type_is_refused() {
    let world = World::new();
    let (ada, ..) = world.buyer();
    for (path, field) in [
        ("/orders?limit=ten", "limit"),
        ("/orders?limit=1.5", "limit"),
        ("/orders?limit=1&limit=2", "limit"),
        ("/orders?staus=PENDING", "staus"),
        ("/orders?status=pending", "status"),
        ("/orders?total=yes", "total"),
        ("/orders/my-orders?status=PENDING", "status"),
    ] {
        let refused = get(&world, path, Some(&ada)).await;
        assert_eq!(failure(&refused), (400, "BAD_USER_INPUT", "INPUT_INVALID"), "{path}");
        assert_eq!(refused.body["error"]["details"]["violations"][0]["field"], field, "{path}");
    }
    let refused = get(&world, "/orders?limit=101", Some(&ada)).await;
    assert_eq!(failure(&refused), (400, "BAD_USER_INPUT", "PAGE_SIZE_OUT_OF_RANGE"));
    assert_eq!(failure(&get(&world, "/users/me?x=1", Some(&ada)).await).2, "REQUEST_MALFORMED");
}

#[tokio::test]
async fn the_idempotency_key_comes_by_header_or_body_and_two_must_agree() {
    let world = World::new();
    let (ada, _, payment) = world.buyer();
    let path = format!("/payments/{payment}/process");
    let send = |header: &[&'static [u8]], body: Value| {
        let mut request = request(Method::POST, &path, Some(&ada), Some(&body));
        for value in header {
            request
                .headers_mut()
                .append("idempotency-key", axum::http::HeaderValue::from_bytes(value).unwrap());
        }
        world.send(request)
    };
    let token = || json!({ "token": "tok_visa" });
    let keyed = || json!({ "token": "tok_visa", "idempotencyKey": "pay-1" });
    for (header, body) in
        [(&[] as &[&'static [u8]], token()), (&[b"pay-1"], token()), (&[], keyed()), (&[b"pay-1"], keyed())]
    {
        assert_eq!(send(header, body).await.status, StatusCode::OK);
    }
    for (header, body) in [
        (&[&b"pay-2"[..]][..], keyed()),
        (&[b"pay-1", b"pay-1"], token()),
        (&[b""], token()),
        (&[b"\xff"], token()),
    ] {
        let refused = send(header, body).await;
        assert_eq!(failure(&refused), (400, "BAD_USER_INPUT", "IDEMPOTENCY_KEY_INVALID"));
    }
}

#[tokio::test]
async fn http_s_own_refusals_have_the_same_form() {
    let world = World::with(&["--limit-body", "1024"]);
    let (ada, order, _) = world.buyer();
    let nowhere = get(&world, "/nowhere", Some(&ada)).await;
    assert_eq!(failure(&nowhere), (404, "NOT_FOUND", "NOT_FOUND"));
    let id = nowhere.headers["x-request-id"].to_str().unwrap();
    assert_eq!(nowhere.body["error"]["details"]["requestId"], id);
    let method = world.send(request(Method::PUT, &format!("/orders/{order}"), Some(&ada), None)).await;
    assert_eq!(failure(&method), (405, "BAD_USER_INPUT", "METHOD_NOT_ALLOWED"));
    let allowed = method.headers[header::ALLOW].to_str().unwrap();
    assert!(allowed.contains("GET") && allowed.contains("DELETE") && !allowed.contains("POST"), "{allowed}");
    let mut plain = request(Method::POST, "/orders", Some(&ada), Some(&an_order()));
    plain.headers_mut().insert(header::CONTENT_TYPE, "text/plain".parse().unwrap());
    assert_eq!(failure(&world.send(plain).await), (415, "BAD_USER_INPUT", "MEDIA_TYPE_UNSUPPORTED"));
    let large = json!({ "shippingAddress": "x".repeat(2000), "items": [] });
    let large = post(&world, "/orders", Some(&ada), &large).await;
    assert_eq!(failure(&large), (413, "BAD_USER_INPUT", "BODY_TOO_LARGE"));
    let mut html = request(Method::GET, "/products", None, None);
    html.headers_mut().insert(header::ACCEPT, "text/html".parse().unwrap());
    assert_eq!(failure(&world.send(html).await), (406, "BAD_USER_INPUT", "NOT_ACCEPTABLE"));
    let mut bad_json = request(Method::POST, "/orders", Some(&ada), Some(&an_order()));
    *bad_json.body_mut() = Body::from("{");
    assert_eq!(failure(&world.send(bad_json).await), (400, "BAD_USER_INPUT", "REQUEST_MALFORMED"));
    assert_eq!(
        failure(&get(&world, "/orders/%ff", Some(&ada)).await),
        (400, "BAD_USER_INPUT", "REQUEST_MALFORMED")
    );
}

#[tokio::test]
async fn a_page_of_another_site_gets_nothing_by_rest_either() {
    let world = World::new();
    let mut image = request(Method::GET, "/products", None, None);
    image.headers_mut().insert("sec-fetch-site", "cross-site".parse().unwrap());
    assert_eq!(failure(&world.send(image).await), (403, "FORBIDDEN", "CROSS_SITE_REQUEST"));
}

#[tokio::test]
async fn a_bad_token_is_refused_even_where_none_is_needed() {
    let world = World::new();
    let mut bad = request(Method::GET, "/products", None, None);
    bad.headers_mut().insert(header::AUTHORIZATION, "Bearer nonsense".parse().unwrap());
    let refused = world.send(bad).await;
    assert_eq!(failure(&refused), (401, "UNAUTHENTICATED", "TOKEN_INVALID"));
    assert!(refused.headers.contains_key(header::WWW_AUTHENTICATE));
}

#[tokio::test]
async fn another_s_things_answer_as_missing_ones_by_rest_too() {
    let world = World::new();
    let (ada, order, payment) = world.buyer();
    let (stranger, missing) = (world.customer("Mallory"), uuid::Uuid::now_v7().to_string());
    for (path, id) in [
        ("/orders/", &order),
        ("/payments/", &payment),
        ("/payments/order/", &order),
        ("/users/", &ada.viewer.user_id.to_string()),
    ] {
        let theirs = get(&world, &format!("{path}{id}"), Some(&stranger)).await;
        let mut nobodys = get(&world, &format!("{path}{missing}"), Some(&stranger)).await;
        assert_eq!(failure(&theirs), (404, "NOT_FOUND", "NOT_FOUND"), "{path}");
        nobodys.body["error"]["details"]["requestId"] = theirs.body["error"]["details"]["requestId"].clone();
        assert_eq!(theirs.body, nobodys.body, "{path}");
        assert_eq!(failure(&get(&world, &format!("{path}no-uuid"), Some(&stranger)).await).0, 404, "{path}");
    }
}

#[tokio::test]
async fn requests_and_attempts_count_as_those_of_the_graph_do() {
    let world = World::with(&["--login-limit-per-minute", "2"]);
    world.customer("Ada");
    let input = json!({ "email": "ada@example.com", "password": "x" });
    let graph = r#"mutation { login(input: {email: "ada@example.com", password: "x"}) { token } }"#;
    assert_eq!(post(&world, "/users/login", None, &input).await.status, StatusCode::OK);
    assert!(world.ask(None, graph).await["data"]["login"]["token"].is_string());
    let refused = post(&world, "/users/login", None, &input).await;
    assert_eq!(failure(&refused), (429, "RATE_LIMITED", "ATTEMPT_RATE_EXCEEDED"));
    let seconds: u64 = refused.headers[header::RETRY_AFTER].to_str().unwrap().parse().unwrap();
    assert_eq!(refused.body["error"]["details"]["retryAfter"], seconds);
    let world = World::with(&["--rate-limit-per-second", "1", "--rate-limit-burst", "1"]);
    assert_eq!(get(&world, "/products", None).await.status, StatusCode::OK);
    let refused = get(&world, "/products", None).await;
    assert_eq!(failure(&refused), (429, "RATE_LIMITED", "REQUEST_RATE_EXCEEDED"));
}

#[tokio::test]
async fn a_service_that_is_down_or_broken_is_told_without_its_words() {
    let world = World::new();
    let (ada, ..) = world.buyer();
    world.faults.set("order", crate::world::Fault::Down);
    let down = get(&world, "/orders", Some(&ada)).await;
    assert_eq!(failure(&down), (503, "SERVICE_UNAVAILABLE", "SERVICE_UNAVAILABLE"));
    world.faults.set("order", crate::world::Fault::Broken("SELECT secret"));
    let broken = get(&world, "/orders", Some(&ada)).await;
    assert_eq!(failure(&broken), (500, "INTERNAL", "INTERNAL"));
    assert!(!broken.text.contains("secret") && !down.text.contains("10.0.0.7"));
}
