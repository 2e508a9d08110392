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

use std::time::Duration;

use lapin::{
    Channel, ExchangeKind,
    options::{ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions},
    types::{AMQPValue, FieldTable},
};

use secrecy::ExposeSecret;

pub use accounts::{Account, accounts};

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
/// subscriber's is one too; so whoever sets a broker up calls [`declare_all`], before anybody listens.
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
/// Dead letters are looked at any number of times, and 4.x counts each look. 3.10 knows no "unlimited".
const NO_DELIVERY_LIMIT: u32 = i32::MAX.cast_unsigned();

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

/// Declares what all consumers of [`QUEUES`] need, with an account that may do all of it. Changes nothing where it is
/// there already.
///
/// # Errors
/// When RabbitMQ can't be reached, or something that differs is there under one of the names.
pub async fn declare_all(config: &BrokerConfig) -> anyhow::Result<()> {
    let address = Address::new(config.amqp_url.expose_secret(), "topology".to_owned())?;
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
    exchange(channel, consumer, ExchangeKind::Direct).await?;
    work(channel, consumer, events).await?;
    for delay in delays {
        retry(channel, consumer, *delay).await?;
    }
    // Last: where it is there, all of it is.
    dead(channel, consumer).await
}

/// Declares the exchange of all events.
pub(crate) async fn declare_exchange(channel: &Channel) -> lapin::Result<()> {
    exchange(channel, EXCHANGE, ExchangeKind::Topic).await
}

/// Declares a listener's queue and binds it; answers its name, which the server gives.
pub(crate) async fn declare_listener(channel: &Channel, names: &[&str]) -> lapin::Result<String> {
    declare_exchange(channel).await?;
    let mut arguments = FieldTable::default();
    // A quorum queue can't be exclusive, and these events may be lost.
    set(&mut arguments, "x-queue-type", "classic");
    // A listener that is too slow loses the oldest, and hears of the gap. To refuse new ones instead would make it the
    // publisher's trouble.
    set(&mut arguments, "x-max-length", LISTENER_HOLDS);
    set(&mut arguments, "x-overflow", "drop-head");
    let options = QueueDeclareOptions::exclusive().auto_delete();
    let queue = channel.queue_declare("".into(), options, arguments).await?.name().as_str().to_owned();
    for name in names {
        bind(channel, &queue, EXCHANGE, name).await?;
    }
    Ok(queue)
}

async fn exchange(channel: &Channel, name: &str, kind: ExchangeKind) -> lapin::Result<()> {
    // Durable: it is there again after a restart of the broker, before any of us is.
    let options = ExchangeDeclareOptions { durable: true, ..Default::default() };
    channel.exchange_declare(name.into(), kind, options, FieldTable::default()).await
}

async fn work(channel: &Channel, consumer: &str, events: &[&str]) -> lapin::Result<()> {
    let mut arguments = quorum();
    set(&mut arguments, "x-delivery-limit", DELIVERY_LIMIT);
    dead_letter_to(&mut arguments, consumer, DEAD);
    queue(channel, consumer, arguments).await?;
    bind(channel, consumer, consumer, WORK).await?;
    for event in events {
        bind(channel, consumer, EXCHANGE, event).await?;
    }
    Ok(())
}

async fn retry(channel: &Channel, consumer: &str, delay: Duration) -> lapin::Result<()> {
    let mut arguments = quorum();
    // One delay for the whole queue: expired messages leave only at its head, so one with a longer delay would hold up
    // those behind it.
    let milliseconds = u32::try_from(delay.as_millis()).unwrap_or(u32::MAX);
    set(&mut arguments, "x-message-ttl", milliseconds);
    dead_letter_to(&mut arguments, consumer, WORK);
    let key = retry_key(delay);
    let name = format!("{consumer}.{key}");
    queue(channel, &name, arguments).await?;
    bind(channel, &name, consumer, &key).await
}

async fn dead(channel: &Channel, consumer: &str) -> lapin::Result<()> {
    let mut arguments = quorum();
    set(&mut arguments, "x-delivery-limit", NO_DELIVERY_LIMIT);
    let name = dead_queue(consumer);
    queue(channel, &name, arguments).await?;
    bind(channel, &name, consumer, DEAD).await
}

/// Quorum queues confirm what a majority has on disk, and count deliveries.
fn quorum() -> FieldTable {
    let mut arguments = FieldTable::default();
    set(&mut arguments, "x-queue-type", "quorum");
    arguments
}

/// What leaves a queue goes to the consumer's own exchange. At least once: without it RabbitMQ publishes it there
/// without waiting for a confirm, and loses it when the target can't be reached. That needs `reject-publish`, which is
/// without effect here as no queue has a greatest length.
fn dead_letter_to(arguments: &mut FieldTable, consumer: &str, key: &str) {
    set(arguments, "x-dead-letter-exchange", consumer);
    set(arguments, "x-dead-letter-routing-key", key);
    set(arguments, "x-dead-letter-strategy", "at-least-once");
    set(arguments, "x-overflow", "reject-publish");
}

async fn queue(channel: &Channel, name: &str, arguments: FieldTable) -> lapin::Result<()> {
    channel.queue_declare(name.into(), QueueDeclareOptions::durable(), arguments).await?;
    Ok(())
}

async fn bind(channel: &Channel, queue: &str, exchange: &str, key: &str) -> lapin::Result<()> {
    let options = QueueBindOptions::default();
    channel.queue_bind(queue.into(), exchange.into(), key.into(), options, FieldTable::default()).await
}

fn set(arguments: &mut FieldTable, name: &str, value: impl Into<Argument>) {
    arguments.insert(name.into(), value.into().0);
}

/// An argument's value: text, or a number in the type that every version reads as one.
struct Argument(AMQPValue);

impl From<&str> for Argument {
    fn from(text: &str) -> Self {
        Self(AMQPValue::LongString(text.into()))
    }
}

impl From<u32> for Argument {
    fn from(number: u32) -> Self {
        Self(AMQPValue::LongLongInt(number.into()))
    }
}
