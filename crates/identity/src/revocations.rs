//! The sessions whose tokens are no longer good although they have not ended.

use std::{collections::HashMap, sync::RwLock};

use chrono::{DateTime, Utc};

use crate::{SessionId, TOKEN_LIFETIME};

/// The sessions revoked within the last [`TOKEN_LIFETIME`]; older ones have no token left that could be used.
#[derive(Debug, Default)]
pub struct Revocations {
    revoked_at: RwLock<HashMap<SessionId, DateTime<Utc>>>,
}

impl Revocations {
    /// Remembers that `session` was revoked at that time. A repeat changes nothing.
    pub fn add(&self, session: SessionId, revoked_at: DateTime<Utc>) {
        self.revoked_at.write().unwrap_or_else(|e| e.into_inner()).entry(session).or_insert(revoked_at);
    }

    /// Whether the tokens of `session` are to be refused.
    pub fn contains(&self, session: SessionId) -> bool {
        self.revoked_at.read().unwrap_or_else(|e| e.into_inner()).contains_key(&session)
    }

    /// Forgets the sessions whose last token has ended. A minute is added for clocks that differ.
    pub fn prune(&self, now: DateTime<Utc>) {
        let oldest = now - TOKEN_LIFETIME - std::time::Duration::from_secs(60);
        self.revoked_at.write().unwrap_or_else(|e| e.into_inner()).retain(|_, at| *at >= oldest);
    }
}
