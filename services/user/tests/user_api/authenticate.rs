//! Authenticate, and how failures slow down.

use std::time::Duration;

use proto::user::v1::AuthenticateRequest;
use runtime::Kind;
use tonic::Request;

use crate::support::{OTHER_PASSWORD, PASSWORD, World, at, read, registration};

#[tokio::test]
async fn the_right_password_opens_a_session_of_its_own() {
    let world = World::new().await;
    let ada = world.register("Ada@Example.com").await;
    let first = world.login("ada@example.com", PASSWORD).await.unwrap();
    let second = world.login(" ADA@EXAMPLE.COM ", PASSWORD).await.unwrap();
    assert_eq!(first.user, ada.user);
    assert_eq!(world.get(&first, &ada.user.id).await.unwrap(), ada.user);
    assert_ne!(first.claim("sid"), second.claim("sid"));
    assert_ne!(first.claim("jti"), second.claim("jti"));
    assert_ne!(first.tokens.refresh_token, second.tokens.refresh_token);
    assert_eq!(world.count("sessions").await, 3);
}

#[tokio::test]
async fn every_reason_to_refuse_a_login_answers_alike() {
    let world = World::new().await;
    let admin = world.admin("root@example.com").await;
    world.register("ada@example.com").await;
    let idle = world.register("idle@example.com").await;
    world.set_active(&admin, &idle.user.id, false).await.unwrap();
    let gone = world.register("gone@example.com").await;
    world.delete(&gone, &gone.user.id).await.unwrap();
    let before = world.footprint().await;

    let expected = world.login("ada@example.com", OTHER_PASSWORD).await.unwrap_err();
    assert_eq!((expected.kind, &*expected.reason), (Kind::Unauthenticated, "INVALID_CREDENTIALS"));
    for (email, password) in [
        ("nobody@example.com", PASSWORD),
        ("idle@example.com", PASSWORD),
        ("gone@example.com", PASSWORD),
        ("ada@example.com", ""),
        ("not an email", PASSWORD),
        ("", ""),
        ("ada@example.com\0", PASSWORD),
        ("ada%@example.com", PASSWORD),
    ] {
        assert_eq!(world.login(email, password).await.unwrap_err(), expected, "{email:?}");
    }
    let endless = "x".repeat(1_000_000);
    assert_eq!(world.login("ada@example.com", &endless).await.unwrap_err(), expected);
    assert_eq!(world.footprint().await, before);
}

#[tokio::test]
async fn after_three_failures_the_next_login_waits_even_with_the_right_password() {
    let world = World::new().await;
    world.register("ada@example.com").await;
    for _ in 0..3 {
        let refusal = world.login("ada@example.com", OTHER_PASSWORD).await.unwrap_err();
        assert_eq!(refusal.reason, "INVALID_CREDENTIALS");
    }
    let refusal = world.login("ada@example.com", PASSWORD).await.unwrap_err();
    assert_eq!((refusal.kind, &*refusal.reason), (Kind::RateLimited, "LOGIN_THROTTLED"));
    assert!(refusal.retry_after.unwrap() <= Duration::from_secs(1));

    world.clock.advance(Duration::from_secs(1));
    world.login("ada@example.com", OTHER_PASSWORD).await.unwrap_err();
    world.clock.advance(Duration::from_secs(1));
    let refusal = world.login("ada@example.com", PASSWORD).await.unwrap_err();
    assert_eq!(refusal.reason, "LOGIN_THROTTLED");

    world.clock.advance(Duration::from_secs(1));
    world.login("ada@example.com", PASSWORD).await.unwrap();
    // The success has cleared the count.
    let refusal = world.login("ada@example.com", OTHER_PASSWORD).await.unwrap_err();
    assert_eq!(refusal.reason, "INVALID_CREDENTIALS");
}

#[tokio::test]
async fn a_hundred_attempts_at_the_same_time_try_three_passwords() {
    let world = World::new().await;
    world.register("ada@example.com").await;
    let attempts = (0..100).map(|_| world.login("ada@example.com", OTHER_PASSWORD));
    let outcomes = futures::future::join_all(attempts).await;
    let tried = outcomes.iter().filter(|o| o.as_ref().unwrap_err().reason == "INVALID_CREDENTIALS").count();
    let refused = outcomes.iter().filter(|o| o.as_ref().unwrap_err().reason == "LOGIN_THROTTLED").count();
    assert_eq!((tried, refused), (3, 97));
}

#[tokio::test]
async fn a_stranger_who_fails_does_not_keep_the_owner_out() {
    let world = World::with(&["--login-longest-wait-ms", "1"]).await;
    world.register("ada@example.com").await;
    for n in 0..12 {
        let _ = world.login_at(&format!("198.51.100.{}", n % 3), "ada@example.com", OTHER_PASSWORD).await;
    }
    let refusal = world.login_at("198.51.100.1", "ada@example.com", PASSWORD).await.unwrap_err();
    assert_eq!(refusal.reason, "LOGIN_THROTTLED");
    world.login_at("192.0.2.1", "ada@example.com", PASSWORD).await.unwrap();
}

#[tokio::test]
async fn an_address_that_tries_many_accounts_is_slowed_down_as_a_whole() {
    let world = World::with(&["--login-free-failures-per-address", "5"]).await;
    world.register("ada@example.com").await;
    for n in 0..5 {
        let refusal = world.login(&format!("user{n}@example.com"), PASSWORD).await.unwrap_err();
        assert_eq!(refusal.reason, "INVALID_CREDENTIALS");
    }
    let refusal = world.login("ada@example.com", PASSWORD).await.unwrap_err();
    assert_eq!(refusal.reason, "LOGIN_THROTTLED");
    world.login_at("192.0.2.2", "ada@example.com", PASSWORD).await.unwrap();
}

#[tokio::test]
async fn callers_whose_address_is_not_known_share_one() {
    let world = World::with(&["--login-free-failures-per-address", "2"]).await;
    world.register("ada@example.com").await;
    let login = async |address: Option<&str>| {
        let message =
            AuthenticateRequest { email: "ada@example.com".into(), password: OTHER_PASSWORD.into() };
        let request = Request::new(message);
        let request = match address {
            Some(address) => at(address, request),
            None => request,
        };
        read(world.client().authenticate(request).await).unwrap_err().reason
    };
    assert_eq!(login(None).await, "INVALID_CREDENTIALS");
    assert_eq!(login(Some("no address")).await, "INVALID_CREDENTIALS");
    assert_eq!(login(None).await, "LOGIN_THROTTLED");
}

#[tokio::test]
async fn a_login_under_way_while_the_account_is_deactivated_opens_no_session() {
    let world = World::new().await;
    let ada = world.try_register(registration("ada@example.com")).await.unwrap();
    // Holds the account's row, as a deactivation does until it commits.
    let mut deactivation = world.database.pool().begin().await.unwrap();
    sqlx::query("UPDATE users SET active = false").execute(&mut *deactivation).await.unwrap();
    let login = world.login("ada@example.com", PASSWORD);
    let commit = async {
        // The login reads the account as it was, and then waits for the row.
        let waiting = "SELECT count(*) FROM pg_stat_activity
             WHERE datname = current_database() AND wait_event_type = 'Lock'";
        while sqlx::query_scalar::<_, i64>(waiting).fetch_one(world.database.pool()).await.unwrap() == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        deactivation.commit().await.unwrap();
    };
    let both = async { tokio::join!(login, commit).0 };
    let outcome = tokio::time::timeout(Duration::from_secs(10), both).await.unwrap();
    assert_eq!(outcome.unwrap_err().reason, "INVALID_CREDENTIALS");
    assert_eq!(world.count("sessions").await, 1);
    assert!(world.get(&ada, &ada.user.id).await.is_ok());
}
