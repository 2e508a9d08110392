//! A session: the family of refresh tokens that descend from one sign-in, and what becomes of one that is shown. No I/O.
//!
//! A token is good for one exchange. Its successor is derived from it, so that a client whose answer was lost can ask
//! again and gets the same one, for a short while and until the successor is used. A token that is shown later has two
//! holders, of whom one stole it: the whole family ends.

use aws_lc_rs::{
    digest::{SHA256, digest},
    error::Unspecified,
    hmac, rand,
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use chrono::{DateTime, TimeDelta, Utc};
use identity::{SessionId, UserId};
use secrecy::SecretString;

/// A session that is not used for so long has ended.
pub(crate) const IDLE_LIMIT: TimeDelta = TimeDelta::days(30);
/// A session that is so old has ended, used or not.
pub(crate) const AGE_LIMIT: TimeDelta = TimeDelta::days(90);
/// For how long an exchange can be asked for again.
pub(crate) const GRACE: TimeDelta = TimeDelta::seconds(30);

/// What a client holds: an access token for now and a refresh token for later.
pub(crate) struct Tokens {
    pub(crate) access: SecretString,
    pub(crate) refresh: RefreshToken,
    /// When the access token ends.
    pub(crate) expires_at: DateTime<Utc>,
}

/// A session as the database holds it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Session {
    pub(crate) id: SessionId,
    pub(crate) user_id: UserId,
    pub(crate) created_at: DateTime<Utc>,
    /// When a token of it was last exchanged.
    pub(crate) last_used_at: DateTime<Utc>,
    pub(crate) revoked_at: Option<DateTime<Utc>>,
}

/// What the database knows of a refresh token.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TokenUse {
    /// When it was exchanged.
    pub(crate) used_at: Option<DateTime<Utc>>,
    /// Whether its successor was exchanged too.
    pub(crate) successor_used: bool,
}

/// What becomes of a refresh token that is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It is exchanged for its successor.
    Exchange,
    /// It gets the successor that it got before.
    Repeat,
    /// Its session was revoked.
    Revoked,
    /// Its session was idle for too long, or is too old.
    Expired,
    /// It was stolen, or its successor was.
    Reused,
}

impl Session {
    /// Judges a token of this session.
    pub(crate) fn judge(&self, token: TokenUse, now: DateTime<Utc>) -> Verdict {
        if self.revoked_at.is_some() {
            return Verdict::Revoked;
        }
        if now - self.last_used_at >= IDLE_LIMIT || now - self.created_at >= AGE_LIMIT {
            return Verdict::Expired;
        }
        match token.used_at {
            None => Verdict::Exchange,
            Some(used_at) if now - used_at <= GRACE && !token.successor_used => Verdict::Repeat,
            Some(_) => Verdict::Reused,
        }
    }
}

/// A refresh token: 32 bytes, the first of a session random. The database holds only its hash.
#[derive(PartialEq, Eq)]
pub(crate) struct RefreshToken([u8; 32]);

impl RefreshToken {
    /// The first one of a session.
    pub(crate) fn random() -> Result<Self, Unspecified> {
        let mut bytes = [0; 32];
        rand::fill(&mut bytes)?;
        Ok(Self(bytes))
    }

    /// Reads what [`RefreshToken::text`] gave; `None` when it is none.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        URL_SAFE_NO_PAD.decode(text).ok()?.try_into().ok().map(Self)
    }

    /// The one for which this one is exchanged: always the same.
    pub(crate) fn successor(&self, key: &hmac::Key) -> Self {
        Self(bytes_of(hmac::sign(key, &self.0)))
    }

    /// By which the database knows it. The token is random, so a plain hash is enough.
    pub(crate) fn hash(&self) -> [u8; 32] {
        bytes_of(digest(&SHA256, &self.0))
    }

    /// As its holder gets it.
    pub(crate) fn text(&self) -> SecretString {
        URL_SAFE_NO_PAD.encode(self.0).into()
    }
}

fn bytes_of(digest: impl AsRef<[u8]>) -> [u8; 32] {
    let mut bytes = [0; 32];
    bytes.copy_from_slice(digest.as_ref());
    bytes
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;
    use uuid::Uuid;

    use super::*;

    const FRESH: TokenUse = TokenUse { used_at: None, successor_used: false };

    fn session(now: DateTime<Utc>) -> Session {
        let (id, user_id) = (SessionId(Uuid::now_v7()), UserId(Uuid::now_v7()));
        Session { id, user_id, created_at: now, last_used_at: now, revoked_at: None }
    }

    #[test]
    fn a_token_is_exchanged_once_and_repeated_for_a_while_unless_its_successor_was_used() {
        let now = Utc::now();
        let session = session(now);
        let used = |ago, successor_used| TokenUse { used_at: Some(now - ago), successor_used };
        assert_eq!(session.judge(FRESH, now), Verdict::Exchange);
        assert_eq!(session.judge(used(GRACE, false), now), Verdict::Repeat);
        assert_eq!(session.judge(used(GRACE + TimeDelta::microseconds(1), false), now), Verdict::Reused);
        assert_eq!(session.judge(used(TimeDelta::zero(), true), now), Verdict::Reused);
    }

    #[test]
    fn a_session_ends_when_idle_for_30_days_and_after_90_days_at_most() {
        let now = Utc::now();
        let end = |created: i64, used: i64| {
            let (created_at, last_used_at) = (now - TimeDelta::days(created), now - TimeDelta::days(used));
            Session { created_at, last_used_at, ..session(now) }.judge(FRESH, now)
        };
        assert_eq!(end(29, 29), Verdict::Exchange);
        assert_eq!(end(89, 1), Verdict::Exchange);
        assert_eq!(end(30, 30), Verdict::Expired);
        assert_eq!(end(90, 0), Verdict::Expired);
    }

    #[test]
    fn a_revoked_session_stays_revoked_whatever_token_is_shown() {
        let now = Utc::now();
        let session = Session { revoked_at: Some(now), ..session(now) };
        assert_eq!(session.judge(FRESH, now), Verdict::Revoked);
    }

    #[test]
    fn a_token_reads_back_from_its_text_and_its_successor_depends_on_the_key() {
        let token = RefreshToken::random().unwrap();
        assert!(RefreshToken::parse(token.text().expose_secret()) == Some(RefreshToken(token.0)));
        let key = |byte| hmac::Key::new(hmac::HMAC_SHA256, &[byte; 32]);
        assert!(token.successor(&key(1)) == token.successor(&key(1)));
        assert!(token.successor(&key(1)) != token.successor(&key(2)));
        for rubbish in ["", "x", "====", "\0", "🙈", &URL_SAFE_NO_PAD.encode([0; 31])] {
            assert!(RefreshToken::parse(rubbish).is_none(), "{rubbish}");
        }
    }
}
