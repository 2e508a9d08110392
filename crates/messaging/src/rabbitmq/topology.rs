//! The topology: exchanges, queues and accounts in RabbitMQ, in one place.
//!
//! All events go to one topic exchange, [`EXCHANGE`], each under its name. A consumer has an exchange of its own, named as
//! it is, with the keys `work`, `retry.<ms>` and `dead`, and behind it these queues:
//!
//! ```text
//! portico.events --(the events' names)--> <consumer> <--work-- its own exchange
//!      a try fails:  its own exchange --retry.200--> <consumer>.retry.200 --(200 ms later)--> work
//!      tries are up: its own exchange --dead--> <consumer>.dead
//! ```
//!
//! Whoever comes first declares it; all declare the same. It holds on RabbitMQ 3.10 and on 4.x.

mod accounts;
mod parts;

use std::time::Duration;

use lapin::{
    Channel,
    options::{QueueBindOptions, QueueDeclareOptions},
    types::{AMQPValue, FieldTable},
};
use serde_json::{Value, json};

pub use accounts::{Account, accounts};
use parts::Part;

use super::connection::{self, Address};
use crate::BrokerConfig;

/// The exchange of all events. Their names are the routing keys.
pub const EXCHANGE: &str = "portico.events";

/// A consumer's queue: which events it is bound to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Queue {
    /// The consumer's name, and so the queue's.
    pub consumer: &'static str,
    /// The names of its events.
    pub events: &'static [&'static str],
}

/// The queues of the whole system. Events of these names are published as mandatory: one that no queue takes stays in
/// its outbox until its consumer has declared its queue. RabbitMQ does not say which queue took it, and a listener's or a
/// subscriber's is one too; so whoever sets a broker up loads [`definitions`] or calls [`declare_all`], before anybody
/// listens.
pub const QUEUES: &[Queue] = &[
    Queue { consumer: "order.payment_outcomes", events: &["payment.success", "payment.cancelled"] },
    Queue { consumer: "payment.order_created", events: &["order.created"] },
    Queue { consumer: "payment.order_status_changed", events: &["order.status_changed"] },
];

/// After which delays an event that could not be handled comes again. When it fails once more after the last of them,
/// it rests as a dead letter.
pub const RETRY_DELAYS: &[Duration] = &[
    Duration::from_millis(200),
    Duration::from_secs(1),
    Duration::from_secs(5),
    Duration::from_secs(20),
    Duration::from_secs(60),
];

/// The key of a consumer's exchange under which an event is handled.
pub(crate) const WORK: &str = "work";
/// The key of a consumer's exchange under which an event rests.
pub(crate) const DEAD: &str = "dead";

/// How often a message may come back without an answer, such as from a process that it kills, before RabbitMQ lays it
/// to rest. 4.x has this limit by default and drops what goes beyond; 3.10 has none and would hand it out for ever.
pub const DELIVERY_LIMIT: u32 = 20;

/// How many events wait for one listener at most.
pub(crate) const LISTENER_HOLDS: u32 = 10_000;

/// The key of a consumer's exchange for the events that come again after `delay`.
pub(crate) fn retry_key(delay: Duration) -> String {
    format!("retry.{}", delay.as_millis())
}

/// The queue of a consumer's dead letters.
pub(crate) fn dead_queue(consumer: &str) -> String {
    format!("{consumer}.{DEAD}")
}

/// Everything that the consumers of [`QUEUES`] need, as the lists `exchanges`, `queues` and `bindings` of definitions that
/// RabbitMQ loads at its start (<https://www.rabbitmq.com/docs/definitions>), in this virtual host.
pub fn definitions(virtual_host: &str) -> Value {
    let (mut exchanges, mut queues, mut bindings) = (vec![], vec![], vec![]);
    let parts =
        QUEUES.iter().flat_map(|queue| parts::of_consumer(queue.consumer, queue.events, RETRY_DELAYS));
    for part in std::iter::once(parts::events()).chain(parts) {
        let list = match part {
            Part::Exchange { .. } => &mut exchanges,
            Part::Queue { .. } => &mut queues,
            Part::Binding { .. } => &mut bindings,
        };
        list.push(part.definition(virtual_host));
    }
    json!({ "exchanges": exchanges, "queues": queues, "bindings": bindings })
}

/// Declares what all consumers of [`QUEUES`] need, with an account that may do all of it. Changes nothing where it is
/// there already.
///
/// # Errors
/// When RabbitMQ can't be reached, or something that differs is there under one of the names.
pub async fn declare_all(config: &BrokerConfig) -> anyhow::Result<()> {
    let address = Address::new(config, "topology".to_owned())?;
    let session = connection::open(&address).await?;
    let channel = session.connection.create_channel().await?;
    for queue in QUEUES {
        declare(&channel, queue.consumer, queue.events, RETRY_DELAYS).await?;
    }
    connection::close(&session.connection).await;
    Ok(())
}

/// Declares what a consumer of `events` needs. Changes nothing where it is there already.
///
/// # Errors
/// When the connection fails, the account may not, or something is there under one of the names that differs.
pub(crate) async fn declare(
    channel: &Channel,
    consumer: &str,
    events: &[&str],
    delays: &[Duration],
) -> lapin::Result<()> {
    declare_exchange(channel).await?;
    for part in parts::of_consumer(consumer, events, delays) {
        part.declare(channel).await?;
    }
    Ok(())
}

/// Declares the exchange of all events.
pub(crate) async fn declare_exchange(channel: &Channel) -> lapin::Result<()> {
    parts::events().declare(channel).await
}

/// Declares a listener's queue and binds it; answers its name, which the server gives.
pub(crate) async fn declare_listener(channel: &Channel, names: &[&str]) -> lapin::Result<String> {
    declare_exchange(channel).await?;
    let arguments = table(&[
        // A quorum queue can't be exclusive, and these events may be lost.
        ("x-queue-type", "classic".into()),
        // A listener that is too slow loses the oldest, and hears of the gap. To refuse new ones instead would make it
        // the publisher's trouble.
        ("x-max-length", LISTENER_HOLDS.into()),
        ("x-overflow", "drop-head".into()),
    ]);
    let options = QueueDeclareOptions::exclusive().auto_delete();
    let queue = channel.queue_declare("".into(), options, arguments).await?.name().as_str().to_owned();
    for name in names {
        bind(channel, &queue, EXCHANGE, name).await?;
    }
    Ok(queue)
}

async fn bind(channel: &Channel, queue: &str, exchange: &str, key: &str) -> lapin::Result<()> {
    let options = QueueBindOptions::default();
    channel.queue_bind(queue.into(), exchange.into(), key.into(), options, FieldTable::default()).await
}

/// Arguments as AMQP has them.
fn table(arguments: &[(&'static str, Argument)]) -> FieldTable {
    let mut table = FieldTable::default();
    for (name, value) in arguments {
        let value = match value {
            Argument::Text(text) => AMQPValue::LongString(text.as_str().into()),
            // The type that every version reads as a number.
            Argument::Number(number) => AMQPValue::LongLongInt((*number).into()),
        };
        table.insert((*name).into(), value);
    }
    table
}

/// The value of a queue's argument.
#[derive(Clone, Debug)]
enum Argument {
    Text(String),
    Number(u32),
}

impl From<&str> for Argument {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<u32> for Argument {
    fn from(number: u32) -> Self {
        Self::Number(number)
    }
}
