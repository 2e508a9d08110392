//! What every answer carries, and which pages of other sites may ask.

use axum::{
    body::Body,
    http::{HeaderMap, Method, Request, StatusCode, header},
};

use crate::world::{Answer, Fault, World, reason};

/// One of each part of the gateway: the graph, the IDE and a file of it, health, keys, nothing.
const PLACES: [&str; 9] = [
    "/graphql?query={__typename}",
    "/graphql?query={",
    "/query",
    "/",
    "/ide/nothing.js",
    "/health",
    "/.well-known/jwks.json",
    "/api/v1/users/me",
    "/nothing",
];

async fn ask(world: &World, method: Method, uri: &str, headers: &[(&str, &str)]) -> Answer {
    let mut request = Request::builder().method(method).uri(uri);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    world.send(request.body(Body::empty()).unwrap()).await
}

async fn get(world: &World, uri: &str, headers: &[(&str, &str)]) -> Answer {
    ask(world, Method::GET, uri, headers).await
}

#[tokio::test]
async fn every_answer_keeps_browsers_from_sniffing_framing_and_telling_where_they_were() {
    let world = World::new();
    for place in PLACES {
        let answer = get(&world, place, &[]).await;
        for (name, value) in [
            ("x-content-type-options", "nosniff"),
            ("x-frame-options", "DENY"),
            ("referrer-policy", "no-referrer"),
            ("cross-origin-resource-policy", "same-origin"),
        ] {
            assert_eq!(answer.headers[name], value, "{place}");
        }
        let policy = answer.headers[header::CONTENT_SECURITY_POLICY].to_str().unwrap();
        assert!(
            policy.starts_with("default-src 'none'") && policy.contains("frame-ancestors 'none'"),
            "{place}: {policy}"
        );
        assert_eq!(policy.contains("script-src"), place == "/", "{place}: only the IDE runs scripts");
        assert_eq!(answer.headers.get_all(header::CONTENT_SECURITY_POLICY).iter().count(), 1, "{place}");
    }
}

#[tokio::test]
async fn every_answer_has_a_request_id_and_keeps_a_well_formed_one_of_the_client() {
    let world = World::new();
    for place in PLACES {
        for method in [Method::GET, Method::POST, Method::OPTIONS, Method::PUT] {
            let answer = ask(&world, method.clone(), place, &[("x-request-id", "mine-1.A_b")]).await;
            assert_eq!(answer.headers["x-request-id"], "mine-1.A_b", "{method} {place}");
            let answer = ask(&world, method.clone(), place, &[("x-request-id", "not mine")]).await;
            let id = answer.headers["x-request-id"].to_str().unwrap();
            assert!(uuid::Uuid::parse_str(id).is_ok(), "{method} {place}: {id}");
            if let Some(told) = answer.body["errors"][0]["extensions"]["requestId"].as_str() {
                assert_eq!(told, id, "{method} {place}");
            }
        }
    }
}

#[tokio::test]
async fn browsers_that_came_over_tls_are_told_to_stay_there() {
    let over_tls = [("x-forwarded-proto", "https")];
    let world = World::new();
    for place in PLACES {
        assert_eq!(
            get(&world, place, &over_tls).await.headers["strict-transport-security"],
            "max-age=31536000"
        );
        assert!(!get(&world, place, &[]).await.headers.contains_key("strict-transport-security"));
    }
    let shorter = World::with(&["--hsts", "60"]);
    assert_eq!(get(&shorter, "/health", &over_tls).await.headers["strict-transport-security"], "max-age=60");
    let silent = World::with(&["--hsts", "0"]);
    assert!(!get(&silent, "/health", &over_tls).await.headers.contains_key("strict-transport-security"));
}

const SHOP: &str = "https://shop.example";

fn shop() -> World {
    World::with(&["--cors-origins", "https://shop.example,http://localhost:3000"])
}

fn allowed(headers: &HeaderMap) -> Option<&str> {
    Some(headers.get(header::ACCESS_CONTROL_ALLOW_ORIGIN)?.to_str().unwrap())
}

#[tokio::test]
async fn a_page_of_a_listed_site_may_read_every_answer_also_a_refusal() {
    let world = shop();
    for place in PLACES {
        let answer = get(&world, place, &[("origin", SHOP)]).await;
        assert_eq!(allowed(&answer.headers), Some(SHOP), "{place}");
        let vary =
            answer.headers.get_all(header::VARY).iter().map(|value| value.to_str().unwrap().to_lowercase());
        assert!(vary.collect::<Vec<_>>().join(",").contains("origin"), "{place}");
        let exposed = answer.headers[header::ACCESS_CONTROL_EXPOSE_HEADERS].to_str().unwrap();
        for name in ["x-request-id", "retry-after", "ratelimit", "ratelimit-policy", "etag"] {
            assert!(exposed.split(',').any(|exposed| exposed.trim() == name), "{name} in {exposed}");
        }
        assert!(!answer.headers.contains_key(header::ACCESS_CONTROL_ALLOW_CREDENTIALS), "{place}");
    }
}

#[tokio::test]
async fn who_is_refused_for_now_can_read_when_to_come_again() {
    let world =
        World::with(&["--cors-origins", SHOP, "--rate-limit-per-second", "1", "--rate-limit-burst", "1"]);
    let ask = async || get(&world, "/graphql?query={__typename}", &[("origin", SHOP)]).await;
    assert_eq!(ask().await.status, StatusCode::OK);
    let limited = ask().await;
    assert_eq!(limited.status, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(allowed(&limited.headers), Some(SHOP));
    assert!(limited.headers.contains_key(header::RETRY_AFTER));

    let full = World::with(&["--cors-origins", SHOP, "--limit-requests", "1"]);
    full.faults.set("ListProducts", Fault::Slow(std::time::Duration::from_secs(5)));
    let first = get(&full, "/graphql?query={products{data{id}}}", &[]);
    let second = async {
        while full.calls.take().is_empty() {
            tokio::task::yield_now().await;
        }
        get(&full, "/graphql?query={__typename}", &[("origin", SHOP)]).await
    };
    let refused = tokio::select! {
        _ = first => panic!("it should still wait"),
        refused = second => refused,
    };
    assert_eq!(refused.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(allowed(&refused.headers), Some(SHOP));
    assert!(refused.headers.contains_key(header::RETRY_AFTER));
}

#[tokio::test]
async fn a_page_of_another_site_may_read_nothing() {
    for origin in
        ["https://evil.example", "null", "https://shop.example.evil.example", "http://shop.example", "*"]
    {
        for place in PLACES {
            assert_eq!(
                allowed(&get(&shop(), place, &[("origin", origin)]).await.headers),
                None,
                "{origin} {place}"
            );
        }
    }
    // Nobody is listed: nothing is said.
    let answer = get(&World::new(), "/health", &[("origin", SHOP)]).await;
    assert_eq!(allowed(&answer.headers), None);
    assert!(!answer.headers.contains_key(header::VARY));
}

#[tokio::test]
async fn a_preflight_is_answered_for_listed_sites() {
    let preflight = |origin| {
        [
            ("origin", origin),
            ("access-control-request-method", "POST"),
            ("access-control-request-headers", "authorization,content-type,idempotency-key"),
        ]
    };
    for place in ["/graphql", "/api/v1/orders"] {
        let answer = ask(&shop(), Method::OPTIONS, place, &preflight(SHOP)).await;
        assert_eq!((answer.status, allowed(&answer.headers)), (StatusCode::OK, Some(SHOP)), "{place}");
        let told = |name: header::HeaderName| answer.headers[name].to_str().unwrap().to_owned();
        assert!(told(header::ACCESS_CONTROL_ALLOW_METHODS).contains("POST"));
        assert!(told(header::ACCESS_CONTROL_ALLOW_HEADERS).contains("authorization"));
        assert!(answer.headers.contains_key("x-request-id"));
        assert!(!answer.headers.contains_key(header::ACCESS_CONTROL_ALLOW_CREDENTIALS));
        let stranger = ask(&shop(), Method::OPTIONS, place, &preflight("https://evil.example")).await;
        assert_eq!(allowed(&stranger.headers), None, "{place}");
    }
}

#[tokio::test]
async fn everybody_and_nobody_in_particular_can_t_be_listed() {
    for origins in ["*", "null", "https://shop.example,*", "https://*.example"] {
        let parsed = runtime::config::parse::<gateway::Config>(["gateway", "--cors-origins", origins]);
        assert!(parsed.is_err(), "{origins}");
    }
}

#[tokio::test]
async fn a_get_that_a_page_of_another_site_caused_is_refused_and_runs_nothing() {
    let world = shop();
    let query = "/graphql?query={products{data{id}}}";
    for headers in [
        &[("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "no-cors"), ("sec-fetch-dest", "image")][..],
        &[("sec-fetch-site", "same-site"), ("sec-fetch-dest", "script")],
        &[("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "navigate")],
        &[("origin", "https://evil.example"), ("host", "portico.example")],
        &[("origin", "null")],
    ] {
        let answer = get(&world, query, headers).await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN, "{headers:?}");
        assert_eq!(reason(&answer.body), ("FORBIDDEN", "CROSS_SITE_REQUEST"), "{headers:?}");
    }
    assert!(world.calls.take().is_empty());
    for headers in [
        &[("sec-fetch-site", "same-origin")][..],
        &[("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "cors"), ("origin", SHOP)],
        &[("origin", "https://portico.example"), ("host", "portico.example")],
        &[],
    ] {
        assert_eq!(get(&world, query, headers).await.status, StatusCode::OK, "{headers:?}");
    }
}
