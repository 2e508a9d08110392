//! Dead letters: events that a consumer could not handle, at rest until somebody looks at them.
//!
//! With RabbitMQ they rest in the queue `<consumer>.dead`, with the in-process bus in the table `dead_letters` of the
//! consumer's database. One that is redriven is handled again by its consumer, as at its first try; when that fails for
//! good, it rests again. Whoever redrives may be interrupted: at worst an event comes twice, which the inbox leaves out.

mod in_databases;
pub(crate) mod store;

use chrono::{DateTime, Utc};
use sqlx::PgPool;

use crate::{BrokerConfig, rabbitmq};

/// An event at rest, or a message that is none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadLetter {
    /// The consumer that could not handle it.
    pub consumer: String,
    /// The event's id; for a message that has none, what it is known by here.
    pub id: String,
    /// What it says it is: `order.created`, or the whole type where it is none of ours.
    pub name: Option<String>,
    /// Why it rests.
    pub reason: String,
    /// After how many failed tries.
    pub tries: u32,
    /// Since when. Unknown where RabbitMQ does not tell.
    pub died_at: Option<DateTime<Utc>>,
    /// The whole message; what is no text in it is replaced.
    pub message: String,
}

/// Which dead letters are meant: those to which all of it applies.
#[derive(Clone, Debug, Default)]
pub struct Which {
    /// Those of this consumer.
    pub consumer: Option<String>,
    /// The one with this id. Each consumer may have one.
    pub id: Option<String>,
}

/// Why dead letters can't be reached.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A database failed.
    #[error("the database failed: {0}")]
    Database(#[from] sqlx::Error),
    /// RabbitMQ can't be reached, or failed.
    #[error("RabbitMQ failed: {0}")]
    Broker(#[source] anyhow::Error),
    /// RabbitMQ did not take a message back: its consumer has no queue. It rests as before.
    #[error("RabbitMQ did not take the message: {0} has no queue")]
    NotTaken(String),
}

/// The dead letters of a system.
pub struct DeadLetters(Place);

enum Place {
    RabbitMq(rabbitmq::DeadLetters),
    Databases(Vec<PgPool>),
}

impl DeadLetters {
    /// Those in RabbitMQ, of the consumers of [`crate::topology::QUEUES`] (and of any other that is named). Its account
    /// may read their queues and write to their exchanges.
    ///
    /// # Errors
    /// When the URL is none.
    pub fn in_rabbitmq(config: &BrokerConfig) -> anyhow::Result<Self> {
        Ok(Self(Place::RabbitMq(rabbitmq::DeadLetters::new(config)?)))
    }

    /// Those in these databases, one for each service.
    pub fn in_databases(pools: Vec<PgPool>) -> Self {
        Self(Place::Databases(pools))
    }

    /// At most `limit` dead letters of each consumer, oldest first. While it looks at those in RabbitMQ, nobody else sees
    /// them.
    ///
    /// # Errors
    /// When they can't be reached.
    pub async fn list(&self, which: &Which, limit: usize) -> Result<Vec<DeadLetter>, Error> {
        match &self.0 {
            Place::RabbitMq(rabbitmq) => rabbitmq.list(which, limit).await,
            Place::Databases(pools) => in_databases::list(pools, which, limit).await,
        }
    }

    /// Has them handled again; answers how many.
    ///
    /// # Errors
    /// When they can't be reached. Some may be redriven then, and the others rest.
    pub async fn redrive(&self, which: &Which) -> Result<u64, Error> {
        match &self.0 {
            Place::RabbitMq(rabbitmq) => rabbitmq.redrive(which).await,
            Place::Databases(pools) => in_databases::redrive(pools, which).await,
        }
    }

    /// Deletes them for ever; answers how many.
    ///
    /// # Errors
    /// When they can't be reached. Some may be deleted then, and the others rest.
    pub async fn delete(&self, which: &Which) -> Result<u64, Error> {
        match &self.0 {
            Place::RabbitMq(rabbitmq) => rabbitmq.delete(which).await,
            Place::Databases(pools) => in_databases::delete(pools, which).await,
        }
    }
}

/// Tells that an event failed and comes again.
pub(crate) fn tell_retry(consumer: &'static str, event: &str, failed: u32, reason: &str) {
    metrics::counter!("event_retries_total", "consumer" => consumer).increment(1);
    tracing::warn!(consumer, event, failed, reason, "an event can't be handled yet");
}

/// Tells that an event rests.
pub(crate) fn tell_death(consumer: &'static str, event: &str, reason: &str) {
    metrics::counter!("dead_letters_total", "consumer" => consumer).increment(1);
    tracing::error!(consumer, event, reason, "an event rests as a dead letter");
}
