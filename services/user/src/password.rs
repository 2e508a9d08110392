//! Passwords: how strong a new one is, and the hash by which one is known.
//!
//! Hashing takes 19 MiB and some 20 ms of a core. It runs off the async threads, no more at once than there are cores,
//! so that a flood of logins costs time and not memory. It takes as long for an account that does not exist.

use std::{sync::Arc, thread::available_parallelism, time::Instant};

use anyhow::Context;
use argon2::{
    Algorithm, Argon2, Params, Version,
    password_hash::{PasswordHasher, PasswordVerifier, phc::PasswordHash},
};
use secrecy::{ExposeSecret, SecretString};
use tokio::sync::Semaphore;
use zxcvbn::Score;

use crate::{Error, user::NewPassword};

/// How hard a new password must be to guess: more than 10^8 guesses, "safely unguessable" to zxcvbn.
const LEAST_STRENGTH: Score = Score::Three;
/// Stands in for the hash of an account that does not exist: of the same cost, and of no known password.
const NOBODY: &str =
    "$argon2id$v=19$m=19456,t=2,p=1$bm9ib2R5J3Mgc2FsdCA6KQ$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

/// Hashes and verifies passwords. Clones share the bound.
#[derive(Clone)]
pub(crate) struct Passwords {
    permits: Arc<Semaphore>,
}

impl Passwords {
    /// As many at once as there are cores.
    pub(crate) fn new() -> Self {
        let cores = available_parallelism().map_or(1, usize::from);
        Self { permits: Arc::new(Semaphore::new(cores)) }
    }

    /// The hash of a new password, unless it is easily guessed. `known` is what an attacker would try first: the
    /// owner's email and names. `field` is where the password came from.
    pub(crate) async fn hash_strong(
        &self,
        password: &NewPassword,
        known: Vec<String>,
        field: &'static str,
    ) -> Result<String, Error> {
        let text = password.text().clone();
        self.off_thread(move || {
            let known: Vec<&str> = known.iter().map(String::as_str).collect();
            if zxcvbn::zxcvbn(text.expose_secret(), &known).score() < LEAST_STRENGTH {
                return Err(Error::PasswordTooWeak(field));
            }
            hash(&text)
        })
        .await
    }

    /// The hash of a password whoever chose it answers for, however weak.
    pub(crate) async fn hash_any(&self, password: SecretString) -> Result<String, Error> {
        self.off_thread(move || hash(&password)).await
    }

    /// Whether `password` is the one of this hash. Without a hash it is not, after the same work.
    pub(crate) async fn verify(&self, password: SecretString, hash: Option<String>) -> Result<bool, Error> {
        self.off_thread(move || {
            let known = hash.is_some();
            let matches = matches(&password, hash.as_deref().unwrap_or(NOBODY))?;
            Ok(known && matches)
        })
        .await
    }

    /// Runs `work` on a blocking thread when a permit is free. The work keeps its permit until it is done, even when
    /// the caller has gone: else callers that give up would leave more hashes running than there are permits.
    async fn off_thread<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let permit =
            self.permits.clone().acquire_owned().await.context("the permits of hashing are closed")?;
        let work = move || {
            let _permit = permit;
            work()
        };
        tokio::task::spawn_blocking(work).await.context("hashing broke down")?
    }
}

/// argon2id with the least cost that OWASP's password storage sheet names: 19 MiB, two passes, one lane.
fn argon2() -> Result<Argon2<'static>, Error> {
    let params = Params::new(19 * 1024, 2, 1, None).map_err(|error| anyhow::anyhow!("argon2: {error}"))?;
    Ok(Argon2::new(Algorithm::Argon2id, Version::V0x13, params))
}

fn hash(password: &SecretString) -> Result<String, Error> {
    let hash = argon2()?
        .hash_password(password.expose_secret().as_bytes())
        .map_err(|error| anyhow::anyhow!("a password can't be hashed: {error}"))?;
    Ok(hash.to_string())
}

fn matches(password: &SecretString, hash: &str) -> Result<bool, Error> {
    let hash =
        PasswordHash::new(hash).map_err(|error| anyhow::anyhow!("a stored hash can't be read: {error}"))?;
    let started = Instant::now();
    let outcome = argon2()?.verify_password(password.expose_secret().as_bytes(), &hash);
    metrics::histogram!("password_verification_seconds").record(started.elapsed().as_secs_f64());
    match outcome {
        Ok(()) => Ok(true),
        Err(argon2::password_hash::Error::PasswordInvalid) => Ok(false),
        Err(error) => Err(anyhow::anyhow!("a password can't be verified: {error}").into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(text: &str) -> SecretString {
        text.into()
    }

    #[tokio::test]
    async fn a_password_is_known_by_its_hash_and_another_is_not() {
        let passwords = Passwords::new();
        let hash = passwords.hash_any(secret("a long-winded secret")).await.unwrap();
        assert!(passwords.verify(secret("a long-winded secret"), Some(hash.clone())).await.unwrap());
        assert!(!passwords.verify(secret("a long-winded secreT"), Some(hash)).await.unwrap());
        assert!(!passwords.verify(secret("a long-winded secret"), None).await.unwrap());
    }

    #[test]
    fn the_hash_of_nobody_costs_what_a_real_one_costs() {
        let real = hash(&secret("whatever")).unwrap();
        let real = PasswordHash::new(&real).unwrap();
        let nobody = PasswordHash::new(NOBODY).unwrap();
        assert_eq!((nobody.algorithm, nobody.version), (real.algorithm, real.version));
        assert_eq!(nobody.params.to_string(), real.params.to_string());
        assert_eq!(nobody.params.to_string(), "m=19456,t=2,p=1");
        assert_eq!(nobody.hash.unwrap().len(), real.hash.unwrap().len());
    }

    #[tokio::test]
    async fn what_is_easily_guessed_is_refused_also_when_it_is_made_of_the_owners_own_words() {
        let passwords = Passwords::new();
        for (weak, known) in [
            ("password", vec![]),
            ("aaaaaaaaaaaaaaaa", vec![]),
            ("qwertyuiop", vec![]),
            ("12345678910", vec![]),
            ("WilhelminaOstrowski", vec!["Wilhelmina".to_owned(), "Ostrowski".to_owned()]),
        ] {
            let password = NewPassword::parse(weak.into()).unwrap();
            let refused = passwords.hash_strong(&password, known, "password").await;
            assert!(matches!(refused, Err(Error::PasswordTooWeak("password"))), "{weak}");
        }
        let strong = NewPassword::parse("violet-anchor-7-plateau".into()).unwrap();
        assert!(passwords.hash_strong(&strong, vec![], "password").await.is_ok());
    }
}
