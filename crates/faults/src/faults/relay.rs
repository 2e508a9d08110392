//! The death of a relay between the publishing of events and their marking, brought about and not hoped for:
//!
//! 1. we lock rows of the outbox that wait, so that the relay can tell them and not mark them;
//! 2. our subscriber hears one of them: RabbitMQ has it;
//! 3. Postgres says that the relay's statement waits for our lock;
//! 4. the process whose connection that is gets SIGKILL, and its statement is ended too, since Postgres would otherwise
//!    finish for the dead what it was asked to do.

use std::time::Duration;

use anyhow::{Context, Result};
use portico::state::State;
use sqlx::{Connection, PgConnection, PgTransaction};
use tokio::time::{Instant, sleep};
use uuid::Uuid;

use super::{DOWN, Faults};
use crate::{fleet::Fleet, sockets};

/// How long it may take until all of it comes together.
const PATIENCE: Duration = Duration::from_secs(15);
/// How long locked rows are waited for: less than the relay's own patience with its database.
const WITH_THE_LOCK: Duration = Duration::from_secs(2);
const LOOK_AGAIN: Duration = Duration::from_millis(2);

/// The relay whose mark waits.
struct Waiting {
    /// Its backend in Postgres.
    backend: i32,
    /// The process that it is in.
    process: String,
}

/// Does it to the relay of `service`; `None` when it did not come to it in time.
///
/// # Errors
/// When the database fails, or the process does not start again.
pub(super) async fn kill_between_publish_and_mark(
    faults: &mut Faults<'_>,
    service: &str,
) -> Result<Option<String>> {
    let mut connection = PgConnection::connect(faults.backends.database(service)).await?;
    let until = Instant::now() + PATIENCE;
    while Instant::now() < until {
        let mut lock = connection.begin().await?;
        if let Some((told, waiting)) = catch(faults, service, &mut lock).await? {
            kill(faults.fleet, faults.state, &waiting, &mut lock).await?;
            lock.rollback().await?;
            let how = format!("{} in {}", events(&told), waiting.process);
            faults.done.unmarked.extend(told);
            faults.pause(DOWN).await;
            let process = faults.fleet.get(&waiting.process)?;
            process.start(faults.state).await?;
            process.until_ready().await?;
            return Ok(Some(how));
        }
        lock.rollback().await?;
        sleep(LOOK_AGAIN).await;
    }
    Ok(None)
}

/// Steps 1 to 3: the events that were heard, and the relay that waits to mark them.
async fn catch(
    faults: &Faults<'_>,
    service: &str,
    lock: &mut PgTransaction<'_>,
) -> Result<Option<(Vec<Uuid>, Waiting)>> {
    let locked: Vec<Uuid> = sqlx::query_scalar(
        "SELECT id FROM outbox
         WHERE published_at IS NULL
         ORDER BY position
         LIMIT 50
         FOR UPDATE SKIP LOCKED",
    )
    .fetch_all(&mut **lock)
    .await?;
    let until = Instant::now() + WITH_THE_LOCK;
    while !locked.is_empty() && Instant::now() < until {
        let heard: Vec<_> = {
            let arrivals = faults.subscriber.arrivals();
            locked.iter().copied().filter(|id| arrivals.times(*id) > 0).collect()
        };
        if !heard.is_empty()
            && let Some(waiting) = waiting(faults.fleet, service, lock).await?
        {
            return Ok(Some((heard, waiting)));
        }
        sleep(LOOK_AGAIN).await;
    }
    Ok(None)
}

/// The relay that waits for our lock, if one does.
async fn waiting(fleet: &Fleet, service: &str, lock: &mut PgTransaction<'_>) -> Result<Option<Waiting>> {
    let found: Option<(i32, i32)> = sqlx::query_as(
        "SELECT pid, client_port FROM pg_stat_activity
         WHERE application_name = $1 AND pg_backend_pid() = ANY(pg_blocking_pids(pid))",
    )
    .bind(format!("{service} relay"))
    .fetch_optional(&mut **lock)
    .await?;
    let Some((backend, port)) = found else { return Ok(None) };
    let pid = sockets::owner(u16::try_from(port)?, &fleet.ids());
    Ok(pid.and_then(|pid| fleet.of_id(pid)).map(|name| Waiting { backend, process: name.to_owned() }))
}

/// Step 4.
async fn kill(
    fleet: &mut Fleet,
    state: &State,
    waiting: &Waiting,
    lock: &mut PgTransaction<'_>,
) -> Result<()> {
    fleet.get(&waiting.process)?.kill(state).await?;
    let ended: bool = sqlx::query_scalar("SELECT pg_terminate_backend($1, 5000)")
        .bind(waiting.backend)
        .fetch_one(&mut **lock)
        .await?;
    ended.then_some(()).context("Postgres does not end the statement of the relay that was killed")
}

fn events(told: &[Uuid]) -> String {
    if told.len() == 1 { "1 event".to_owned() } else { format!("{} events", told.len()) }
}
