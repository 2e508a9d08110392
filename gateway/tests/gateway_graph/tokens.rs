//! A token that is sent must be good: else the whole request is refused, whatever it asks for.

use std::time::Duration;

use axum::{
    body::Body,
    http::{HeaderValue, Request, StatusCode, header},
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use gateway::{App, Clients, Config};
use identity::{Role, SessionId, UserId};
use runtime::{Clock, Sessions};
use secrecy::ExposeSecret;
use testkit::Tokens;
use tower::ServiceExt;
use uuid::Uuid;

use crate::world::{Answer, World, reason};

const PUBLIC: &str = r#"{"query":"{ products { data { id } } }"}"#;

/// A request for something public with these `Authorization` headers.
async fn send(world: &World, authorization: &[&str]) -> Answer {
    let mut request = Request::post("/graphql").header(header::CONTENT_TYPE, "application/json");
    for value in authorization {
        request = request.header(header::AUTHORIZATION, HeaderValue::from_bytes(value.as_bytes()).unwrap());
    }
    world.send(request.body(Body::from(PUBLIC)).unwrap()).await
}

fn assert_refused(world: &World, answer: &Answer, expected: &str, case: &str) {
    assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{case}: {}", answer.text);
    assert_eq!(reason(&answer.body), ("UNAUTHENTICATED", expected), "{case}");
    assert!(answer.body.get("data").is_none(), "{case}");
    assert_eq!(
        answer.body["errors"][0]["extensions"]["requestId"],
        answer.headers["x-request-id"].to_str().unwrap()
    );
    assert_eq!(answer.headers[header::WWW_AUTHENTICATE], "Bearer error=\"invalid_token\"", "{case}");
    assert!(world.calls.take().is_empty(), "{case}");
}

/// An unsigned token of these JSON parts.
fn unsigned(head: &str, claims: &str) -> String {
    format!("{}.{}.", URL_SAFE_NO_PAD.encode(head), URL_SAFE_NO_PAD.encode(claims))
}

#[tokio::test]
async fn a_good_token_and_none_at_all_are_let_in() {
    let world = World::new();
    let ada = world.customer("Ada");
    let token = ada.token.expose_secret();
    for authorization in [vec![], vec![format!("Bearer {token}")], vec![format!("bearer {token}")]] {
        let values: Vec<&str> = authorization.iter().map(String::as_str).collect();
        assert_eq!(send(&world, &values).await.status, StatusCode::OK);
    }
}

#[tokio::test]
async fn a_token_that_was_forged_is_refused() {
    let world = World::new();
    let (user, session) = (UserId(Uuid::now_v7()), SessionId(Uuid::now_v7()));
    let good = world.tokens.caller(user, Role::Admin).token.expose_secret().to_owned();
    let claims = good.split('.').nth(1).unwrap();
    let claims = String::from_utf8(URL_SAFE_NO_PAD.decode(claims).unwrap()).unwrap();
    let (head, _) = good.split_once('.').unwrap();
    let (unsigned_part, signature) = good.rsplit_once('.').unwrap();
    let mut wrong_audience = world.tokens.claims(user, Role::Admin);
    wrong_audience.aud = "another".into();
    let mut wrong_issuer = world.tokens.claims(user, Role::Admin);
    wrong_issuer.iss = "another".into();
    let raised = claims.replace(&user.to_string(), &session.to_string());
    let cases = [
        ("a foreign key", Tokens::new().caller(user, Role::Admin).token.expose_secret().to_owned()),
        ("another audience", world.tokens.sign(&wrong_audience).expose_secret().to_owned()),
        ("another issuer", world.tokens.sign(&wrong_issuer).expose_secret().to_owned()),
        ("alg none", unsigned(r#"{"alg":"none","typ":"at+jwt"}"#, &claims)),
        ("HS256", format!("{}{signature}", unsigned(r#"{"alg":"HS256","typ":"at+jwt","kid":"1"}"#, &claims))),
        ("other claims", format!("{head}.{}.{signature}", URL_SAFE_NO_PAD.encode(raised))),
        ("no signature", format!("{unsigned_part}.")),
        ("cut short", good[..good.len() - 8].to_owned()),
        ("rubbish", "rubbish".into()),
        ("nothing", String::new()),
        ("very long", "a".repeat(20_000)),
    ];
    for (case, token) in cases {
        assert_refused(&world, &send(&world, &[&format!("Bearer {token}")]).await, "TOKEN_INVALID", case);
    }
}

#[tokio::test]
async fn a_header_that_is_no_one_bearer_token_is_refused() {
    let world = World::new();
    let ada = world.customer("Ada");
    let good = format!("Bearer {}", ada.token.expose_secret());
    let bare = ada.token.expose_secret().to_owned();
    for values in [
        vec!["Basic YWRhOnNlY3JldA=="],
        vec![""],
        vec!["Bearer"],
        vec![bare.as_str()],
        vec![&good, &good],
        vec!["Bearer é"],
    ] {
        assert_refused(&world, &send(&world, &values).await, "TOKEN_INVALID", &format!("{values:?}"));
    }
}

#[tokio::test]
async fn a_token_that_ended_or_was_revoked_is_refused_from_that_moment() {
    let world = World::new();
    let ada = world.customer("Ada");
    let authorization = format!("Bearer {}", ada.token.expose_secret());
    assert_eq!(send(&world, &[&authorization]).await.status, StatusCode::OK);
    world.calls.take();

    world.sessions.revoke(ada.viewer.session_id, world.clock.now());
    assert_refused(&world, &send(&world, &[&authorization]).await, "SESSION_REVOKED", "revoked");

    let bob = world.customer("Bob");
    let authorization = format!("Bearer {}", bob.token.expose_secret());
    world.clock.advance(identity::TOKEN_LIFETIME + Duration::from_secs(1));
    assert_refused(&world, &send(&world, &[&authorization]).await, "TOKEN_EXPIRED", "expired");
}

#[tokio::test]
async fn before_keys_are_known_a_token_is_neither_good_nor_bad() {
    let (tokens, world) = (Tokens::new(), World::new());
    let config: Config = runtime::config::parse(["gateway"]).unwrap();
    let sessions = Sessions::new(&config.tokens, Clock::system());
    let clients = Clients::connect(&config).unwrap();
    let app = App::build(config, clients, sessions, messaging::Bus::new(vec![]).into());
    let ask = |path: &str| {
        let request = Request::get(path)
            .header(header::AUTHORIZATION, format!("Bearer {}", tokens.customer().token.expose_secret()));
        app.router().oneshot(request.body(Body::empty()).unwrap())
    };
    assert_eq!(ask("/graphql?query={__typename}").await.unwrap().status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(ask("/health").await.unwrap().status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(ask("/.well-known/jwks.json").await.unwrap().status(), StatusCode::SERVICE_UNAVAILABLE);
    assert!(!runtime::admin::readiness(&app.checks()).await.0);
    assert!(runtime::admin::readiness(&world.app.checks()).await.0);
}

#[tokio::test]
async fn the_services_hear_the_token_and_judge_it_for_themselves() {
    let world = World::new();
    let ada = world.customer("Ada");
    world.ask(Some(&ada), "{ me { id } }").await;
    assert_eq!(world.heard.metadata("authorization"), Some(format!("Bearer {}", ada.token.expose_secret())));
    world.ask(None, "{ products { data { id } } }").await;
    assert_eq!(world.heard.metadata("authorization"), None);
}
