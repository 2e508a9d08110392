//! The lead of one database's outbox: a connection of its own with an advisory lock, which ends with the connection.

use std::{future::Future, time::Duration};

use sqlx::{Connection, PgConnection};
use tokio::time::{sleep, timeout};
use uuid::Uuid;

use super::RelayError;
use crate::{
    Outbox,
    store::{self, Row},
};

/// How often one that stands by tries to lead.
const STANDBY: Duration = Duration::from_secs(1);
/// How long the database may take to answer before the connection counts as lost. A network that swallows everything
/// gives no error by itself.
const ANSWER: Duration = Duration::from_secs(10);
/// Lets the server notice within half a minute that a leader's machine went away, and give the lock to another.
const KEEPALIVES: [(&str, &str); 3] =
    [("tcp_keepalives_idle", "10"), ("tcp_keepalives_interval", "5"), ("tcp_keepalives_count", "3")];

/// The one relay that leads. All that it does to the outbox goes through the connection that holds the lock.
pub(super) struct Leader {
    connection: PgConnection,
}

impl Leader {
    /// Connects, and stands by until it leads.
    pub(super) async fn wait(outbox: &Outbox) -> Result<Self, RelayError> {
        let options = outbox.pool.connect_options().as_ref().clone();
        let options = options.application_name(&format!("{} relay", outbox.source)).options(KEEPALIVES);
        let mut connection = in_time(PgConnection::connect_with(&options)).await?;
        while !in_time(lock(&mut connection)).await? {
            sleep(STANDBY).await;
        }
        Ok(Self { connection })
    }

    /// The first `limit` rows that wait, but those of the aggregates in `busy`.
    pub(super) async fn unpublished(&mut self, busy: &[Uuid], limit: usize) -> Result<Vec<Row>, RelayError> {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        in_time(store::unpublished(&mut self.connection, busy, limit)).await
    }

    /// Marks rows as told, in one statement.
    pub(super) async fn mark(&mut self, ids: &[Uuid]) -> Result<(), RelayError> {
        if ids.is_empty() {
            return Ok(());
        }
        in_time(store::mark_published(&mut self.connection, ids)).await
    }

    /// Gives the lead back. Without this it ends too, but only once the server has seen that the connection is gone.
    pub(super) async fn resign(mut self) {
        let goodbye = async {
            sqlx::query("SELECT pg_advisory_unlock_all()").execute(&mut self.connection).await?;
            self.connection.close().await
        };
        if let Err(error) = in_time(goodbye).await {
            tracing::debug!(%error, "the lead was not given back; it ends with its connection");
        }
    }
}

async fn lock(connection: &mut PgConnection) -> Result<bool, sqlx::Error> {
    // Advisory locks belong to one database, so one key serves all of them.
    sqlx::query_scalar("SELECT pg_try_advisory_lock(hashtextextended('portico outbox relay', 0))")
        .fetch_one(connection)
        .await
}

async fn in_time<T>(answer: impl Future<Output = Result<T, sqlx::Error>>) -> Result<T, RelayError> {
    Ok(timeout(ANSWER, answer).await??)
}
