//! From the text of a token to the viewer, or to a refusal.

use std::{
    collections::HashMap,
    sync::{Arc, LazyLock, RwLock},
};

use aws_lc_rs::digest::{SHA256, digest};
use chrono::{DateTime, Utc};
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use metrics::Counter;
use moka::sync::Cache;

use crate::{Claims, PublicKey, Revocations, TOKEN_LIFETIME, Viewer, keys::TOKEN_TYPE};

/// The longest token that is looked at, in bytes; ours have about 450.
const LONGEST_TOKEN: usize = 4096;
/// How many verified tokens a process remembers: about 20 MB when full.
const REMEMBERED_TOKENS: u64 = 100_000;

/// How often a token was one of those, and how often not.
static LOOKS: LazyLock<[Counter; 2]> = LazyLock::new(|| {
    ["hit", "miss"]
        .map(|outcome| metrics::counter!("cache_requests_total", "cache" => "tokens", "outcome" => outcome))
});

/// Why a token is not accepted. None tells more than its holder may know.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenRefusal {
    /// Not one of ours: malformed, forged, of another type, issuer or audience.
    #[error("the access token is not valid")]
    Invalid,
    /// Well formed, signed by a key that is not known (yet): fetch the keys and try once more.
    #[error("the access token is signed by an unknown key")]
    UnknownKey,
    /// It was good once.
    #[error("the access token has expired; refresh the session or log in again")]
    Expired,
    /// Its session was ended.
    #[error("the session was revoked; log in again")]
    Revoked,
    /// The keys or the revocations are not loaded yet, so nobody can be let in.
    #[error("tokens can't be verified yet; try again in a moment")]
    NotReady,
}

/// Verifies tokens, and remembers those that it verified until they end, so that a signature is checked once per
/// process. Expiry and revocation are checked at every call.
pub struct Verifier {
    issuer: String,
    validation: Validation,
    keys: RwLock<Arc<Keys>>,
    /// By the SHA-256 of the token: a full token is as good as a password and is not kept.
    verified: Cache<[u8; 32], Viewer>,
    /// Sessions whose tokens are refused.
    pub revocations: Revocations,
}

#[derive(Default)]
struct Keys {
    public: Vec<PublicKey>,
    decoding: HashMap<String, DecodingKey>,
}

impl Verifier {
    /// A verifier of this issuer's tokens for this audience that knows no key yet.
    pub fn new(issuer: &str, audience: &str) -> Self {
        let mut validation = Validation::new(Algorithm::EdDSA);
        validation.set_issuer(&[issuer]);
        validation.set_audience(&[audience]);
        validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
        validation.leeway = 0;
        // Time is passed in, see `verify`.
        validation.validate_exp = false;
        Self {
            issuer: issuer.to_owned(),
            validation,
            keys: RwLock::default(),
            verified: Cache::builder().max_capacity(REMEMBERED_TOKENS).time_to_live(TOKEN_LIFETIME).build(),
            revocations: Revocations::default(),
        }
    }

    /// The issuer whose tokens are accepted.
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// Replaces the keys. Tokens of a key that is gone are forgotten too.
    pub fn set_keys(&self, public: Vec<PublicKey>) {
        if self.public_keys() == public {
            return;
        }
        let decoding =
            public.iter().map(|key| (key.id.clone(), DecodingKey::from_ed_der(&key.bytes))).collect();
        *self.keys.write().unwrap_or_else(|e| e.into_inner()) = Arc::new(Keys { public, decoding });
        self.verified.invalidate_all();
    }

    /// The keys that are known.
    pub fn public_keys(&self) -> Vec<PublicKey> {
        self.keys.read().unwrap_or_else(|e| e.into_inner()).public.clone()
    }

    /// The viewer for whom `token` speaks at the time `now`.
    ///
    /// # Errors
    /// Says why not; `UnknownKey` may be cured by newer keys.
    pub fn verify(&self, token: &str, now: DateTime<Utc>) -> Result<Viewer, TokenRefusal> {
        if token.len() > LONGEST_TOKEN {
            return Err(TokenRefusal::Invalid);
        }
        let mut fingerprint = [0; 32];
        fingerprint.copy_from_slice(digest(&SHA256, token.as_bytes()).as_ref());
        let remembered = self.verified.get(&fingerprint);
        LOOKS[usize::from(remembered.is_none())].increment(1);
        let viewer = match remembered {
            Some(viewer) => viewer,
            None => self.check_signature(token)?,
        };
        if viewer.expires_at <= now {
            return Err(TokenRefusal::Expired);
        }
        if self.revocations.contains(viewer.session_id) {
            return Err(TokenRefusal::Revoked);
        }
        if remembered.is_none() {
            self.verified.insert(fingerprint, viewer);
        }
        Ok(viewer)
    }

    fn check_signature(&self, token: &str) -> Result<Viewer, TokenRefusal> {
        let header = jsonwebtoken::decode_header(token).map_err(|_| TokenRefusal::Invalid)?;
        // jsonwebtoken looks at neither. A critical extension that we do not know must be refused (RFC 7515, 4.1.11).
        if header.typ.as_deref() != Some(TOKEN_TYPE)
            || header.crit.is_some()
            || header.alg != Algorithm::EdDSA
        {
            return Err(TokenRefusal::Invalid);
        }
        let kid = header.kid.ok_or(TokenRefusal::Invalid)?;
        let keys = self.keys.read().unwrap_or_else(|e| e.into_inner()).clone();
        let key = keys.decoding.get(&kid).ok_or(TokenRefusal::UnknownKey)?;
        let token = jsonwebtoken::decode::<Claims>(token, key, &self.validation)
            .map_err(|_| TokenRefusal::Invalid)?;
        token.claims.viewer().ok_or(TokenRefusal::Invalid)
    }
}

#[cfg(test)]
mod tests;
