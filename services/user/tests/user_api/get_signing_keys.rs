//! GetSigningKeys, and the rotation of keys.

use std::time::Duration;

use identity::{PublicKey, Verifier};
use proto::user::v1::GetSigningKeysRequest;
use runtime::Clock;

use crate::support::{Client, PASSWORD, Service, World, read};

const DAY: Duration = Duration::from_secs(24 * 3600);
const LEAD: Duration = Duration::from_secs(5 * 60);
const TOKEN: Duration = Duration::from_secs(15 * 60);

async fn keys(mut client: Client) -> Vec<PublicKey> {
    let answer = read(client.get_signing_keys(GetSigningKeysRequest {}).await).unwrap();
    let keys = answer.keys.into_iter();
    keys.map(|key| PublicKey { id: key.id, bytes: key.public_key.try_into().unwrap() }).collect()
}

/// Whether a process that has just fetched the keys accepts the token.
async fn verifies(world: &World, token: &str) -> bool {
    let verifier = Verifier::new("portico", "portico");
    verifier.set_keys(keys(world.client()).await);
    verifier.verify(token, world.clock.now()).is_ok()
}

#[tokio::test]
async fn a_fresh_database_has_one_key_which_signs_at_once() {
    let world = World::new().await;
    let ada = world.register("ada@example.com").await;
    let keys = keys(world.client()).await;
    assert_eq!(keys.len(), 1);
    assert_eq!(ada.header("kid"), keys[0].id.clone());
    assert!(verifies(&world, &ada.tokens.access_token).await);
}

#[tokio::test]
async fn processes_that_start_at_the_same_time_make_one_key_together() {
    let database = testkit::Database::new("user").await;
    let clock = Clock::system();
    let starts = (0..4).map(|_| Service::start(&database, &clock, &[]));
    let services = futures::future::join_all(starts).await;
    let first = keys(services[0].client.clone()).await;
    assert_eq!(first.len(), 1);
    for service in &services {
        assert_eq!(keys(service.client.clone()).await, first);
    }
}

#[tokio::test]
async fn a_new_key_is_published_before_it_signs_and_the_old_one_until_its_last_token_has_ended() {
    let world = World::new().await;
    let first = keys(world.client()).await;
    world.clock.advance(DAY * 30 - LEAD - Duration::from_secs(60));
    assert_eq!(keys(world.client()).await, first);

    world.clock.advance(Duration::from_secs(60));
    let both = keys(world.client()).await;
    assert_eq!((both.len(), &both[0]), (2, &first[0]));
    let ada = world.register("ada@example.com").await;
    assert_eq!(ada.header("kid"), first[0].id.clone());

    world.clock.advance(LEAD);
    let again = world.refresh(&ada.tokens.refresh_token).await.unwrap();
    assert_eq!(again.header("kid"), both[1].id.clone());
    assert!(verifies(&world, &ada.tokens.access_token).await);
    assert!(verifies(&world, &again.tokens.access_token).await);

    world.clock.advance(TOKEN + LEAD - Duration::from_secs(60));
    assert_eq!(keys(world.client()).await.len(), 2);
    world.clock.advance(Duration::from_secs(60));
    assert_eq!(keys(world.client()).await, both[1..]);
}

#[tokio::test]
async fn processes_rotate_once_together_and_accept_each_others_tokens() {
    let world = World::new().await;
    let other = Service::start(&world.database, &world.clock, &[]).await;
    keys(other.client.clone()).await;
    world.clock.advance(DAY * 30 - LEAD);
    let asked = (0..8).map(|n| keys(if n % 2 == 0 { world.client() } else { other.client.clone() }));
    let answers = futures::future::join_all(asked).await;
    assert!(answers.iter().all(|keys| keys.len() == 2 && *keys == answers[0]), "{answers:?}");
    world.clock.advance(LEAD);
    let ada = world.register("ada@example.com").await;
    let request =
        proto::user::v1::AuthenticateRequest { email: "ada@example.com".into(), password: PASSWORD.into() };
    let there = read(other.client.clone().authenticate(request).await).unwrap().tokens.unwrap();
    assert!(verifies(&world, &ada.tokens.access_token).await);
    assert!(verifies(&world, &there.access_token).await);
    assert_eq!(ada.header("kid"), answers[0][1].id.clone());
}

#[tokio::test]
async fn private_keys_are_not_stored_in_clear() {
    let world = World::new().await;
    keys(world.client()).await;
    let sealed: Vec<u8> = sqlx::query_scalar("SELECT sealed_private_key FROM signing_keys")
        .fetch_one(world.database.pool())
        .await
        .unwrap();
    let private = &sealed[12..sealed.len() - 16];
    assert!(identity::SigningKey::from_pkcs8("any".into(), private).is_err());
}

#[tokio::test]
async fn with_another_secret_a_new_key_signs_and_old_tokens_stay_good() {
    let world = World::new().await;
    let ada = world.register("ada@example.com").await;
    let World { clock, service, database } = world;
    drop(service);
    let other_secret = ["--secret-key", "//////////////////////////////////////////8="];
    let service = Service::start(&database, &clock, &other_secret).await;
    let world = World { clock, service, database };
    assert_eq!(keys(world.client()).await.len(), 2);
    assert!(world.is_signed_in(&ada).await);
    let again = world.refresh(&ada.tokens.refresh_token).await.unwrap();
    assert_ne!(again.header("kid"), ada.header("kid"));
    assert!(verifies(&world, &again.tokens.access_token).await);
}
