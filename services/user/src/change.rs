//! One change to the database: its transaction, the events that tell of it, and the sessions that it ends.
//!
//! Every use case that writes goes through here, so none can commit without its events, and none can end a session
//! without this process refusing its tokens at once.

use chrono::{DateTime, Utc};
use identity::SessionId;
use messaging::{Event, Outbox};
use runtime::{
    Clock, Sessions,
    postgres::{Database, Runs, Transaction},
};
use sqlx::PgConnection;

use crate::{Error, events, store::RevokedSession};

/// Begins changes. Clones are the same.
#[derive(Clone)]
pub(crate) struct Changes {
    pub(crate) database: Database,
    pub(crate) outbox: Outbox,
    pub(crate) sessions: Sessions,
    pub(crate) clock: Clock,
}

/// A change under way. Dropping it undoes it.
pub(crate) struct Change<'a> {
    of: &'a Changes,
    tx: Transaction,
    /// When it happens, for everything that it writes.
    pub(crate) now: DateTime<Utc>,
    events: Vec<Event>,
    ended: Vec<RevokedSession>,
}

impl Changes {
    /// The runs of a change, for [`in_change`].
    pub(crate) fn runs(&self) -> Runs<'_> {
        Runs::on(&self.database.writes)
    }

    /// Begins the next run.
    pub(crate) async fn begin(&self, runs: &Runs<'_>) -> Result<Change<'_>, Error> {
        Ok(Change { of: self, tx: runs.begin().await?, now: self.clock.now(), events: vec![], ended: vec![] })
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

    /// Ends it: writes the events of what is good and commits; then wakes the relay, and refuses the tokens of the ended
    /// sessions here. What is not good is undone. `None` when it is to be run again.
    pub(crate) async fn finish<T>(
        self,
        runs: &mut Runs<'_>,
        outcome: Result<T, Error>,
    ) -> Option<Result<T, Error>> {
        let Self { of, mut tx, events, ended, .. } = self;
        let outcome = match outcome {
            Ok(done) if !events.is_empty() => {
                Outbox::append_in_tx(&mut tx, &events).await.map(|()| done).map_err(Error::from)
            }
            outcome => outcome,
        };
        let outcome = runs.end(tx, outcome).await?;
        if outcome.is_ok() {
            for session in ended {
                of.sessions.revoke(SessionId(session.id), session.revoked_at);
            }
            if !events.is_empty() {
                of.outbox.wake();
            }
        }
        Some(outcome)
    }
}

/// Does a use case in a change, as [`runtime::in_transaction!`] does in a transaction: again, whole, where the database
/// asks for that.
macro_rules! in_change {
    ($changes:expr, |$change:ident| $work:expr) => {{
        let changes = &$changes;
        let mut runs = changes.runs();
        loop {
            let mut change = match changes.begin(&runs).await {
                Ok(change) => change,
                Err(error) => break Err(error),
            };
            let outcome = async {
                let $change = &mut change;
                $work
            }
            .await;
            if let Some(ended) = change.finish(&mut runs, outcome).await {
                break ended;
            }
        }
    }};
}

pub(crate) use in_change;
