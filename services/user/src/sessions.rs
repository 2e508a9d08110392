//! The use cases of sessions: sign in, exchange a refresh token, sign out, change the password. The one place that
//! gives out tokens.

use std::time::Duration;

use aws_lc_rs::hmac;
use chrono::{DateTime, TimeDelta, Utc};
use identity::{Claims, SessionId, SigningKey, Viewer};
use secrecy::SecretString;
use uuid::Uuid;

use crate::{
    Error,
    change::{Change, Changes, in_change},
    keys::Keys,
    password::Passwords,
    session::{IDLE_LIMIT, RefreshToken, Tokens, Verdict},
    store::{self, Opening},
    throttle::{LoginThrottle, Origin},
    user::{Email, NewPassword, User},
};

/// How often what ended long ago is removed.
pub(crate) const PRUNE: Duration = Duration::from_secs(3600);
/// How many revocations are listed at once, but for those of the same time.
const REVOCATIONS_LISTED: i64 = 10_000;
/// For how long a revoked session is kept: readers ask for those of the last token lifetime, late ones included.
const REVOKED_KEPT: TimeDelta = TimeDelta::days(1);
/// For how long an exchanged token is kept, to know it when it is shown again.
const USED_TOKENS_KEPT: TimeDelta = TimeDelta::days(30);
/// How many rows one statement removes.
const PRUNED_AT_ONCE: i64 = 1_000;

/// Opens and ends sessions.
pub(crate) struct Logins {
    pub(crate) changes: Changes,
    pub(crate) keys: Keys,
    pub(crate) passwords: Passwords,
    pub(crate) throttle: LoginThrottle,
    /// From which the successors of refresh tokens are derived.
    pub(crate) refresh_key: hmac::Key,
}

impl Logins {
    /// Signs in. What is no email is `None` and fails like an unknown one.
    pub(crate) async fn authenticate(
        &self,
        email: Option<Email>,
        password: SecretString,
        origin: Origin,
    ) -> Result<(User, Tokens), Error> {
        let now = self.changes.clock.now();
        let attempt = self.throttle.attempt(email.as_ref(), origin, now).map_err(Error::LoginThrottled)?;
        tokio::time::sleep(attempt.wait).await;
        let credentials = match &email {
            Some(email) => {
                let mut conn = self.changes.database.reads.acquire().await?;
                store::active_credentials(&mut conn, email).await?
            }
            None => None,
        };
        let hash = credentials.as_ref().map(|credentials| credentials.password_hash.clone());
        let right = self.passwords.verify(password, hash).await?;
        let credentials = credentials.filter(|_| right).ok_or(Error::InvalidCredentials)?;
        attempt.succeeded();

        let signer = self.keys.signer().await?;
        let opened = in_change!(self.changes, |change| {
            self.open_in(change, &signer, credentials.user_id, &credentials.password_hash).await
        })?;
        opened.ok_or(Error::InvalidCredentials)
    }

    /// Opens a session in the caller's change. `None` if the account is no longer active or has another password.
    /// `signer` is fetched before the change begins, since it may need a connection of its own.
    pub(crate) async fn open_in(
        &self,
        change: &mut Change<'_>,
        signer: &SigningKey,
        user: identity::UserId,
        password_hash: &str,
    ) -> Result<Option<(User, Tokens)>, Error> {
        let now = change.now;
        let session = SessionId(Uuid::now_v7());
        let refresh = RefreshToken::random()?;
        let opening = Opening { session, user, password_hash, token_hash: refresh.hash(), now };
        let Some(user) = store::open_session(change.tx(), opening).await? else { return Ok(None) };
        let tokens = self.issue(signer, &user, session, refresh, now)?;
        Ok(Some((user, tokens)))
    }

    /// Exchanges a refresh token for its successor and a new access token.
    pub(crate) async fn refresh(&self, token: RefreshToken) -> Result<(User, Tokens), Error> {
        let signer = self.keys.signer().await?;
        let successor = token.successor(&self.refresh_key);
        let (hash, successor_hash) = (token.hash(), successor.hash());
        let exchanged = in_change!(self.changes, |change| {
            let user = exchange_in(change, &hash, &successor_hash).await?;
            Ok(user.map(|(user, session)| (user, session, change.now)))
        })?;
        // That it was used again is written, so this is no error of the change.
        let (user, session, now) = exchanged.ok_or(Error::RefreshTokenReused)?;
        let tokens = self.issue(&signer, &user, session, successor, now)?;
        Ok((user, tokens))
    }

    /// Ends the viewer's own session.
    pub(crate) async fn revoke(&self, viewer: Viewer) -> Result<(), Error> {
        in_change!(self.changes, |change| {
            let now = change.now;
            let ended = store::revoke_session(change.tx(), viewer.session_id, now).await?;
            change.end(ended)
        })
    }

    /// The sessions revoked since then, the oldest first, and whether more follow.
    pub(crate) async fn revoked_since(
        &self,
        since: DateTime<Utc>,
    ) -> Result<(Vec<(SessionId, DateTime<Utc>)>, bool), Error> {
        let mut conn = self.changes.database.reads.acquire().await?;
        Ok(store::revoked_since(&mut conn, since, REVOCATIONS_LISTED).await?)
    }

    /// Sets the viewer's password and ends their other sessions. Guessing the current one counts as a login does.
    pub(crate) async fn change_password(
        &self,
        viewer: Viewer,
        current: SecretString,
        new: NewPassword,
        origin: Origin,
    ) -> Result<(), Error> {
        let (credentials, user) = {
            let mut conn = self.changes.database.reads.acquire().await?;
            let credentials = store::credentials_of(&mut conn, viewer.user_id).await?;
            let user = store::find_users(&mut conn, &[viewer.user_id.0], None).await?.pop();
            credentials.zip(user).ok_or(Error::UserNotFound)?
        };
        let now = self.changes.clock.now();
        let attempt =
            self.throttle.attempt(Some(&credentials.email), origin, now).map_err(Error::LoginThrottled)?;
        tokio::time::sleep(attempt.wait).await;
        let old_hash = credentials.password_hash;
        if !self.passwords.verify(current, Some(old_hash.clone())).await? {
            return Err(Error::CurrentPasswordWrong);
        }
        attempt.succeeded();
        let new_hash = self.passwords.hash_strong(&new, words_of(&user), "newPassword").await?;

        in_change!(self.changes, |change| {
            let now = change.now;
            // It locks the account too; whoever changed the password meanwhile wins.
            if !store::set_password(change.tx(), viewer.user_id, &old_hash, &new_hash, now).await? {
                return Err(Error::CurrentPasswordWrong);
            }
            let others =
                store::revoke_sessions_of(change.tx(), viewer.user_id, Some(viewer.session_id), now).await?;
            change.end(others)
        })
    }

    /// Removes sessions and tokens that ended long ago.
    pub(crate) async fn prune(&self) -> Result<(), Error> {
        let now = self.changes.clock.now();
        let mut conn = self.changes.database.writes.acquire().await?;
        let (revoked, idle) = (now - REVOKED_KEPT, now - IDLE_LIMIT - REVOKED_KEPT);
        while store::prune_sessions(&mut conn, revoked, idle, PRUNED_AT_ONCE).await? > 0 {}
        while store::prune_tokens(&mut conn, now - USED_TOKENS_KEPT, PRUNED_AT_ONCE).await? > 0 {}
        Ok(())
    }

    fn issue(
        &self,
        signer: &SigningKey,
        user: &User,
        session: SessionId,
        refresh: RefreshToken,
        now: DateTime<Utc>,
    ) -> Result<Tokens, Error> {
        let (issuer, audience) = self.changes.sessions.issuer_and_audience();
        let claims = Claims::new(issuer, audience, user.id, user.role, session, now);
        let viewer = claims.viewer().ok_or_else(|| anyhow::anyhow!("a token would end beyond all time"))?;
        Ok(Tokens { access: signer.sign(&claims)?.into(), refresh, expires_at: viewer.expires_at })
    }
}

/// Exchanges a refresh token in the caller's change; gives whose it is, and the session. `None` where it was used before:
/// then its session is ended.
async fn exchange_in(
    change: &mut Change<'_>,
    hash: &[u8; 32],
    successor: &[u8; 32],
) -> Result<Option<(User, SessionId)>, Error> {
    let now = change.now;
    let session = store::lock_session_of_token(change.tx(), hash).await?;
    let session = session.ok_or(Error::RefreshTokenInvalid)?;
    let token_use = store::token_use(change.tx(), hash, successor).await?;
    match session.judge(token_use, now) {
        Verdict::Exchange => store::exchange_token(change.tx(), session.id, hash, successor, now).await?,
        Verdict::Repeat => {}
        Verdict::Revoked => return Err(Error::RefreshTokenInvalid),
        Verdict::Expired => return Err(Error::SessionExpired),
        Verdict::Reused => {
            tracing::warn!(session = %session.id, "a refresh token was used again; its session is revoked");
            let ended = store::revoke_session(change.tx(), session.id, now).await?;
            change.end(ended)?;
            return Ok(None);
        }
    }
    let user = store::find_users(change.tx(), &[session.user_id.0], None).await?.pop();
    let user = user.ok_or(Error::RefreshTokenInvalid)?;
    Ok(Some((user, session.id)))
}

/// What someone who knows the owner would try first as their password.
pub(crate) fn words_of(user: &User) -> Vec<String> {
    let words =
        [user.email.as_str(), user.email.local_part(), user.first_name.as_str(), user.last_name.as_str()];
    words.into_iter().chain(["portico"]).map(str::to_owned).collect()
}
