//! What an access token says.

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{Role, SessionId, UserId, Viewer};

/// How long an access token is good for. Revocations are remembered as long.
pub const TOKEN_LIFETIME: Duration = Duration::from_secs(15 * 60);

/// The claims of an access token (RFC 9068, section 2.2). None is optional: a token that lacks one is refused.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Claims {
    /// Who signed it.
    pub iss: String,
    /// For whom it is.
    pub aud: String,
    /// Whose it is.
    pub sub: UserId,
    /// What they may do.
    pub role: Role,
    /// The session that it belongs to.
    pub sid: SessionId,
    /// Its own id.
    pub jti: Uuid,
    /// When it was signed, in seconds since 1970.
    pub iat: i64,
    /// When it ends, in seconds since 1970.
    pub exp: i64,
}

impl Claims {
    /// The claims of a new token of this session, good from `now` for [`TOKEN_LIFETIME`].
    pub fn new(
        issuer: &str,
        audience: &str,
        user: UserId,
        role: Role,
        sid: SessionId,
        now: DateTime<Utc>,
    ) -> Self {
        Self {
            iss: issuer.to_owned(),
            aud: audience.to_owned(),
            sub: user,
            role,
            sid,
            jti: Uuid::now_v7(),
            iat: now.timestamp(),
            exp: (now + TOKEN_LIFETIME).timestamp(),
        }
    }

    /// The viewer for whom the token speaks; `None` if its end is no time.
    pub fn viewer(&self) -> Option<Viewer> {
        let expires_at = DateTime::from_timestamp(self.exp, 0)?;
        Some(Viewer { user_id: self.sub, role: self.role, session_id: self.sid, expires_at })
    }
}
