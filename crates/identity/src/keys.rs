//! Ed25519 keys: the private half signs tokens in the user service, the public half verifies them everywhere.

use aws_lc_rs::{
    rand::SystemRandom,
    signature::{Ed25519KeyPair, KeyPair},
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use uuid::Uuid;

use crate::Claims;

/// The type that an access token declares in its header (RFC 9068, section 2.1).
pub(crate) const TOKEN_TYPE: &str = "at+jwt";

/// A key that can't be made or read, or a token that can't be signed with it. It tells no secret.
#[derive(Debug, thiserror::Error)]
#[error("the signing key can't be used: {0}")]
pub struct KeyError(String);

/// A key that signs tokens.
pub struct SigningKey {
    id: String,
    public: [u8; 32],
    encoding: EncodingKey,
}

impl SigningKey {
    /// A new key: its id and its private half as PKCS#8 DER, which is to be stored encrypted.
    ///
    /// # Errors
    /// When the system has no randomness.
    pub fn generate() -> Result<(String, Vec<u8>), KeyError> {
        // Version 1 of PKCS#8: version 2 carries the public key too, which jsonwebtoken can't read.
        let der =
            Ed25519KeyPair::generate_pkcs8v1(&SystemRandom::new()).map_err(|e| KeyError(e.to_string()))?;
        Ok((Uuid::now_v7().to_string(), der.as_ref().to_vec()))
    }

    /// Reads a key back from what [`SigningKey::generate`] gave.
    ///
    /// # Errors
    /// When `der` holds no Ed25519 key.
    pub fn from_pkcs8(id: String, der: &[u8]) -> Result<Self, KeyError> {
        let pair = Ed25519KeyPair::from_pkcs8_maybe_unchecked(der).map_err(|e| KeyError(e.to_string()))?;
        let public = pair.public_key().as_ref().try_into().map_err(|_| KeyError("no 32 bytes".into()))?;
        Ok(Self { id, public, encoding: EncodingKey::from_ed_der(der) })
    }

    /// Signs `claims`.
    ///
    /// # Errors
    /// When the crypto library fails.
    pub fn sign(&self, claims: &Claims) -> Result<String, KeyError> {
        let mut header = Header::new(Algorithm::EdDSA);
        header.typ = Some(TOKEN_TYPE.to_owned());
        header.kid = Some(self.id.clone());
        jsonwebtoken::encode(&header, claims, &self.encoding).map_err(|e| KeyError(e.to_string()))
    }

    /// The half that may be told.
    pub fn public(&self) -> PublicKey {
        PublicKey { id: self.id.clone(), bytes: self.public }
    }
}

/// A key that verifies tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicKey {
    /// The `kid` in the header of the tokens that it verifies.
    pub id: String,
    /// The key itself (RFC 8032).
    pub bytes: [u8; 32],
}

/// The keys as a JSON Web Key Set (RFC 7517; RFC 8037 for Ed25519).
pub fn jwks(keys: &[PublicKey]) -> serde_json::Value {
    let keys: Vec<_> = keys
        .iter()
        .map(|key| {
            serde_json::json!({
                "kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "use": "sig",
                "kid": key.id, "x": URL_SAFE_NO_PAD.encode(key.bytes),
            })
        })
        .collect();
    serde_json::json!({ "keys": keys })
}
