//! What a login costs that can't succeed. Alone in its process, since it counts hashes by the process's metrics.

#![allow(clippy::unwrap_used, reason = "what a test could not set up has failed")]

use proto::user::v1::{AuthenticateRequest, user_service_client::UserServiceClient};
use runtime::{Clock, Sessions, telemetry};
use user::{App, Config};

/// How many passwords were held against a hash so far.
fn verifications() -> u64 {
    let metrics = telemetry::metrics().unwrap().render();
    let line = metrics.lines().find(|line| line.starts_with("password_verification_seconds_count"));
    line.and_then(|line| line.rsplit(' ').next()?.parse().ok()).unwrap_or(0)
}

#[tokio::test]
async fn an_unknown_email_costs_the_same_hash_as_a_wrong_password() {
    telemetry::metrics();
    let database = testkit::Database::new("user").await;
    let secret = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
    let arguments = ["user", "--database-url", database.url(), "--secret-key", secret];
    let config: Config = runtime::config::parse(arguments).unwrap();
    let clock = Clock::system();
    let sessions = Sessions::new(&config.tokens, clock.clone());
    let app = App::build(config, sessions, clock).unwrap();
    app.seed_user("ada@example.com", "right".into(), "Ada", "Lovelace", identity::Role::Customer)
        .await
        .unwrap();
    let (_, transport) = testkit::serve(app.service()).await;
    let mut client = UserServiceClient::new(transport);

    for email in ["ada@example.com", "nobody@example.com", "no email at all"] {
        let before = verifications();
        let request = AuthenticateRequest { email: email.into(), password: "wrong".into() };
        client.authenticate(request).await.unwrap_err();
        assert_eq!(verifications(), before + 1, "{email}");
    }
}
