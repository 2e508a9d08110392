//! The keys that sign access tokens: which one signs when, when a new one is made, and when an old one goes.
//!
//! The database holds them all, with the private halves encrypted. A key is published [`LEAD`] before it signs, longer
//! than any process keeps the keys that it fetched, so no token ever names a key that its readers have not seen. An old
//! key stays until its last token has ended. Which key signs follows from the clock and the table, so that replicas
//! agree; they make and remove keys under one advisory lock.

use std::{
    sync::{Arc, RwLock},
    time::Duration,
};

use chrono::{DateTime, TimeDelta, Utc};
use identity::{PublicKey, SigningKey, TOKEN_LIFETIME};
use runtime::{Clock, in_transaction, postgres::Database};
use sqlx::PgConnection;

use crate::{Error, SecretKey, store};

/// For how long a key is published before it signs, and kept after its last token has ended.
pub(crate) const LEAD: TimeDelta = TimeDelta::minutes(5);
/// How often the table is read again, in the background: more than once within [`LEAD`].
pub(crate) const RELOAD: Duration = Duration::from_secs(30);

/// A key as the database holds it.
#[derive(Debug)]
pub(crate) struct StoredKey {
    pub(crate) id: String,
    pub(crate) public: Vec<u8>,
    pub(crate) sealed_private: Vec<u8>,
    pub(crate) signs_from: DateTime<Utc>,
}

/// The keys of this process, fed from the database. Clones are the same.
#[derive(Clone)]
pub(crate) struct Keys {
    database: Database,
    clock: Clock,
    secret: SecretKey,
    rotation: TimeDelta,
    ring: Arc<RwLock<Arc<Ring>>>,
}

impl Keys {
    /// Knows no key yet. A new one signs after each `rotation`.
    pub(crate) fn new(database: Database, clock: Clock, secret: SecretKey, rotation: TimeDelta) -> Self {
        Self { database, clock, secret, rotation, ring: Arc::default() }
    }

    /// The key that signs now. Where there is none yet, one is made.
    pub(crate) async fn signer(&self) -> Result<Arc<SigningKey>, Error> {
        let known = self.ring().signer(self.clock.now());
        if let Some(key) = known {
            return Ok(key);
        }
        self.refresh().await?;
        let key = self.ring().signer(self.clock.now());
        key.ok_or_else(|| anyhow::anyhow!("no signing key after one was made").into())
    }

    /// The keys that verify tokens now or soon, as the database knows them.
    pub(crate) async fn public(&self) -> Result<Vec<PublicKey>, Error> {
        self.refresh().await?;
        Ok(self.ring().keys.iter().map(|key| key.public.clone()).collect())
    }

    /// Reads the keys again, and makes and removes those that are due.
    pub(crate) async fn refresh(&self) -> Result<(), Error> {
        let stored = store::signing_keys(&mut *self.database.reads.acquire().await?).await?;
        let mut ring = Ring::open(stored, &self.secret)?;
        if ring.due(self.clock.now(), self.rotation) != Due::default() {
            ring = in_transaction!(self.database.writes, |tx| self.turn_in_tx(tx).await)?;
        }
        *self.ring.write().unwrap_or_else(|poisoned| poisoned.into_inner()) = Arc::new(ring);
        Ok(())
    }

    /// Makes and removes what is due, under the lock that keeps other replicas from doing so at the same time.
    async fn turn_in_tx(&self, tx: &mut PgConnection) -> Result<Ring, Error> {
        store::lock_signing_keys(tx).await?;
        let ring = Ring::open(store::signing_keys(tx).await?, &self.secret)?;
        let now = self.clock.now();
        let due = ring.due(now, self.rotation);
        if let Some(signs_from) = due.new_from {
            store::insert_signing_key(tx, &self.make(signs_from)?, now).await?;
            tracing::info!(%signs_from, "made a signing key");
        }
        store::delete_signing_keys(tx, &due.gone).await?;
        Ring::open(store::signing_keys(tx).await?, &self.secret)
    }

    fn make(&self, signs_from: DateTime<Utc>) -> Result<StoredKey, Error> {
        let (id, private) = SigningKey::generate()?;
        let public = SigningKey::from_pkcs8(id.clone(), &private)?.public().bytes.to_vec();
        let sealed_private = self.secret.seal(&id, private)?;
        Ok(StoredKey { id, public, sealed_private, signs_from })
    }

    fn ring(&self) -> Arc<Ring> {
        self.ring.read().unwrap_or_else(|poisoned| poisoned.into_inner()).clone()
    }
}

/// All keys, the earliest first.
#[derive(Default)]
struct Ring {
    keys: Vec<Key>,
}

struct Key {
    public: PublicKey,
    signs_from: DateTime<Utc>,
    /// `None` when it was encrypted by another secret: it verifies what it signed, and signs no more.
    signing: Option<Arc<SigningKey>>,
}

/// What is to be done with the keys.
#[derive(Debug, Default, PartialEq, Eq)]
struct Due {
    /// From when a key that is still to be made will sign.
    new_from: Option<DateTime<Utc>>,
    /// The keys that verify nothing any more.
    gone: Vec<String>,
}

impl Ring {
    fn open(stored: Vec<StoredKey>, secret: &SecretKey) -> Result<Self, Error> {
        let mut keys = stored.into_iter().map(|key| Key::open(key, secret)).collect::<Result<Vec<_>, _>>()?;
        keys.sort_by_key(|key| key.signs_from);
        Ok(Self { keys })
    }

    fn usable(&self) -> impl DoubleEndedIterator<Item = &Key> {
        self.keys.iter().filter(|key| key.signing.is_some())
    }

    fn signer(&self, now: DateTime<Utc>) -> Option<Arc<SigningKey>> {
        self.usable().rfind(|key| key.signs_from <= now)?.signing.clone()
    }

    fn due(&self, now: DateTime<Utc>, rotation: TimeDelta) -> Due {
        let new_from = match self.usable().next_back() {
            // The first key, or the first after a change of the secret: there is no time to publish it before.
            _ if self.signer(now).is_none() => Some(now),
            Some(newest) if newest.signs_from + rotation <= now + LEAD => {
                Some((newest.signs_from + rotation).max(now + LEAD))
            }
            _ => None,
        };
        let kept_after_successor = TimeDelta::from_std(TOKEN_LIFETIME).unwrap_or(TimeDelta::MAX) + LEAD;
        let gone = self
            .keys
            .windows(2)
            .filter(|pair| pair[1].signs_from + kept_after_successor <= now)
            .map(|pair| pair[0].public.id.clone())
            .collect();
        Due { new_from, gone }
    }
}

impl Key {
    fn open(stored: StoredKey, secret: &SecretKey) -> Result<Self, Error> {
        let bytes =
            stored.public.try_into().map_err(|_| anyhow::anyhow!("a stored public key has not 32 bytes"))?;
        let signing = match secret.open(&stored.id, &stored.sealed_private) {
            Ok(private) => Some(Arc::new(SigningKey::from_pkcs8(stored.id.clone(), &private)?)),
            Err(_) => None,
        };
        Ok(Self { public: PublicKey { id: stored.id, bytes }, signs_from: stored.signs_from, signing })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MONTH: TimeDelta = TimeDelta::days(30);

    fn key(signs_from: DateTime<Utc>, usable: bool) -> Key {
        let (id, private) = SigningKey::generate().unwrap();
        let signing = SigningKey::from_pkcs8(id, &private).unwrap();
        Key { public: signing.public(), signs_from, signing: usable.then(|| Arc::new(signing)) }
    }

    fn signer_id(ring: &Ring, now: DateTime<Utc>) -> String {
        ring.signer(now).unwrap().public().id
    }

    #[test]
    fn the_first_key_signs_at_once() {
        let now = Utc::now();
        assert_eq!(Ring::default().due(now, MONTH), Due { new_from: Some(now), gone: vec![] });
    }

    #[test]
    fn the_next_key_is_made_before_it_signs_and_the_old_one_stays_until_its_last_token_ended() {
        let start = Utc::now();
        let mut ring = Ring { keys: vec![key(start, true)] };
        assert_eq!(ring.due(start + MONTH - LEAD - TimeDelta::seconds(1), MONTH), Due::default());
        let due = ring.due(start + MONTH - LEAD, MONTH);
        assert_eq!(due.new_from, Some(start + MONTH));

        ring.keys.push(key(start + MONTH, true));
        let old = ring.keys[0].public.id.clone();
        assert_eq!(ring.due(start + MONTH, MONTH), Due::default());
        assert_eq!(signer_id(&ring, start + MONTH - TimeDelta::seconds(1)), old);
        assert_eq!(signer_id(&ring, start + MONTH), ring.keys[1].public.id);

        let last_token_ended = start + MONTH + TOKEN_LIFETIME;
        assert_eq!(ring.due(last_token_ended, MONTH), Due::default());
        assert_eq!(ring.due(last_token_ended + LEAD, MONTH), Due { new_from: None, gone: vec![old] });
    }

    #[test]
    fn a_rotation_that_comes_late_is_published_before_it_signs_too() {
        let start = Utc::now();
        let ring = Ring { keys: vec![key(start, true)] };
        let late = start + MONTH * 3;
        assert_eq!(ring.due(late, MONTH).new_from, Some(late + LEAD));
    }

    #[test]
    fn after_a_change_of_the_secret_a_new_key_signs_at_once_and_the_old_one_still_verifies() {
        let start = Utc::now();
        let ring = Ring { keys: vec![key(start, false)] };
        let now = start + TimeDelta::days(1);
        assert!(ring.signer(now).is_none());
        assert_eq!(ring.due(now, MONTH), Due { new_from: Some(now), gone: vec![] });
    }
}
