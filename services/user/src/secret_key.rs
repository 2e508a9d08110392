//! The service's own secret, from the settings, and the keys that are derived from it.
//!
//! Whoever has it and the database can sign tokens; whoever has only one of the two can't.

use std::{fmt, str::FromStr};

use aws_lc_rs::{
    aead::{AES_256_GCM, Aad, Nonce, RandomizedNonceKey},
    error::Unspecified,
    hkdf::{HKDF_SHA256, Prk, Salt},
    hmac,
};
use base64::{Engine, engine::general_purpose::STANDARD};

/// The length of a nonce of AES-GCM, in bytes.
const NONCE: usize = 12;

/// The secret: 32 random bytes, in base64 in the settings. What it is used for is derived from it by HKDF-SHA256 (RFC
/// 5869), a key for each use.
#[derive(Clone)]
pub struct SecretKey(Prk);

impl FromStr for SecretKey {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bytes = STANDARD.decode(text.trim()).ok().filter(|bytes| bytes.len() == 32);
        let bytes = bytes.ok_or("must be 32 bytes in base64, such as `openssl rand -base64 32` gives")?;
        Ok(Self(Salt::new(HKDF_SHA256, b"portico user service").extract(&bytes)))
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretKey")
    }
}

impl SecretKey {
    /// The key from which the successors of refresh tokens are derived.
    pub(crate) fn refresh_tokens(&self) -> Result<hmac::Key, Unspecified> {
        Ok(self.0.expand(&[b"refresh tokens"], hmac::HMAC_SHA256)?.into())
    }

    /// Encrypts a private signing key for the database: nonce, text, tag. It opens only under the same `id`.
    pub(crate) fn seal(&self, id: &str, mut private: Vec<u8>) -> Result<Vec<u8>, Unspecified> {
        let nonce = self.cipher()?.seal_in_place_append_tag(Aad::from(id), &mut private)?;
        let mut sealed = nonce.as_ref().to_vec();
        sealed.append(&mut private);
        Ok(sealed)
    }

    /// Decrypts what [`SecretKey::seal`] gave. Fails when it was another secret, another id, or was changed.
    pub(crate) fn open(&self, id: &str, sealed: &[u8]) -> Result<Vec<u8>, Unspecified> {
        let (nonce, text) = sealed.split_at_checked(NONCE).ok_or(Unspecified)?;
        let mut text = text.to_vec();
        let nonce = Nonce::try_assume_unique_for_key(nonce)?;
        Ok(self.cipher()?.open_in_place(nonce, Aad::from(id), &mut text)?.to_vec())
    }

    fn cipher(&self) -> Result<RandomizedNonceKey, Unspecified> {
        let mut key = [0; 32];
        self.0.expand(&[b"signing keys"], &AES_256_GCM)?.fill(&mut key)?;
        RandomizedNonceKey::new(&AES_256_GCM, &key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(byte: u8) -> SecretKey {
        STANDARD.encode([byte; 32]).parse().unwrap()
    }

    #[test]
    fn what_was_sealed_opens_with_the_same_secret_and_id_only() {
        let sealed = key(1).seal("a", b"private".to_vec()).unwrap();
        assert_eq!(key(1).open("a", &sealed).unwrap(), b"private");
        assert!(key(2).open("a", &sealed).is_err());
        assert!(key(1).open("b", &sealed).is_err());
        assert!(key(1).open("a", &sealed[..11]).is_err());
        let mut changed = sealed;
        changed[15] ^= 1;
        assert!(key(1).open("a", &changed).is_err());
    }

    #[test]
    fn only_32_bytes_in_base64_are_a_secret_and_it_does_not_print_itself() {
        for bad in ["", "secret", &STANDARD.encode([1; 31]), &STANDARD.encode([1; 33])] {
            assert!(bad.parse::<SecretKey>().is_err(), "{bad}");
        }
        assert_eq!(format!("{:?}", key(1)), "SecretKey");
    }
}
