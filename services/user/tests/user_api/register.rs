//! Register.

use std::time::Duration;

use proto::user::v1::{RegisterRequest, Role};
use runtime::Kind;

use crate::support::{PASSWORD, World, fields, registration};

#[tokio::test]
async fn registering_makes_a_customer_who_is_signed_in() {
    let world = World::new().await;
    let ada = world.register("Ada@Example.com").await;
    assert_eq!(ada.user.email, "Ada@Example.com");
    assert_eq!((ada.user.first_name.as_str(), ada.user.last_name.as_str()), ("Ada", "Lovelace"));
    assert_eq!((ada.user.role(), ada.user.active), (Role::Customer, true));
    assert_eq!(ada.user.created_at, ada.user.updated_at);
    assert_eq!(world.get(&ada, &ada.user.id).await.unwrap(), ada.user);
    assert!(world.refresh(&ada.tokens.refresh_token).await.is_ok());
    assert!(world.login("ada@example.com", PASSWORD).await.is_ok());
}

#[tokio::test]
async fn the_access_token_says_who_and_for_whom_and_ends_after_a_quarter_of_an_hour() {
    let world = World::new().await;
    let ada = world.register("ada@example.com").await;
    assert_eq!((ada.claim("iss"), ada.claim("aud")), ("portico".into(), "portico".into()));
    assert_eq!((ada.claim("sub"), ada.claim("role")), (ada.user.id.clone().into(), "CUSTOMER".into()));
    assert_eq!((ada.header("alg"), ada.header("typ")), ("EdDSA".into(), "at+jwt".into()));
    assert_eq!(ada.claim("exp").as_i64().unwrap() - ada.claim("iat").as_i64().unwrap(), 15 * 60);
    assert_eq!(ada.claim("exp").as_i64().unwrap(), ada.tokens.expires_at.unwrap().seconds);
    assert!(ada.claim("sid").is_string() && ada.claim("jti").is_string());
}

#[tokio::test]
async fn it_is_told_as_user_created() {
    let world = World::new().await;
    let ada = world.register("ada@example.com").await;
    let events = world.events("user.created").await;
    let [(subject, sequence, data)] = events.as_slice() else { panic!("{events:?}") };
    assert_eq!((subject, *sequence), (&ada.user.id, 1));
    assert_eq!(data["user"]["email"], "ada@example.com");
    assert_eq!(data["user"]["role"], "ROLE_CUSTOMER");
}

#[tokio::test]
async fn neither_the_password_nor_a_refresh_token_is_stored() {
    let world = World::new().await;
    let ada = world.register("ada@example.com").await;
    let hash: String =
        sqlx::query_scalar("SELECT password_hash FROM users").fetch_one(world.database.pool()).await.unwrap();
    assert!(hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{hash}");
    let rows: Vec<String> = sqlx::query_scalar(
        "SELECT users::text FROM users UNION ALL SELECT encode(hash, 'escape') FROM refresh_tokens
         UNION ALL SELECT data::text FROM outbox",
    )
    .fetch_all(world.database.pool())
    .await
    .unwrap();
    assert_eq!(rows.len(), 3);
    assert!(rows.iter().all(|row| !row.contains(PASSWORD) && !row.contains(&ada.tokens.refresh_token)));
}

#[tokio::test]
async fn an_email_that_is_taken_in_whatever_case_is_refused() {
    let world = World::new().await;
    world.register("ada@example.com").await;
    let before = world.footprint().await;
    for email in ["ada@example.com", "ADA@EXAMPLE.COM", " ada@example.com "] {
        let refusal = world.try_register(registration(email)).await.unwrap_err();
        assert_eq!((refusal.kind, &*refusal.reason), (Kind::Conflict, "EMAIL_TAKEN"), "{email}");
    }
    assert_eq!(world.footprint().await, before);
}

#[tokio::test]
async fn of_many_who_register_one_email_at_the_same_time_one_wins() {
    let world = World::new().await;
    let tries = (0..8).map(|_| world.try_register(registration("ada@example.com")));
    let outcomes = futures::future::join_all(tries).await;
    let refused: Vec<_> = outcomes.iter().filter_map(|outcome| outcome.as_ref().err()).collect();
    assert_eq!(refused.len(), 7);
    assert!(refused.iter().all(|refusal| refusal.reason == "EMAIL_TAKEN"));
    assert_eq!(world.count("users").await, 1);
}

#[tokio::test]
async fn malformed_emails_are_refused() {
    let world = World::new().await;
    let long = format!("{}@{}.com", "a".repeat(60), "b".repeat(63).repeat(4));
    let local_too_long = format!("{}@example.com", "a".repeat(65));
    for email in [
        "",
        " ",
        "ada",
        "@example.com",
        "ada@",
        "ada@@example.com",
        "ada@example",
        "ada@[127.0.0.1]",
        "Ada <ada@example.com>",
        "ada lovelace@example.com",
        "ada@exam ple.com",
        "ada@-example.com",
        ".ada@example.com",
        "ada\0@example.com",
        "ada@example.com\r\nBcc: all@example.com",
        &long,
        &local_too_long,
    ] {
        let refusal = world.try_register(registration(email)).await.unwrap_err();
        assert_eq!((refusal.kind, &*refusal.reason), (Kind::BadInput, "EMAIL_INVALID"), "{email:?}");
        assert_eq!(fields(&refusal), ["email"], "{email:?}");
    }
    assert_eq!(world.footprint().await, [0, 0, 0, 0]);
}

#[tokio::test]
async fn emails_of_every_well_formed_kind_are_accepted() {
    let world = World::new().await;
    for email in ["a@b.co", "o'hara+tag@sub.example.museum", "用户@例子.广告", "josé@exämple.com"] {
        assert_eq!(world.register(email).await.user.email, email);
        assert!(world.login(email, PASSWORD).await.is_ok(), "{email}");
    }
}

#[tokio::test]
async fn passwords_that_are_short_long_easily_guessed_or_unprintable_are_refused() {
    let world = World::new().await;
    let too_long = format!("{PASSWORD}{}", "é".repeat(128 - PASSWORD.len() + 1));
    for (password, reason) in [
        ("", "PASSWORD_TOO_SHORT"),
        ("7ß🙈x-Q2", "PASSWORD_TOO_SHORT"),
        (&*too_long, "PASSWORD_TOO_LONG"),
        ("password123", "PASSWORD_TOO_WEAK"),
        ("aaaaaaaaaaaaaaaaaaaaaaaa", "PASSWORD_TOO_WEAK"),
        ("ada@example.com", "PASSWORD_TOO_WEAK"),
        ("LovelaceAda", "PASSWORD_TOO_WEAK"),
        ("violet-anchor\0-7-plateau", "PASSWORD_INVALID"),
    ] {
        let request = RegisterRequest { password: password.into(), ..registration("ada@example.com") };
        let refusal = world.try_register(request).await.unwrap_err();
        assert_eq!((refusal.kind, &*refusal.reason), (Kind::BadInput, reason), "{password:?}");
        assert_eq!(fields(&refusal), ["password"]);
        assert!(password.is_empty() || !refusal.to_string().contains(password));
    }
    assert_eq!(world.footprint().await, [0, 0, 0, 0]);
}

#[tokio::test]
async fn a_password_of_128_characters_counts_to_its_last_one() {
    let world = World::new().await;
    let password = format!("{PASSWORD}{}", "é".repeat(128 - PASSWORD.len()));
    assert_eq!((password.chars().count(), password.len() > 128), (128, true));
    let request = RegisterRequest { password: password.clone(), ..registration("ada@example.com") };
    world.try_register(request).await.unwrap();
    assert!(world.login("ada@example.com", &password).await.is_ok());
    let cut = password.trim_end_matches('é').to_owned() + &"é".repeat(127 - PASSWORD.len());
    for other in [cut, format!("{password}é")] {
        assert_eq!(world.login("ada@example.com", &other).await.unwrap_err().reason, "INVALID_CREDENTIALS");
    }
}

#[tokio::test]
async fn names_may_be_of_any_script_and_up_to_100_characters() {
    let world = World::new().await;
    let long = "ж".repeat(100);
    for (n, name) in
        ["李", "محمد", "Ὀδυσσεύς", "नरेंद्र", "🙈 O'Brien-Ñ", &long, "Robert'); DROP TABLE users;--"]
            .iter()
            .enumerate()
    {
        let request = RegisterRequest {
            first_name: format!(" {name}\t"),
            last_name: (*name).into(),
            ..registration(&format!("user{n}@example.com"))
        };
        let member = world.try_register(request).await.unwrap();
        assert_eq!((&*member.user.first_name, &*member.user.last_name), (*name, *name));
        assert_eq!(world.get(&member, &member.user.id).await.unwrap(), member.user);
    }
}

#[tokio::test]
async fn names_that_are_empty_long_or_hold_control_characters_are_refused() {
    let world = World::new().await;
    for name in ["", "   ", &*"x".repeat(101), "Ada\0", "Ada\nLovelace", "\u{1b}[31mAda"] {
        let request = RegisterRequest { first_name: name.into(), ..registration("ada@example.com") };
        let refusal = world.try_register(request).await.unwrap_err();
        assert_eq!((&*refusal.reason, fields(&refusal)), ("NAME_INVALID", vec!["firstName"]), "{name:?}");
        let request = RegisterRequest { last_name: name.into(), ..registration("ada@example.com") };
        let refusal = world.try_register(request).await.unwrap_err();
        assert_eq!((&*refusal.reason, fields(&refusal)), ("NAME_INVALID", vec!["lastName"]), "{name:?}");
    }
    assert_eq!(world.footprint().await, [0, 0, 0, 0]);
}

#[tokio::test]
async fn everything_that_is_wrong_is_told_at_once() {
    let world = World::new().await;
    let refusal = world.try_register(RegisterRequest::default()).await.unwrap_err();
    assert_eq!(refusal.reason, "EMAIL_INVALID");
    assert_eq!(fields(&refusal), ["email", "password", "firstName", "lastName"]);
}

#[tokio::test]
async fn an_address_that_makes_accounts_too_fast_has_to_wait_and_others_do_not() {
    let world = World::with(&["--registrations-per-minute", "2"]).await;
    let register = async |n: u32, address: &str| {
        let request = tonic::Request::new(registration(&format!("user{n}@example.com")));
        crate::support::read(world.client().register(crate::support::at(address, request)).await)
    };
    register(1, "192.0.2.1").await.unwrap();
    register(2, "192.0.2.1").await.unwrap();
    let refusal = register(3, "192.0.2.1").await.unwrap_err();
    assert_eq!((refusal.kind, &*refusal.reason), (Kind::RateLimited, "REGISTER_THROTTLED"));
    assert!(refusal.retry_after.unwrap() <= Duration::from_secs(30));
    register(4, "192.0.2.2").await.unwrap();
    world.clock.advance(Duration::from_secs(30));
    register(3, "192.0.2.1").await.unwrap();
}
