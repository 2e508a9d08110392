//! What the service says to the world: the events of `proto/user/v1/events.proto`. It hears none.

use chrono::{DateTime, Utc};
use messaging::Event;
use proto::user::v1 as pb;

use crate::{store::RevokedSession, user::User};

/// An account was made.
pub(crate) fn created(user: &User, now: DateTime<Utc>) -> Result<Event, serde_json::Error> {
    let data = pb::UserCreated { user: Some(user.clone().into()) };
    Event::of(&data, user.id.0, user.version, now)
}

/// An account's fields, role or activity changed.
pub(crate) fn updated(user: &User, now: DateTime<Utc>) -> Result<Event, serde_json::Error> {
    let data = pb::UserUpdated { user: Some(user.clone().into()) };
    Event::of(&data, user.id.0, user.version, now)
}

/// An account was deleted.
pub(crate) fn deleted(user: &User, now: DateTime<Utc>) -> Result<Event, serde_json::Error> {
    let data = pb::UserDeleted { user_id: user.id.to_string() };
    Event::of(&data, user.id.0, user.version, now)
}

/// A session was revoked: its access tokens are no longer good.
pub(crate) fn session_revoked(
    session: &RevokedSession,
    now: DateTime<Utc>,
) -> Result<Event, serde_json::Error> {
    let data = pb::SessionRevoked {
        session_id: session.id.to_string(),
        user_id: session.user_id.to_string(),
        revoked_at: Some(session.revoked_at.into()),
    };
    Event::of(&data, session.id, session.version, now)
}
