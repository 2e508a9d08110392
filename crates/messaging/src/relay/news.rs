//! Waking a leader in another process: a NOTIFY that says "look", and nothing more.
//!
//! It is sent after the commit and not in it, where it would put the commits of all into one line, and by the relay that
//! stands by: one at a time, however many commits wake it meanwhile. One that is lost costs a second, until the next poll.

use std::time::Duration;

use sqlx::{
    PgConnection,
    postgres::{PgListener, PgPoolOptions},
};
use tokio::time::sleep;

use super::leader;
use crate::Outbox;

const CHANNEL: &str = "portico_outbox";
/// How long one that could not listen waits.
const AFTER_FAILURE: Duration = Duration::from_secs(1);

/// Tells the leader of this database that there may be something to tell.
pub(super) async fn send(connection: &mut PgConnection) -> Result<(), sqlx::Error> {
    sqlx::query("SELECT pg_notify($1, '')").bind(CHANNEL).execute(connection).await?;
    Ok(())
}

/// Wakes `outbox` whenever another process says so, for as long as this one leads.
pub(super) async fn pass_on(outbox: &Outbox) {
    loop {
        if let Err(error) = listen(outbox).await {
            tracing::debug!(source = outbox.source, %error, "other processes can't wake the relay; it polls");
        }
        sleep(AFTER_FAILURE).await;
    }
}

/// Listens until the connection is lost. It registers before it wakes for the first time, so that what was committed
/// before is found by that look, and what comes later is heard.
async fn listen(outbox: &Outbox) -> Result<(), sqlx::Error> {
    let options = leader::options(outbox, "relay listening");
    let pool = PgPoolOptions::new().max_connections(1).connect_with(options).await?;
    let mut listener = PgListener::connect_with(&pool).await?;
    listener.listen(CHANNEL).await?;
    loop {
        outbox.wake();
        if listener.try_recv().await?.is_none() {
            return Ok(());
        }
    }
}
