//! What is let in and what is not.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use chrono::Utc;
use uuid::Uuid;

use super::*;
use crate::{Role, SessionId, SigningKey, UserId};

fn key() -> SigningKey {
    let (id, der) = SigningKey::generate().unwrap();
    SigningKey::from_pkcs8(id, &der).unwrap()
}

fn claims() -> Claims {
    Claims::new(
        "portico",
        "api",
        UserId(Uuid::now_v7()),
        Role::Customer,
        SessionId(Uuid::now_v7()),
        Utc::now(),
    )
}

fn verifier(key: &SigningKey) -> Verifier {
    let verifier = Verifier::new("portico", "api");
    verifier.set_keys(vec![key.public()]);
    verifier
}

/// A token with any header and claims, signed by nobody.
fn unsigned(header: serde_json::Value, claims: &impl serde::Serialize) -> String {
    let part = |json: Vec<u8>| URL_SAFE_NO_PAD.encode(json);
    format!("{}.{}.", part(serde_json::to_vec(&header).unwrap()), part(serde_json::to_vec(claims).unwrap()))
}

#[test]
fn a_token_of_ours_gives_its_viewer_the_first_time_and_when_it_is_remembered() {
    let (key, claims) = (key(), claims());
    let verifier = verifier(&key);
    let token = key.sign(&claims).unwrap();
    for _ in 0..2 {
        let viewer = verifier.verify(&token, Utc::now()).unwrap();
        assert_eq!((viewer.user_id, viewer.session_id), (claims.sub, claims.sid));
    }
}

#[test]
fn an_expired_token_is_refused_even_when_it_is_remembered() {
    let key = key();
    let verifier = verifier(&key);
    let token = key.sign(&claims()).unwrap();
    verifier.verify(&token, Utc::now()).unwrap();
    let later = Utc::now() + TOKEN_LIFETIME;
    assert_eq!(verifier.verify(&token, later), Err(TokenRefusal::Expired));
}

#[test]
fn a_revoked_session_is_refused_even_when_its_token_is_remembered() {
    let (key, claims) = (key(), claims());
    let verifier = verifier(&key);
    let token = key.sign(&claims).unwrap();
    verifier.verify(&token, Utc::now()).unwrap();
    verifier.revocations.add(claims.sid, Utc::now());
    assert_eq!(verifier.verify(&token, Utc::now()), Err(TokenRefusal::Revoked));
}

#[test]
fn another_audience_issuer_or_key_is_refused() {
    let key = key();
    let verifier = verifier(&key);
    let other_audience = Claims { aud: "elsewhere".into(), ..claims() };
    let other_issuer = Claims { iss: "elsewhere".into(), ..claims() };
    for claims in [other_audience, other_issuer] {
        assert_eq!(verifier.verify(&key.sign(&claims).unwrap(), Utc::now()), Err(TokenRefusal::Invalid));
    }
    let stranger = self::key().sign(&claims()).unwrap();
    assert_eq!(verifier.verify(&stranger, Utc::now()), Err(TokenRefusal::UnknownKey));
}

#[test]
fn a_token_that_is_signed_by_another_key_under_a_known_name_is_refused() {
    let key = key();
    let (_, der) = SigningKey::generate().unwrap();
    let forger = SigningKey::from_pkcs8(key.public().id, &der).unwrap();
    assert_eq!(
        verifier(&key).verify(&forger.sign(&claims()).unwrap(), Utc::now()),
        Err(TokenRefusal::Invalid)
    );
}

#[test]
fn alg_none_is_refused() {
    let key = key();
    let header = serde_json::json!({ "alg": "none", "typ": "at+jwt", "kid": key.public().id });
    let token = unsigned(header, &claims());
    assert_eq!(verifier(&key).verify(&token, Utc::now()), Err(TokenRefusal::Invalid));
}

#[test]
fn a_signed_token_that_lacks_a_claim_or_has_another_type_is_refused() {
    let (id, der) = SigningKey::generate().unwrap();
    let key = SigningKey::from_pkcs8(id, &der).unwrap();
    let verifier = verifier(&key);
    let encoding = jsonwebtoken::EncodingKey::from_ed_der(&der);
    let sign = |typ: &str, claims: &serde_json::Value| {
        let mut header = jsonwebtoken::Header::new(Algorithm::EdDSA);
        header.typ = Some(typ.into());
        header.kid = Some(key.public().id);
        jsonwebtoken::encode(&header, claims, &encoding).unwrap()
    };
    let whole = serde_json::to_value(claims()).unwrap();
    assert!(verifier.verify(&sign("at+jwt", &whole), Utc::now()).is_ok());
    assert_eq!(verifier.verify(&sign("JWT", &whole), Utc::now()), Err(TokenRefusal::Invalid));
    for claim in ["iss", "aud", "sub", "role", "sid", "jti", "iat", "exp"] {
        let mut lacking = whole.clone();
        lacking.as_object_mut().unwrap().remove(claim);
        assert_eq!(
            verifier.verify(&sign("at+jwt", &lacking), Utc::now()),
            Err(TokenRefusal::Invalid),
            "{claim}"
        );
    }
}

#[test]
fn rubbish_is_refused() {
    let verifier = verifier(&key());
    for token in ["", ".", "..", "a.b.c", "\0", "🙈.🙉.🙊", &"x".repeat(1_000_000)] {
        assert_eq!(verifier.verify(token, Utc::now()), Err(TokenRefusal::Invalid));
    }
}

#[test]
fn a_key_that_was_rotated_out_no_longer_verifies() {
    let (old, new) = (key(), key());
    let verifier = verifier(&old);
    let token = old.sign(&claims()).unwrap();
    verifier.verify(&token, Utc::now()).unwrap();
    verifier.set_keys(vec![new.public()]);
    assert_eq!(verifier.verify(&token, Utc::now()), Err(TokenRefusal::UnknownKey));
}
