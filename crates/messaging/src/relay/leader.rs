//! The lead of one database's outbox: a connection of its own with an advisory lock, which ends with the connection.

use std::{future::Future, time::Duration};

use sqlx::{Connection, PgConnection, postgres::PgConnectOptions};
use tokio::time::{Instant, sleep_until, timeout};
use uuid::Uuid;

use super::{RelayError, news};
use crate::{
    Outbox,
    store::{self, Row},
};

/// How often one that stands by tries to lead.
const STANDBY: Duration = Duration::from_secs(1);
/// How long the database may take to answer before the connection counts as lost. A network that swallows everything
/// gives no error by itself.
const ANSWER: Duration = Duration::from_secs(10);
const SETTINGS: [(&str, &str); 4] = [
    // Lets the server notice within half a minute that a leader's machine went away, and give the lock to another.
    ("tcp_keepalives_idle", "10"),
    ("tcp_keepalives_interval", "5"),
    ("tcp_keepalives_count", "3"),
    // A mark that a crash of the server takes back is an event that is told again. That is not worth a wait for the disk.
    ("synchronous_commit", "off"),
];

/// The one relay that leads. All that it does to the outbox goes through the connection that holds the lock.
pub(super) struct Leader {
    connection: PgConnection,
}

impl Leader {
    /// Connects, and stands by until it leads. Meanwhile it passes on to the leader what wakes it.
    pub(super) async fn wait(outbox: &Outbox) -> Result<Self, RelayError> {
        let mut connection = in_time(PgConnection::connect_with(&options(outbox, "relay"))).await?;
        while !in_time(lock(&mut connection)).await? {
            let next = Instant::now() + STANDBY;
            loop {
                tokio::select! {
                    () = sleep_until(next) => break,
                    () = outbox.wake.notified() => in_time(news::send(&mut connection)).await?,
                }
            }
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

/// How a relay connects: apart from the pool, and named for what the connection is for.
pub(super) fn options(outbox: &Outbox, what: &str) -> PgConnectOptions {
    let options = outbox.pool.connect_options().as_ref().clone();
    options.application_name(&format!("{} {what}", outbox.source)).options(SETTINGS)
}

async fn lock(connection: &mut PgConnection) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar("SELECT pg_try_advisory_lock(hashtextextended($1, 0))")
        .bind(store::LEAD)
        .fetch_one(connection)
        .await
}

async fn in_time<T>(answer: impl Future<Output = Result<T, sqlx::Error>>) -> Result<T, RelayError> {
    Ok(timeout(ANSWER, answer).await??)
}
