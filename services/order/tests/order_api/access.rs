//! Tokens, rules of access and deadlines, over the network and inside the process alike.

use std::time::Duration;

use identity::Role;
use proto::order::v1::*;
use runtime::Kind;
use testkit::{Tokens, anonymous};
use tonic::{Request, Status};

use crate::support::{Client, World, first_page};

/// Calls each RPC with what `dress` makes of its message, and gives what each answered.
macro_rules! call_each {
    ($client:expr, $dress:expr) => {{
        let client: &mut Client = $client;
        [
            ("CreateOrder", client.create_order($dress(CreateOrderRequest::default())).await.map(drop)),
            ("GetOrder", client.get_order($dress(GetOrderRequest::default())).await.map(drop)),
            (
                "BatchGetOrders",
                client.batch_get_orders($dress(BatchGetOrdersRequest::default())).await.map(drop),
            ),
            ("ListOrders", client.list_orders($dress(ListOrdersRequest::default())).await.map(drop)),
            (
                "BatchListOrdersByUsers",
                client
                    .batch_list_orders_by_users($dress(BatchListOrdersByUsersRequest::default()))
                    .await
                    .map(drop),
            ),
            (
                "UpdateOrderStatus",
                client.update_order_status($dress(UpdateOrderStatusRequest::default())).await.map(drop),
            ),
            ("CancelOrder", client.cancel_order($dress(CancelOrderRequest::default())).await.map(drop)),
            ("DeleteOrder", client.delete_order($dress(DeleteOrderRequest::default())).await.map(drop)),
            ("UpsertProduct", client.upsert_product($dress(UpsertProductRequest::default())).await.map(drop)),
        ]
    }};
}

fn bearer<T>(token: &str, message: T) -> Request<T> {
    let mut request = Request::new(message);
    request.metadata_mut().insert("authorization", format!("Bearer {token}").parse().unwrap());
    request
}

fn kind(outcome: Result<(), Status>) -> Option<Kind> {
    outcome.err().map(|status| testkit::refusal(&status).kind)
}

#[tokio::test]
async fn without_a_token_only_the_catalogue_is_open() {
    let world = World::new().await;
    for (way, mut client) in world.ways() {
        for (rpc, outcome) in call_each!(&mut client, anonymous) {
            assert_eq!(kind(outcome), Some(Kind::Unauthenticated), "{rpc}, {way}");
        }
        client.list_products(anonymous(ListProductsRequest { page: first_page(1) })).await.unwrap();
        client.batch_get_products(anonymous(BatchGetProductsRequest::default())).await.unwrap();
    }
}

#[tokio::test]
async fn tokens_that_are_expired_forged_unsigned_or_for_another_audience_are_refused_everywhere() {
    use secrecy::ExposeSecret;
    let world = World::new().await;
    let claims = world.tokens.claims(world.admin.viewer.user_id, Role::Admin);
    let sign = |claims| world.tokens.sign(&claims).expose_secret().to_owned();
    let expired = sign(identity::Claims { exp: claims.iat - 1, ..claims.clone() });
    let other_audience = sign(identity::Claims { aud: "elsewhere".into(), ..claims.clone() });
    let other_issuer = sign(identity::Claims { iss: "elsewhere".into(), ..claims.clone() });
    let forged = Tokens::new().sign(&claims).expose_secret().to_owned();
    let good = sign(claims);
    let payload = good.split('.').nth(1).unwrap();
    // {"typ":"at+jwt","alg":"none"}
    let unsigned = format!("eyJ0eXAiOiJhdCtqd3QiLCJhbGciOiJub25lIn0.{payload}.");
    let tampered = format!("{}AAAA", &good[..good.len() - 4]);

    for (way, mut client) in world.ways() {
        for token in [&expired, &other_audience, &other_issuer, &forged, &unsigned, &tampered, "", "rubbish"]
        {
            let dress =
                |token: String| move |outcome: (&'static str, Result<(), Status>)| (token.clone(), outcome);
            let outcomes = call_each!(&mut client, |message| bearer(token, message));
            for (token, (rpc, outcome)) in outcomes.map(dress(token.to_owned())) {
                assert_eq!(kind(outcome), Some(Kind::Unauthenticated), "{rpc}, {way}, {token}");
            }
            // A public RPC refuses a bad token too, rather than take it for none.
            let listed =
                client.list_products(bearer(token, ListProductsRequest { page: first_page(1) })).await;
            assert_eq!(kind(listed.map(drop)), Some(Kind::Unauthenticated), "{way}");
        }
    }
}

#[tokio::test]
async fn a_revoked_session_is_refused() {
    let world = World::new().await;
    let sessions = world.tokens.sessions(&world.clock);
    let config = runtime::config::parse(["order", "--database-url", world.database.url()]).unwrap();
    let app = order::App::build(config, sessions.clone(), world.clock.clone()).unwrap();
    let buyer = world.tokens.customer();
    let mut client = Client::new(app.transport());
    let list = || buyer.request(ListOrdersRequest { page: first_page(1), ..Default::default() });
    client.list_orders(list()).await.unwrap();
    sessions.revoke(buyer.viewer.session_id, world.clock.now());
    let refused = client.list_orders(list()).await.unwrap_err();
    assert_eq!(testkit::refusal(&refused).reason, "SESSION_REVOKED");
}

#[tokio::test]
async fn a_call_ends_at_its_deadline_in_both_ways_and_leaves_nothing_behind() {
    let world = World::new().await;
    let buyer = world.tokens.customer();
    let before = world.footprint().await;
    let mut door = world.database.pool().begin().await.unwrap();
    sqlx::query("LOCK TABLE products").execute(&mut *door).await.unwrap();
    for (way, mut client) in world.ways() {
        let mut request = buyer.request(crate::support::create_request(&[("prod-1", 1)]));
        request.set_timeout(Duration::from_millis(100));
        let refused = client.create_order(request).await.expect_err(way);
        assert_eq!(testkit::refusal(&refused).kind, Kind::Timeout, "{way}");
    }
    door.rollback().await.unwrap();
    world.order(&buyer).await;
    let after = world.footprint().await;
    assert_eq!(after, (before.0 + 1, before.1 + 1, before.2 + 1, before.3, before.4 + 1));
}

#[tokio::test]
async fn a_database_that_is_away_is_said_so_without_a_word_about_it() {
    let tokens = Tokens::new();
    let clock = runtime::Clock::system();
    let url = "postgres://nobody:hunter2@127.0.0.1:1/none";
    let config = runtime::config::parse(["order", "--database-url", url]).unwrap();
    let app = order::App::build(config, tokens.sessions(&clock), clock).unwrap();
    let list = ListOrdersRequest { page: first_page(1), ..Default::default() };
    let refused =
        Client::new(app.transport()).list_orders(tokens.customer().request(list)).await.unwrap_err();
    let refusal = testkit::refusal(&refused);
    assert_eq!((refusal.kind, refusal.reason.as_ref()), (Kind::Unavailable, "DATABASE_UNAVAILABLE"));
    assert!(!format!("{refused:?}").contains("hunter2") && !refusal.message.contains("127.0.0.1"));
}
