//! The one who asks, as every rule of ownership sees them.

use std::{fmt, str::FromStr};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// The id of an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct UserId(pub Uuid);

impl fmt::Display for UserId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for UserId {
    type Err = uuid::Error;

    fn from_str(text: &str) -> Result<Self, uuid::Error> {
        text.parse().map(Self)
    }
}

/// The id of a session: of one sign-in and of all refresh tokens that descend from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SessionId(pub Uuid);

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for SessionId {
    type Err = uuid::Error;

    fn from_str(text: &str) -> Result<Self, uuid::Error> {
        text.parse().map(Self)
    }
}

/// What a user may do. A change of role revokes the user's sessions, so a token's role is never stale.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Role {
    /// Sees and changes what is theirs.
    Customer,
    /// Sees and changes all.
    Admin,
}

/// The signed-in user on whose behalf a request runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Viewer {
    /// Whose token it is.
    pub user_id: UserId,
    /// Their role when the token was signed.
    pub role: Role,
    /// The session that the token belongs to.
    pub session_id: SessionId,
    /// When the token ends.
    pub expires_at: DateTime<Utc>,
}

impl Viewer {
    /// Whether the viewer is an admin.
    pub fn is_admin(&self) -> bool {
        self.role == Role::Admin
    }

    /// Whether the viewer may see and change what `owner` owns. A refusal must look like a missing row.
    pub fn may_access(&self, owner: UserId) -> bool {
        self.is_admin() || self.user_id == owner
    }

    /// The owner to whom a query must be narrowed: the viewer, or `None` (everyone) for an admin.
    pub fn scope(&self) -> Option<UserId> {
        (!self.is_admin()).then_some(self.user_id)
    }
}
