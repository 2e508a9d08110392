//! ChangePassword.

use proto::user::v1::{ChangePasswordRequest, ChangePasswordResponse};
use runtime::Kind;

use crate::support::{Member, OTHER_PASSWORD, Outcome, PASSWORD, World, fields, read};

async fn change(world: &World, member: &Member, current: &str, new: &str) -> Outcome<ChangePasswordResponse> {
    let request = ChangePasswordRequest { current_password: current.into(), new_password: new.into() };
    read(world.client().change_password(member.request(request)).await)
}

#[tokio::test]
async fn the_new_password_opens_and_the_old_one_no_more_and_the_other_sessions_end() {
    let world = World::new().await;
    let ada = world.register("ada@example.com").await;
    let elsewhere = world.login("ada@example.com", PASSWORD).await.unwrap();
    let bob = world.register("bob@example.com").await;
    change(&world, &ada, PASSWORD, OTHER_PASSWORD).await.unwrap();

    assert!(world.is_signed_in(&ada).await);
    assert!(world.refresh(&ada.tokens.refresh_token).await.is_ok());
    assert!(!world.is_signed_in(&elsewhere).await);
    assert!(world.is_signed_in(&bob).await);
    let refusal = world.refresh(&elsewhere.tokens.refresh_token).await.unwrap_err();
    assert_eq!(refusal.reason, "REFRESH_TOKEN_INVALID");
    assert_eq!(world.login("ada@example.com", PASSWORD).await.unwrap_err().reason, "INVALID_CREDENTIALS");
    world.login("ada@example.com", OTHER_PASSWORD).await.unwrap();

    let events = world.events("session.revoked").await;
    let [(subject, 2, _)] = events.as_slice() else { panic!("{events:?}") };
    assert_eq!(subject.as_str(), elsewhere.claim("sid").as_str().unwrap());
}

#[tokio::test]
async fn a_wrong_current_password_is_refused_and_guessing_it_slows_down() {
    let world = World::new().await;
    let ada = world.register("ada@example.com").await;
    for _ in 0..3 {
        let refusal = change(&world, &ada, "not it at all", OTHER_PASSWORD).await.unwrap_err();
        assert_eq!((refusal.kind, &*refusal.reason), (Kind::BadInput, "CURRENT_PASSWORD_WRONG"));
        assert_eq!(fields(&refusal), ["currentPassword"]);
    }
    let refusal = change(&world, &ada, PASSWORD, OTHER_PASSWORD).await.unwrap_err();
    assert_eq!((refusal.kind, &*refusal.reason), (Kind::RateLimited, "LOGIN_THROTTLED"));
    assert!(world.is_signed_in(&ada).await);
    world.login("ada@example.com", PASSWORD).await.unwrap();
}

#[tokio::test]
async fn a_bad_new_password_is_refused_and_changes_nothing() {
    let world = World::new().await;
    let ada = world.register("ada@example.com").await;
    let elsewhere = world.login("ada@example.com", PASSWORD).await.unwrap();
    for (new, reason) in [
        ("", "PASSWORD_TOO_SHORT"),
        (&*format!("{OTHER_PASSWORD}{}", "x".repeat(128)), "PASSWORD_TOO_LONG"),
        ("password123", "PASSWORD_TOO_WEAK"),
        ("lovelace.ada", "PASSWORD_TOO_WEAK"),
        ("copper-mill\0-42-sparrow", "PASSWORD_INVALID"),
    ] {
        let refusal = change(&world, &ada, PASSWORD, new).await.unwrap_err();
        assert_eq!((&*refusal.reason, fields(&refusal)), (reason, vec!["newPassword"]));
    }
    assert!(world.is_signed_in(&elsewhere).await);
    world.login("ada@example.com", PASSWORD).await.unwrap();
}

#[tokio::test]
async fn of_two_changes_at_the_same_time_one_wins() {
    let world = World::new().await;
    let ada = world.register("ada@example.com").await;
    let third = "lantern-oxide-9-harbour";
    let (one, two) =
        tokio::join!(change(&world, &ada, PASSWORD, OTHER_PASSWORD), change(&world, &ada, PASSWORD, third));
    let (won, lost, refusal) = match (one, two) {
        (Ok(_), Err(refusal)) => (OTHER_PASSWORD, third, refusal),
        (Err(refusal), Ok(_)) => (third, OTHER_PASSWORD, refusal),
        both => panic!("{both:?}"),
    };
    assert_eq!(refusal.reason, "CURRENT_PASSWORD_WRONG");
    world.login("ada@example.com", won).await.unwrap();
    world.login("ada@example.com", lost).await.unwrap_err();
}
