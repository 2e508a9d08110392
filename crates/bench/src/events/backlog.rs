//! Moving a backlog: the relay, from its start until no row of the outbox waits, beside a publisher written by hand that
//! has nothing to do but to publish as many messages of the same size to the same queue.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use futures::{StreamExt, TryStreamExt, stream};
use lapin::{
    BasicProperties, Channel, Connection,
    options::{BasicPublishOptions, ConfirmSelectOptions},
};
use messaging::{Broker, BrokerConfig, Outbox, RabbitMq, relay, topology};
use portico::progress::Progress;
use runtime::Stop;
use sqlx::PgPool;
use tokio::time::{sleep, timeout};
use uuid::Uuid;

use super::{
    Plan,
    queue::{Queue, connect},
    said,
};
use crate::{dataset::Dataset, rounds::Rounds, up::Up, wrk::Measured};

/// The relay.
pub(super) const RELAY: &str = "relay";
/// The publisher beside it.
pub(super) const LAPIN: &str = "lapin";

/// How many messages are on their way at a time: as many as the relay's publisher has, 4 batches of 250.
pub(super) const IN_FLIGHT: usize = 1_000;
/// What a round that warms up moves of the backlog.
const WARM_UP: usize = 10;
/// How long a backlog may take.
const AT_MOST: Duration = Duration::from_secs(300);
/// How often it is looked whether rows wait.
const LOOK: Duration = Duration::from_millis(20);

/// Measures both ways, one after the other, every other round backwards.
///
/// # Errors
/// When events are lost or doubled, or a backend fails.
pub(super) async fn measure(plan: Plan, up: &Up, data: &Dataset, progress: &Progress) -> Result<Rounds> {
    let database = PgPool::connect(up.database("order")?).await?;
    let queue = Queue::open(up.rabbitmq_of_all()?).await?;
    let bare = Bare::open(up.rabbitmq("order")?, data).await?;
    let mut rounds = Rounds::of(vec![RELAY, LAPIN]);
    for round in 0..=plan.rounds {
        let (step, count) = match round {
            0 => (progress.step("Moving a backlog, warming up"), plan.backlog / WARM_UP),
            n => (progress.step(&format!("Moving a backlog, round {n} of {}", plan.rounds)), plan.backlog),
        };
        let mut told = Vec::new();
        for place in rounds.order(round) {
            queue.empty().await?;
            let name = [RELAY, LAPIN][place];
            let measured = match place {
                0 => {
                    said::fill_outbox(&database, data, count).await?;
                    of(count, relay(&database, up.rabbitmq("order")?).await?)
                }
                _ => of(count, bare.publish(count).await?),
            };
            queue.must_hold(count).await?;
            told.push(format!("{name} {:.0}/s", measured.rate));
            if round > 0 {
                rounds.add(place, measured);
            }
        }
        step.done(&told.join(", "));
    }
    queue.empty().await?;
    said::empty_outbox(&database).await?;
    database.close().await;
    Ok(rounds)
}

fn of(count: usize, took: Duration) -> Measured {
    let rate = count as f64 / took.as_secs_f64();
    Measured { answers: count as u64, rate, p50: Duration::ZERO, p99: Duration::ZERO }
}

/// Runs a relay, which connects first, until nothing waits.
async fn relay(database: &PgPool, url: &str) -> Result<Duration> {
    let config = BrokerConfig::at(url);
    let broker = Broker::from(RabbitMq::new(&config, "order")?);
    let (outbox, stop) = (Outbox::new(database.clone(), "order"), Stop::new());
    let began = Instant::now();
    let relay = tokio::spawn(relay::run(outbox, broker, stop.clone()));
    let drained = timeout(AT_MOST, drained(database)).await;
    let took = began.elapsed();
    stop.cancel();
    relay.await?;
    drained.context("the relay does not come to an end")??;
    Ok(took)
}

async fn drained(database: &PgPool) -> Result<()> {
    let waits = "SELECT EXISTS (SELECT FROM outbox WHERE published_at IS NULL)";
    while sqlx::query_scalar(waits).fetch_one(database).await? {
        sleep(LOOK).await;
    }
    Ok(())
}

/// A publisher with one channel and one message.
struct Bare {
    channel: Channel,
    body: Vec<u8>,
    /// It ends when it is dropped.
    _connection: Connection,
}

impl Bare {
    async fn open(url: &str, data: &Dataset) -> Result<Self> {
        let event = said::placed(data, 1).next().context("there is no event")??;
        let body = serde_json::to_vec(&said::as_told(event))?;
        let connection = connect(url).await?;
        let channel = connection.create_channel().await?;
        channel.confirm_select(ConfirmSelectOptions::default()).await?;
        Ok(Self { channel, body, _connection: connection })
    }

    async fn publish(&self, count: usize) -> Result<Duration> {
        let began = Instant::now();
        let published = stream::iter(0..count).map(|_| self.publish_one()).buffer_unordered(IN_FLIGHT);
        timeout(AT_MOST, published.try_collect::<()>())
            .await
            .context("the publisher does not come to an end")??;
        Ok(began.elapsed())
    }

    /// With the properties that the relay gives a message.
    async fn publish_one(&self) -> Result<()> {
        let properties = BasicProperties::default()
            .with_content_type("application/cloudevents+json".into())
            .with_delivery_mode(2)
            .with_message_id(Uuid::now_v7().to_string().into())
            .with_type("portico.order.created.v1".into())
            .with_app_id("order".into())
            .with_timestamp(chrono::Utc::now().timestamp().unsigned_abs());
        let options = BasicPublishOptions { mandatory: true, ..Default::default() };
        let (exchange, key) = (topology::EXCHANGE.into(), said::NAME.into());
        let confirm =
            self.channel.basic_publish(exchange, key, options, &self.body, properties).await?.await?;
        ensure!(confirm.is_ack() && confirm.take_message().is_none(), "RabbitMQ did not take a message");
        Ok(())
    }
}
