//! One change to the database: its transaction, the events that tell of it, and the sessions that it ends.
//!
//! Every use case that writes goes through here, so none can commit without its events, and none can end a session
//! without this process refusing its tokens at once.

use chrono::{DateTime, Utc};
use identity::SessionId;
use messaging::{Event, Outbox};
use runtime::{Clock, Sessions};
use sqlx::{PgConnection, PgPool, Postgres, Transaction};

use crate::{Error, events, store::RevokedSession};

/// Begins changes. Clones are the same.
#[derive(Clone)]
pub(crate) struct Changes {
    pub(crate) pool: PgPool,
    pub(crate) outbox: Outbox,
    pub(crate) sessions: Sessions,
    pub(crate) clock: Clock,
}

/// A change under way. Dropping it undoes it.
pub(crate) struct Change<'a> {
    of: &'a Changes,
    tx: Transaction<'static, Postgres>,
    /// When it happens, for everything that it writes.
    pub(crate) now: DateTime<Utc>,
    events: Vec<Event>,
    ended: Vec<RevokedSession>,
}

impl Changes {
    /// Begins one.
    pub(crate) async fn begin(&self) -> Result<Change<'_>, Error> {
        let tx = self.pool.begin().await?;
        Ok(Change { of: self, tx, now: self.clock.now(), events: vec![], ended: vec![] })
    }
}

impl Change<'_> {
    /// The transaction, for the store.
    pub(crate) fn tx(&mut self) -> &mut PgConnection {
        &mut self.tx
    }

    /// Adds an event.
    pub(crate) fn say(&mut self, event: Event) {
        self.events.push(event);
    }

    /// Adds sessions that it revoked, with their events.
    pub(crate) fn end(&mut self, sessions: Vec<RevokedSession>) -> Result<(), Error> {
        for session in &sessions {
            self.events.push(events::session_revoked(session, self.now)?);
        }
        self.ended.extend(sessions);
        Ok(())
    }

    /// Writes the events and commits; then wakes the relay, and refuses the tokens of the ended sessions here.
    pub(crate) async fn commit(mut self) -> Result<(), Error> {
        let spoke = !self.events.is_empty();
        if spoke {
            Outbox::append_in_tx(&mut self.tx, &self.events).await?;
        }
        self.tx.commit().await?;
        for session in self.ended {
            self.of.sessions.revoke(SessionId(session.id), session.revoked_at);
        }
        if spoke {
            self.of.outbox.wake();
        }
        Ok(())
    }
}
