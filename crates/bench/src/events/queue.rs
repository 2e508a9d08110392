//! The queue that the measured events go to: the payment service's own, of which nobody takes any meanwhile.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use lapin::{
    Channel, Connection, ConnectionProperties,
    options::{QueueDeclareOptions, QueuePurgeOptions},
    types::FieldTable,
};
use messaging::topology;
use tokio::time::{Instant, sleep};

use super::said::NAME;

/// How long RabbitMQ may take to count what it has confirmed.
const COUNTED_WITHIN: Duration = Duration::from_secs(30);

/// The queue, looked at by an account that may.
pub(super) struct Queue {
    name: &'static str,
    channel: Channel,
    /// It ends when it is dropped.
    _connection: Connection,
}

impl Queue {
    /// Opens it. It is there since RabbitMQ was brought up.
    ///
    /// # Errors
    /// When RabbitMQ can't be reached.
    pub(super) async fn open(url: &str) -> Result<Self> {
        let queue = topology::QUEUES.iter().find(|queue| queue.events.contains(&NAME));
        let name = queue.context("no queue takes the measured events")?.consumer;
        let connection = connect(url).await?;
        Ok(Self { name, channel: connection.create_channel().await?, _connection: connection })
    }

    /// Empties it.
    ///
    /// # Errors
    /// When the connection fails.
    pub(super) async fn empty(&self) -> Result<()> {
        self.channel.queue_purge(self.name.into(), QueuePurgeOptions::default()).await?;
        Ok(())
    }

    /// Sees that it holds so many messages, and none too many.
    ///
    /// # Errors
    /// When it does not: an event was lost, or told twice.
    pub(super) async fn must_hold(&self, count: usize) -> Result<()> {
        let until = Instant::now() + COUNTED_WITHIN;
        loop {
            let options = QueueDeclareOptions::default().passive();
            let queue = self.channel.queue_declare(self.name.into(), options, FieldTable::default()).await?;
            let holds = queue.message_count() as usize;
            if holds == count {
                return Ok(());
            }
            if holds > count || Instant::now() > until {
                bail!("{} holds {holds} messages in place of {count}: the run is void", self.name);
            }
            sleep(Duration::from_millis(50)).await;
        }
    }
}

/// A connection without any of ours around it.
///
/// # Errors
/// When RabbitMQ can't be reached.
pub(super) async fn connect(url: &str) -> Result<Connection> {
    Connection::connect(url, ConnectionProperties::default()).await.context("RabbitMQ can't be reached")
}
