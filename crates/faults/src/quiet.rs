//! When the faults are over: whether everything that was begun has come to its end.

use std::{collections::BTreeMap, time::Duration};

use anyhow::Result;
use lapin::{Connection, ConnectionProperties, options::QueueDeclareOptions, types::FieldTable};
use messaging::topology::{QUEUES, RETRY_DELAYS};
use portico::progress::Progress;
use sqlx::{Connection as _, PgConnection};
use tokio::time::{Instant, sleep};

use crate::{backends::Backends, subscriber};

/// How long it may take: an event may wait a minute and a half between its tries.
const PATIENCE: Duration = Duration::from_secs(180);
const LOOK: Duration = Duration::from_millis(500);
/// How often is told what is waited for.
const TELL: Duration = Duration::from_secs(10);
/// How often in a row nothing must be left: RabbitMQ does not count what it has handed out and not yet got back.
const IN_A_ROW: u32 = 3;

/// What is left to do, by what it is; nothing that is at zero.
type Left = BTreeMap<String, i64>;

/// Waits until nothing is left to do. Gives what is left when that takes too long, which is for the checks to explain.
///
/// # Errors
/// When Postgres or RabbitMQ fails.
pub(crate) async fn wait(backends: &Backends, progress: &Progress) -> Result<Option<String>> {
    let (begun, mut quiet, mut told) = (Instant::now(), 0, Instant::now());
    loop {
        let left = left(backends).await?;
        quiet = if left.is_empty() { quiet + 1 } else { 0 };
        if quiet == IN_A_ROW {
            return Ok(None);
        }
        if begun.elapsed() > PATIENCE {
            return Ok(Some(format!("after {} s there are still: {}", PATIENCE.as_secs(), list(&left))));
        }
        if told.elapsed() > TELL {
            told = Instant::now();
            progress.note(&format!("Still to come: {}", list(&left)));
        }
        sleep(LOOK).await;
    }
}

fn list(left: &Left) -> String {
    left.iter().map(|(what, count)| format!("{what} {count}")).collect::<Vec<_>>().join(", ")
}

async fn left(backends: &Backends) -> Result<Left> {
    let mut left = Left::new();
    let (mut events, mut handled) = (BTreeMap::<String, i64>::new(), BTreeMap::<String, i64>::new());
    for service in ["user", "order", "payment"] {
        let mut database = PgConnection::connect(backends.database(service)).await?;
        let waiting = "SELECT count(*) FROM outbox WHERE published_at IS NULL";
        left.insert(format!("outbox of {service}"), count(&mut database, waiting).await?);
        let rows = "SELECT name, count(*) FROM outbox GROUP BY name";
        events.extend(sqlx::query_as::<_, (String, i64)>(rows).fetch_all(&mut database).await?);
        let rows = "SELECT consumer, count(*) FROM inbox GROUP BY consumer";
        handled.extend(sqlx::query_as::<_, (String, i64)>(rows).fetch_all(&mut database).await?);
        if service == "payment" {
            let started = "SELECT count(*) FROM attempts WHERE status = 'STARTED'";
            left.insert("attempts STARTED".to_owned(), count(&mut database, started).await?);
        }
        database.close().await?;
    }
    for queue in QUEUES {
        let wanted: i64 = queue.events.iter().filter_map(|name| events.get(*name)).sum();
        let handled = handled.get(queue.consumer).copied().unwrap_or(0);
        left.insert(format!("events for {}", queue.consumer), wanted - handled);
    }
    left.extend(
        lengths(backends, &queues()).await?.into_iter().map(|(queue, length)| (queue, length.into())),
    );
    left.retain(|_, count| *count != 0);
    Ok(left)
}

async fn count(database: &mut PgConnection, question: &'static str) -> Result<i64> {
    Ok(sqlx::query_scalar(question).fetch_one(database).await?)
}

/// The queues that must be empty: those of work and of retries, and the subscriber's.
fn queues() -> Vec<String> {
    let retries =
        |consumer| RETRY_DELAYS.iter().map(move |delay| format!("{consumer}.retry.{}", delay.as_millis()));
    let work = QUEUES.iter().map(|queue| queue.consumer.to_owned());
    let retries = QUEUES.iter().flat_map(|queue| retries(queue.consumer));
    work.chain(retries).chain([subscriber::QUEUE.to_owned()]).collect()
}

/// How many messages lie in each dead-letter queue.
///
/// # Errors
/// When RabbitMQ fails or a queue is not there.
pub(crate) async fn dead_letters(backends: &Backends) -> Result<Vec<(String, u32)>> {
    let queues: Vec<_> = QUEUES.iter().map(|queue| format!("{}.dead", queue.consumer)).collect();
    lengths(backends, &queues).await
}

async fn lengths(backends: &Backends, queues: &[String]) -> Result<Vec<(String, u32)>> {
    let url = backends.amqp_of_administrator();
    let connection = Connection::connect(&url, ConnectionProperties::default()).await?;
    let channel = connection.create_channel().await?;
    let mut lengths = Vec::new();
    for name in queues {
        let options = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::default() };
        let queue = channel.queue_declare(name.as_str().into(), options, FieldTable::default()).await?;
        lengths.push((name.clone(), queue.message_count()));
    }
    connection.close(200, "OK".into()).await?;
    Ok(lengths)
}
