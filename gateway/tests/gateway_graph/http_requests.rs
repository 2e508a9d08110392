//! GraphQL over HTTP: the requests that are taken, those that are refused, and the form of every answer.

use axum::{
    body::Body,
    http::{Method, Request, StatusCode, header},
};
use serde_json::{Value, json};

use crate::world::{Answer, World, post, reason, refusal};

async fn get(world: &World, uri: &str) -> Answer {
    world.send(Request::get(uri).body(Body::empty()).unwrap()).await
}

async fn post_as(world: &World, content_type: &str, body: impl Into<Body>) -> Answer {
    let request = Request::post("/graphql").header(header::CONTENT_TYPE, content_type);
    world.send(request.body(body.into()).unwrap()).await
}

#[tokio::test]
async fn a_query_can_be_posted_or_asked_for_at_both_paths() {
    let world = World::new();
    let expected = json!({ "data": { "__typename": "Query" } });
    for path in ["/graphql", "/query"] {
        let answer = get(&world, &format!("{path}?query=%7B__typename%7D")).await;
        assert_eq!((answer.status, &answer.body), (StatusCode::OK, &expected), "{path}");
        let request = Request::post(path).header(header::CONTENT_TYPE, "application/json; charset=utf-8");
        let answer = world.send(request.body(Body::from(r#"{"query":"{__typename}"}"#)).unwrap()).await;
        assert_eq!((answer.status, &answer.body), (StatusCode::OK, &expected), "{path}");
        assert_eq!(answer.headers[header::CONTENT_TYPE], "application/json; charset=utf-8");
        assert_eq!(answer.headers[header::CACHE_CONTROL], "no-store");
    }
}

#[tokio::test]
async fn a_get_carries_variables_and_the_name_of_the_operation() {
    let world = World::new();
    world.store.add_product("prod-1", "Laptop", 99_999);
    let query = "query A($id: ID!) { product(id: $id) { name } } query B { __typename }".replace(' ', "%20");
    let answer =
        get(&world, &format!("/graphql?query={query}&operationName=A&variables=%7B%22id%22:%22prod-1%22%7D"))
            .await;
    assert_eq!(answer.body, json!({ "data": { "product": { "name": "Laptop" } } }));
    let answer = get(&world, &format!("/graphql?query={query}&operationName=B&variables=")).await;
    assert_eq!(answer.body, json!({ "data": { "__typename": "Query" } }));
}

#[tokio::test]
async fn a_get_changes_nothing() {
    let world = World::new();
    world.customer("Ada");
    for query in ["mutation{logout}", "query%20A{__typename}%20mutation%20B{logout}&operationName=B"] {
        let answer = get(&world, &format!("/graphql?query={query}")).await;
        assert_eq!(answer.status, StatusCode::METHOD_NOT_ALLOWED, "{query}");
        assert_eq!(answer.headers[header::ALLOW], "POST");
        assert_eq!(reason(&answer.body), ("BAD_USER_INPUT", "METHOD_NOT_ALLOWED"));
    }
    assert!(world.store.take_changes().is_empty());
}

#[tokio::test]
async fn the_operation_that_is_meant_must_be_clear() {
    let world = World::new();
    let ask = |query: &str, name: Value| post(None, &json!({ "query": query, "operationName": name }));
    let two = "query A { __typename } query B { a: __typename }";
    assert_eq!(world.send(ask(two, json!("B"))).await.body, json!({ "data": { "a": "Query" } }));
    assert_eq!(
        world.send(ask("query A { __typename }", Value::Null)).await.body["data"]["__typename"],
        "Query"
    );
    for (query, name, expected) in [
        (two, Value::Null, "OPERATION_NAME_MISSING"),
        (two, json!("C"), "OPERATION_UNKNOWN"),
        ("{ __typename }", json!("A"), "OPERATION_UNKNOWN"),
    ] {
        let body = world.send(ask(query, name.clone())).await.body;
        assert_eq!(reason(&body), ("BAD_USER_INPUT", expected), "{query} {name}");
    }
}

#[tokio::test]
async fn a_body_that_is_no_graphql_request_is_refused_with_400() {
    let world = World::new();
    for body in [
        "",
        "{",
        "null",
        "7",
        r#""{__typename}""#,
        r#"{"query":7}"#,
        "{}",
        r#"{"query":null}"#,
        r#"{"query":"{__typename}","query":"{__typename}"}"#,
        r#"{"query":"{__typename}","variables":{},"variables":{}}"#,
        r#"{"query":"{__typename}","extensions":[]}"#,
        r#"{"query":"{__typename}","extensions":"{}"}"#,
        r#"{"query":"{__typename}","extensions":7}"#,
        r#"{"query":"{__typename}","operationName":7}"#,
        r#"{"query":"{__typename}"} {}"#,
        r#"{"query":"\ud800"}"#,
        r#"{"query":"{__typename}","variables":[]}"#,
        r#"{"query":"{__typename}","variables":"{}"}"#,
        "\u{feff}{}",
    ] {
        let answer = post_as(&world, "application/json", body).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{body}");
        assert_eq!(reason(&answer.body), ("BAD_USER_INPUT", "REQUEST_MALFORMED"), "{body}");
        assert!(answer.body.get("data").is_none());
    }
    let not_utf8: &[u8] = b"{\"query\":\"{ __typename } # \xff\"}";
    assert_eq!(post_as(&world, "application/json", not_utf8).await.status, StatusCode::BAD_REQUEST);
    for uri in [
        "/graphql",
        "/graphql?query",
        "/graphql?variables=%7B%7D",
        "/graphql?query={a}&query={b}",
        "/graphql?query=%7B__typename%7D&variables=%5B%5D",
        "/graphql?query=%7B__typename%7D&variables=1",
        "/graphql?query=%7B__typename%7D&extensions=%5B%5D",
        "/graphql?query=%7B__typename%7D&extensions=%7B",
        "/graphql?query=%7B__typename%7D&operationName=A&operationName=A",
        "/graphql?query=%7B__typename%7D%23%FF",
    ] {
        let answer = get(&world, uri).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{uri}: {}", answer.text);
        assert_eq!(reason(&answer.body), ("BAD_USER_INPUT", "REQUEST_MALFORMED"), "{uri}: {}", answer.text);
    }
}

#[tokio::test]
async fn a_parameter_of_a_url_is_read_as_a_form_writes_it() {
    let world = World::new();
    for uri in [
        "/graphql?query=query+A+%7B+__typename+%7D&operationName=A&variables=&extensions=null",
        "/graphql?other=%FF&&query=%7b__typename%7d%23%F0%9F%A6%80&extensions=%7B%22a%22%3A1%7D",
    ] {
        let answer = get(&world, uri).await;
        assert_eq!(answer.body, json!({ "data": { "__typename": "Query" } }), "{uri}: {}", answer.text);
    }
}

#[tokio::test]
async fn members_that_are_not_ours_are_left_to_others() {
    let world = World::new();
    let body =
        r#"{"query":"{__typename}","variables":null,"operationName":null,"extensions":{"a":1},"id":7}"#;
    assert_eq!(post_as(&world, "application/json", body).await.status, StatusCode::OK);
}

#[tokio::test]
async fn only_json_may_be_posted_since_any_page_can_send_forms() {
    let world = World::new();
    for content_type in [
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "application/graphql",
        "application/json; charset=iso-8859-1",
        "application/json; charset=utf-16",
        "application/jsonp",
        "",
    ] {
        let answer = post_as(&world, content_type, r#"{"query":"{__typename}"}"#).await;
        assert_eq!(answer.status, StatusCode::UNSUPPORTED_MEDIA_TYPE, "{content_type}");
        assert_eq!(reason(&answer.body), ("BAD_USER_INPUT", "MEDIA_TYPE_UNSUPPORTED"));
    }
}

#[tokio::test]
async fn what_a_body_is_must_be_said_once_and_it_must_be_that() {
    let world = World::new();
    let send = async |headers: &[(&str, &str)]| {
        let mut request = Request::post("/graphql");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        world.send(request.body(Body::from(r#"{"query":"{__typename}"}"#)).unwrap()).await.status
    };
    let json = ("content-type", "application/json");
    assert_eq!(send(&[json, ("content-encoding", "identity")]).await, StatusCode::OK);
    assert_eq!(send(&[("content-type", "Application/JSON;charset=\"UTF-8\"; v=1")]).await, StatusCode::OK);
    for headers in [
        &[][..],
        &[json, ("content-type", "text/plain")],
        &[json, ("content-encoding", "gzip")],
        &[json, ("content-encoding", "br")],
    ] {
        assert_eq!(send(headers).await, StatusCode::UNSUPPORTED_MEDIA_TYPE, "{headers:?}");
    }
}

#[tokio::test]
async fn who_takes_nothing_that_there_is_is_told_so() {
    let world = World::new();
    for accept in ["text/html", "application/json;q=0", "application/json; charset=utf-16", "multipart/mixed"]
    {
        let mut request = post(None, &json!({ "query": "{ products { data { id } } }" }));
        request.headers_mut().insert(header::ACCEPT, accept.parse().unwrap());
        let answer = world.send(request).await;
        assert_eq!(answer.status, StatusCode::NOT_ACCEPTABLE, "{accept}");
        assert_eq!(answer.headers[header::CONTENT_TYPE], "application/json; charset=utf-8");
        assert_eq!(reason(&answer.body), ("BAD_USER_INPUT", "NOT_ACCEPTABLE"), "{accept}");
    }
    assert!(world.calls.take().is_empty());
}

#[tokio::test]
async fn a_body_of_more_than_a_mebibyte_is_refused() {
    let world = World::new();
    let padded = |bytes: usize| {
        let empty = r#"{"query":"{__typename}","pad":""}"#;
        empty.replace(r#""""#, &format!("\"{}\"", "x".repeat(bytes - empty.len())))
    };
    assert_eq!(post_as(&world, "application/json", padded(1024 * 1024)).await.status, StatusCode::OK);
    let answer = post_as(&world, "application/json", padded(1024 * 1024 + 1)).await;
    assert_eq!(answer.status, StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(reason(&answer.body), ("BAD_USER_INPUT", "BODY_TOO_LARGE"));
}

#[tokio::test]
async fn other_methods_are_refused_and_told_which_are_not() {
    let world = World::new();
    for method in [Method::PUT, Method::DELETE, Method::PATCH, Method::HEAD] {
        let request = Request::builder().method(method.clone()).uri("/graphql").body(Body::empty()).unwrap();
        let answer = world.send(request).await;
        assert_eq!(answer.status, StatusCode::METHOD_NOT_ALLOWED, "{method}");
        assert_eq!(answer.headers[header::ALLOW], "GET, POST");
    }
}

#[tokio::test]
async fn the_newer_media_type_tells_by_its_status_that_a_request_was_refused() {
    let world = World::new();
    let ask = async |accept: &str, query: &str| {
        let mut request = post(None, &json!({ "query": query }));
        request.headers_mut().insert(header::ACCEPT, accept.parse().unwrap());
        let answer = world.send(request).await;
        (
            answer.status.as_u16(),
            answer.headers[header::CONTENT_TYPE].to_str().unwrap().to_owned(),
            answer.body,
        )
    };
    let newer = "application/graphql-response+json";
    let (status, content_type, body) = ask(newer, "{ nonsense }").await;
    assert_eq!((status, content_type.as_str()), (400, "application/graphql-response+json; charset=utf-8"));
    assert_eq!(reason(&body), ("BAD_USER_INPUT", "GRAPHQL_INVALID"));
    assert!(body.get("data").is_none());
    assert_eq!(ask(newer, "{").await.0, 400);
    assert_eq!(ask(newer, "{ me { id } }").await.0, 200);
    assert_eq!(ask("application/json", "{ nonsense }").await.0, 200);
    assert_eq!(ask("*/*", "{ nonsense }").await.0, 200);
    let both = "application/graphql-response+json; charset=utf-8, application/json; charset=utf-8";
    assert_eq!(ask(both, "{ nonsense }").await.0, 400);
}

#[tokio::test]
async fn errors_of_a_document_have_places_a_code_and_no_data() {
    let world = World::new();
    for query in ["{", "{ nonsense }", "{ me }", "{ products(size: 1) { data { id } } }"] {
        let body = world.ask(None, query).await;
        assert_eq!(reason(&body), ("BAD_USER_INPUT", "GRAPHQL_INVALID"), "{query}: {body}");
        assert!(body.get("data").is_none(), "{query}: {body}");
        assert!(body["errors"][0]["extensions"]["requestId"].is_string());
    }
}

#[tokio::test]
async fn an_argument_of_another_type_is_refused_with_its_field() {
    let world = World::new();
    for limit in ["\"x\"", "1.5", "9999999999", "[1, 2]", "true"] {
        let query = format!("{{ products(limit: {limit}) {{ data {{ id }} }} }}");
        let body = world.ask(None, &query).await;
        assert_eq!(reason(&body), ("BAD_USER_INPUT", "INPUT_INVALID"), "{limit}: {body}");
        assert_eq!(refusal(&body)["violations"][0]["field"], "limit");
        assert!(body.get("data").is_none(), "{limit}: {body}");
    }
    assert!(world.calls.take().is_empty());
}

#[tokio::test]
async fn a_document_that_stands_for_too_much_is_refused_at_once() {
    let world = World::new();
    let mut bomb = String::from("{ products { ...f0 } } fragment f40 on ProductPage { data { id } }");
    for n in 0..40 {
        bomb += &format!(" fragment f{n} on ProductPage {{ ...f{m} ...f{m} }}", m = n + 1);
    }
    let started = std::time::Instant::now();
    assert_eq!(reason(&world.ask(None, &bomb).await), ("BAD_USER_INPUT", "QUERY_TOO_LARGE"));
    assert!(started.elapsed().as_secs() < 2, "{:?}", started.elapsed());
    let deep = format!("{{ me {{ {} id {} }} }}", "orders { user { ".repeat(10), "} } ".repeat(10));
    assert_eq!(reason(&world.ask(None, &deep).await), ("BAD_USER_INPUT", "QUERY_TOO_DEEP"));
    let deepest = "{ a ".repeat(10_000);
    assert_eq!(reason(&world.ask(None, &deepest).await).0, "BAD_USER_INPUT");
    let nested = format!("{{ product(id: {}) {{ id }} }}", "[".repeat(100_000));
    assert_eq!(reason(&world.ask(None, &nested).await).0, "BAD_USER_INPUT");
    assert!(world.calls.take().is_empty());
}

#[tokio::test]
async fn an_id_of_the_client_is_kept_when_it_is_well_formed() {
    let world = World::new();
    let send = async |id: &str| {
        let mut request = post(None, &json!({ "query": "{ nonsense }" }));
        request.headers_mut().insert("x-request-id", id.parse().unwrap());
        let answer = world.send(request).await;
        let told = answer.headers["x-request-id"].to_str().unwrap().to_owned();
        assert_eq!(answer.body["errors"][0]["extensions"]["requestId"], told);
        told
    };
    assert_eq!(send("client-7.A_b").await, "client-7.A_b");
    for id in ["", "a b", "a\"b", "<script>", &"a".repeat(65)] {
        assert!(uuid::Uuid::parse_str(&send(id).await).is_ok(), "{id}");
    }
    let (first, second) = (send("").await, send("").await);
    assert_ne!(first, second);
}

#[tokio::test]
async fn an_unknown_path_says_where_the_graph_is() {
    let world = World::new();
    for path in ["/nothing", "/graphql/", "/api", "/.well-known/", "/metrics", "/ready"] {
        let answer = get(&world, path).await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND, "{path}");
        assert_eq!(reason(&answer.body), ("NOT_FOUND", "NOT_FOUND"), "{path}");
        assert!(answer.headers.contains_key("x-request-id"));
    }
}

#[tokio::test]
async fn the_keys_that_verify_tokens_are_public() {
    let world = World::new();
    let answer = get(&world, "/.well-known/jwks.json").await;
    assert_eq!(answer.headers[header::CONTENT_TYPE], "application/jwk-set+json");
    let key = &answer.body["keys"][0];
    assert_eq!((&key["kty"], &key["crv"], &key["use"]), (&json!("OKP"), &json!("Ed25519"), &json!("sig")));
    assert_eq!(key["kid"], world.sessions.keys()[0].id.as_str());
    assert!(key.get("d").is_none(), "the private half stays where it is");
}

#[tokio::test]
async fn health_says_that_requests_are_taken() {
    let answer = get(&World::new(), "/health").await;
    assert_eq!((answer.status, answer.body), (StatusCode::OK, json!({ "status": "ok" })));
}

#[tokio::test]
async fn the_ide_is_there_where_it_is_switched_on() {
    let shown = get(&World::new(), "/").await;
    assert_eq!(shown.status, StatusCode::OK);
    assert!(shown.text.contains("<html"), "{}", shown.text);
    let hidden = World::with(&["--ide", "off"]);
    assert_eq!(get(&hidden, "/").await.status, StatusCode::NOT_FOUND);
}
