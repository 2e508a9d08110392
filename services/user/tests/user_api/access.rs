//! Tokens, rules of access and deadlines, over the network and inside the process alike.

use std::time::Duration;

use identity::{Claims, Role, SessionId, SigningKey, UserId};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use proto::user::v1::*;
use runtime::{Kind, Refusal};
use tonic::{Request, Status};
use uuid::Uuid;

use crate::support::{Client, SECRET_KEY, World, bearer};

/// Calls each RPC that needs a token with what `dress` makes of its message, and gives what each answered.
macro_rules! call_each {
    ($client:expr, $dress:expr) => {{
        let client: &mut Client = $client;
        [
            ("RevokeSession", client.revoke_session($dress(RevokeSessionRequest {})).await.map(drop)),
            (
                "ChangePassword",
                client.change_password($dress(ChangePasswordRequest::default())).await.map(drop),
            ),
            ("GetUser", client.get_user($dress(GetUserRequest::default())).await.map(drop)),
            (
                "BatchGetUsers",
                client.batch_get_users($dress(BatchGetUsersRequest::default())).await.map(drop),
            ),
            ("ListUsers", client.list_users($dress(ListUsersRequest::default())).await.map(drop)),
            ("UpdateUser", client.update_user($dress(UpdateUserRequest::default())).await.map(drop)),
            ("SetUserRole", client.set_user_role($dress(SetUserRoleRequest::default())).await.map(drop)),
            (
                "SetUserActive",
                client.set_user_active($dress(SetUserActiveRequest::default())).await.map(drop),
            ),
            ("DeleteUser", client.delete_user($dress(DeleteUserRequest::default())).await.map(drop)),
        ]
    }};
}

fn refusal(outcome: Result<(), Status>) -> Refusal {
    testkit::refusal(&outcome.unwrap_err())
}

#[tokio::test]
async fn without_a_token_only_the_public_rpcs_answer() {
    let world = World::new().await;
    for (way, mut client) in world.ways() {
        for (rpc, outcome) in call_each!(&mut client, Request::new) {
            let refusal = refusal(outcome);
            assert_eq!(
                (refusal.kind, &*refusal.reason),
                (Kind::Unauthenticated, "TOKEN_MISSING"),
                "{rpc}, {way}"
            );
        }
        client.get_signing_keys(GetSigningKeysRequest {}).await.unwrap();
    }
}

#[tokio::test]
async fn what_is_for_admins_is_forbidden_to_customers() {
    let world = World::new().await;
    let ada = world.register("ada@example.com").await;
    for (way, mut client) in world.ways() {
        let kinds = [
            refusal(client.list_users(ada.request(ListUsersRequest::default())).await.map(drop)),
            refusal(client.set_user_role(ada.request(SetUserRoleRequest::default())).await.map(drop)),
            refusal(client.set_user_active(ada.request(SetUserActiveRequest::default())).await.map(drop)),
        ];
        assert!(kinds.iter().all(|refusal| refusal.kind == Kind::Forbidden), "{way}");
    }
}

/// A key of the service's, as far as its guard can tell, with which a test signs whatever it likes.
struct Forge {
    kid: String,
    der: Vec<u8>,
    claims: Claims,
}

impl Forge {
    fn new(world: &World) -> Self {
        let (kid, der) = SigningKey::generate().unwrap();
        let public = SigningKey::from_pkcs8(kid.clone(), &der).unwrap().public();
        world.service.sessions.set_keys(vec![public]);
        let (user, session) = (UserId(Uuid::now_v7()), SessionId(Uuid::now_v7()));
        let claims = Claims::new("portico", "portico", user, Role::Admin, session, world.clock.now());
        Self { kid, der, claims }
    }

    /// A good token but for what `spoil` does to its header and its claims.
    fn sign(
        &self,
        spoil: impl FnOnce(&mut Header, &mut serde_json::Map<String, serde_json::Value>),
    ) -> String {
        let mut header = Header::new(Algorithm::EdDSA);
        (header.typ, header.kid) = (Some("at+jwt".into()), Some(self.kid.clone()));
        let mut claims = serde_json::to_value(&self.claims).unwrap().as_object().unwrap().clone();
        spoil(&mut header, &mut claims);
        jsonwebtoken::encode(&header, &claims, &EncodingKey::from_ed_der(&self.der)).unwrap()
    }

    fn without(&self, claim: &str) -> String {
        self.sign(|_, claims| drop(claims.remove(claim)))
    }

    fn with(&self, claim: &str, value: impl Into<serde_json::Value>) -> String {
        self.sign(|_, claims| drop(claims.insert(claim.into(), value.into())))
    }
}

#[tokio::test]
async fn tokens_that_are_expired_forged_unsigned_or_for_another_audience_are_refused_by_every_rpc() {
    let world = World::new().await;
    let forge = Forge::new(&world);
    let good = forge.sign(|_, _| {});
    let [header, payload, signature] = good.split('.').collect::<Vec<_>>().try_into().unwrap();
    // {"alg":"none","typ":"at+jwt"}
    let unsigned = "eyJhbGciOiJub25lIiwidHlwIjoiYXQrand0In0";
    let hmac = {
        let mut header = Header::new(Algorithm::HS256);
        (header.typ, header.kid) = (Some("at+jwt".into()), Some(forge.kid.clone()));
        let public = SigningKey::from_pkcs8(forge.kid.clone(), &forge.der).unwrap().public();
        jsonwebtoken::encode(&header, &forge.claims, &EncodingKey::from_secret(&public.bytes)).unwrap()
    };
    let stranger = {
        let (_, der) = SigningKey::generate().unwrap();
        Forge { kid: forge.kid.clone(), der, claims: forge.claims.clone() }.sign(|_, _| {})
    };
    let tokens = [
        ("expired", forge.with("exp", forge.claims.iat), "TOKEN_EXPIRED"),
        ("of another audience", forge.with("aud", "elsewhere"), "TOKEN_INVALID"),
        ("without audience", forge.without("aud"), "TOKEN_INVALID"),
        ("of another issuer", forge.with("iss", "elsewhere"), "TOKEN_INVALID"),
        ("without issuer", forge.without("iss"), "TOKEN_INVALID"),
        ("without subject", forge.without("sub"), "TOKEN_INVALID"),
        ("without end", forge.without("exp"), "TOKEN_INVALID"),
        ("without session", forge.without("sid"), "TOKEN_INVALID"),
        ("without role", forge.without("role"), "TOKEN_INVALID"),
        ("of a role that is none", forge.with("role", "ROOT"), "TOKEN_INVALID"),
        ("without type", forge.sign(|header, _| header.typ = None), "TOKEN_INVALID"),
        ("of another type", forge.sign(|header, _| header.typ = Some("JWT".into())), "TOKEN_INVALID"),
        ("without key", forge.sign(|header, _| header.kid = None), "TOKEN_INVALID"),
        ("of an unknown key", forge.sign(|header, _| header.kid = Some("other".into())), "TOKEN_INVALID"),
        ("signed by another key", stranger, "TOKEN_INVALID"),
        ("signed with the public key as a secret", hmac, "TOKEN_INVALID"),
        ("unsigned", format!("{unsigned}.{payload}."), "TOKEN_INVALID"),
        ("said to be unsigned", format!("{unsigned}.{payload}.{signature}"), "TOKEN_INVALID"),
        ("without signature", format!("{header}.{payload}."), "TOKEN_INVALID"),
        ("cut", good[..good.len() - 4].to_owned(), "TOKEN_INVALID"),
        ("empty", String::new(), "TOKEN_INVALID"),
        ("rubbish", "rubbish".into(), "TOKEN_INVALID"),
        ("endless", "x".repeat(5_000), "TOKEN_INVALID"),
    ];
    for (way, mut client) in world.ways() {
        // What they are spoilt from is good.
        let outcome = client.get_user(bearer(&good, GetUserRequest::default())).await.map(drop);
        assert_eq!(refusal(outcome).kind, Kind::NotFound, "{way}");
        for (what, token, reason) in &tokens {
            for (rpc, outcome) in call_each!(&mut client, |message| bearer(token, message)) {
                let refusal = refusal(outcome);
                assert_eq!(
                    (refusal.kind, &*refusal.reason),
                    (Kind::Unauthenticated, *reason),
                    "{what}, {rpc}, {way}"
                );
            }
            // A public RPC refuses a bad token too, rather than take it for none.
            let outcome = client.authenticate(bearer(token, AuthenticateRequest::default())).await.map(drop);
            assert_eq!(refusal(outcome).reason, *reason, "{what}, {way}");
        }
    }
}

#[tokio::test]
async fn a_call_ends_at_its_deadline_in_both_ways_and_leaves_nothing_behind() {
    let world = World::new().await;
    let ada = world.register("ada@example.com").await;
    let mut door = world.database.pool().begin().await.unwrap();
    sqlx::query("LOCK TABLE users").execute(&mut *door).await.unwrap();
    for (way, mut client) in world.ways() {
        let mut request = ada.request(DeleteUserRequest { id: ada.user.id.clone() });
        request.set_timeout(Duration::from_millis(100));
        let refused = client.delete_user(request).await.expect_err(way);
        assert_eq!(testkit::refusal(&refused).kind, Kind::Timeout, "{way}");
    }
    door.rollback().await.unwrap();
    assert_eq!(world.get(&ada, &ada.user.id).await.unwrap(), ada.user);
    assert!(world.events("user.deleted").await.is_empty());
}

#[tokio::test]
async fn a_database_that_is_away_is_said_so_without_a_word_about_it() {
    let url = "postgres://nobody:hunter2@127.0.0.1:1/none";
    let clock = runtime::Clock::system();
    let config: user::Config =
        runtime::config::parse(["user", "--database-url", url, "--secret-key", SECRET_KEY]).unwrap();
    let sessions = runtime::Sessions::new(&config.tokens, clock.clone());
    sessions.set_loaded();
    let app = user::App::build(config, sessions, clock).unwrap();
    let asked = AuthenticateRequest { email: "ada@example.com".into(), password: "a good one".into() };
    let refused = Client::new(app.transport()).authenticate(asked).await.unwrap_err();
    let refusal = Refusal::from(&refused);
    assert_eq!((refusal.kind, refusal.reason.as_ref()), (Kind::Unavailable, "DATABASE_UNAVAILABLE"));
    assert!(!format!("{refused:?}").contains("hunter2") && !refusal.message.contains("127.0.0.1"));
}
