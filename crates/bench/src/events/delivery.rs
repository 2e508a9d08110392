//! From a commit to where its event is heard, one event at a time on a system that does nothing else.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use messaging::{Broker, BrokerConfig, Event, Heard, Listener, Outbox, RabbitMq, relay};
use portico::progress::Progress;
use runtime::Stop;
use sqlx::PgPool;
use tokio::time::{sleep, timeout};
use uuid::Uuid;

use super::{Plan, queue::Queue, said};
use crate::{dataset::Dataset, up::Up};

/// How long one event may take.
const AT_MOST: Duration = Duration::from_secs(10);
/// How long nothing happens between two events, at the least.
const IDLE: Duration = Duration::from_millis(30);
/// How many events are not counted, while everybody connects.
const WARM_UP: usize = 5;

/// Follows the events; answers how long each took, the shortest first. The relay has the order service's account, and
/// the listener that of a gateway, in one process and over RabbitMQ.
///
/// # Errors
/// When an event is not heard, or a backend fails.
pub(super) async fn measure(
    plan: Plan,
    up: &Up,
    data: &Dataset,
    progress: &Progress,
) -> Result<Vec<Duration>> {
    let step = progress.step("Following events from their commit to a listener");
    let database = PgPool::connect(up.database("order")?).await?;
    let outbox = Outbox::new(database.clone(), "order");
    let stop = Stop::new();
    let relay = tokio::spawn(relay::run(outbox.clone(), broker(up, "order")?, stop.clone()));
    let mut listener = broker(up, "gateway")?.listen(&[said::NAME]);
    heard(&mut listener, |heard| matches!(heard, Heard::Anew)).await.context("the listener can't listen")?;
    let mut took = Vec::with_capacity(plan.followed);
    for (n, event) in said::placed(data, WARM_UP + plan.followed).enumerate() {
        let one = follow(&outbox, &database, &event?, &mut listener).await?;
        if n >= WARM_UP {
            took.push(one);
        }
        sleep(IDLE).await;
    }
    stop.cancel();
    relay.await?;
    Queue::open(up.rabbitmq_of_all()?).await?.empty().await?;
    said::empty_outbox(&database).await?;
    database.close().await;
    took.sort();
    step.done(&format!("{:.1} ms in the median", super::page::milliseconds(super::page::part(&took, 50))));
    Ok(took)
}

fn broker(up: &Up, account: &str) -> Result<Broker> {
    Ok(RabbitMq::new(&BrokerConfig::at(up.rabbitmq(account)?), account)?.into())
}

/// Says one event as the services do.
async fn follow(
    outbox: &Outbox,
    database: &PgPool,
    event: &Event,
    listener: &mut Listener,
) -> Result<Duration> {
    let mut tx = database.begin().await?;
    Outbox::append_in_tx(&mut tx, std::slice::from_ref(event)).await?;
    tx.commit().await?;
    let committed = Instant::now();
    outbox.wake();
    heard(listener, |heard| is(heard, event.id)).await.context("an event is not heard")?;
    Ok(committed.elapsed())
}

fn is(heard: &Heard, id: Uuid) -> bool {
    matches!(heard, Heard::Event(event) if event.id == id)
}

async fn heard(listener: &mut Listener, is_it: impl Fn(&Heard) -> bool) -> Result<()> {
    let wait = async { while !is_it(&listener.next().await) {} };
    Ok(timeout(AT_MOST, wait).await?)
}
