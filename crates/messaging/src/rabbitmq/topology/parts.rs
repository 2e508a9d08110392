//! What the topology is made of, once: for AMQP, which declares it, and for the definitions that RabbitMQ loads.

use std::time::Duration;

use lapin::{
    Channel, ExchangeKind,
    options::{ExchangeDeclareOptions, QueueDeclareOptions},
    types::FieldTable,
};
use serde_json::{Map, Value, json};

use super::{Argument, DEAD, DELIVERY_LIMIT, EXCHANGE, WORK, bind, dead_queue, retry_key, table};

/// Dead letters are looked at any number of times, and 4.x counts each look. 3.10 knows no "unlimited".
const NO_DELIVERY_LIMIT: u32 = i32::MAX.cast_unsigned();

/// An exchange, a queue, or the way from one to the other. All of them are durable: they are there again after a restart
/// of the broker, before any of us is.
#[derive(Clone, Debug)]
pub(super) enum Part {
    Exchange { name: String, kind: &'static str },
    Queue { name: String, arguments: Vec<(&'static str, Argument)> },
    Binding { exchange: String, queue: String, key: String },
}

/// The exchange of all events.
pub(super) fn events() -> Part {
    Part::Exchange { name: EXCHANGE.to_owned(), kind: "topic" }
}

/// What a consumer of `events` needs beside it. The queue of its dead letters comes last: where that is, all of it is.
pub(super) fn of_consumer(consumer: &str, events: &[&str], delays: &[Duration]) -> Vec<Part> {
    let queue = |name: &str, arguments: Vec<(&'static str, Argument)>| {
        // Quorum queues confirm what a majority has on disk, and count deliveries.
        let arguments = [vec![("x-queue-type", "quorum".into())], arguments].concat();
        Part::Queue { name: name.to_owned(), arguments }
    };
    let bound = |queue: &str, exchange: &str, key: &str| Part::Binding {
        exchange: exchange.to_owned(),
        queue: queue.to_owned(),
        key: key.to_owned(),
    };
    let mut parts = vec![Part::Exchange { name: consumer.to_owned(), kind: "direct" }];

    let limit = ("x-delivery-limit", DELIVERY_LIMIT.into());
    parts.push(queue(consumer, [vec![limit], dead_letters_to(consumer, DEAD)].concat()));
    parts.push(bound(consumer, consumer, WORK));
    parts.extend(events.iter().map(|event| bound(consumer, EXCHANGE, event)));

    for delay in delays {
        let key = retry_key(*delay);
        let name = format!("{consumer}.{key}");
        // One delay for the whole queue: expired messages leave only at its head, so one with a longer delay would hold
        // up those behind it.
        let milliseconds = u32::try_from(delay.as_millis()).unwrap_or(u32::MAX);
        let ttl = ("x-message-ttl", milliseconds.into());
        parts.push(queue(&name, [vec![ttl], dead_letters_to(consumer, WORK)].concat()));
        parts.push(bound(&name, consumer, &key));
    }

    let name = dead_queue(consumer);
    parts.push(queue(&name, vec![("x-delivery-limit", NO_DELIVERY_LIMIT.into())]));
    parts.push(bound(&name, consumer, DEAD));
    parts
}

/// What leaves a queue goes to the consumer's own exchange. At least once: without it RabbitMQ publishes it there
/// without waiting for a confirm, and loses it when the target can't be reached. That needs `reject-publish`, which is
/// without effect here as no queue has a greatest length.
fn dead_letters_to(consumer: &str, key: &str) -> Vec<(&'static str, Argument)> {
    vec![
        ("x-dead-letter-exchange", consumer.into()),
        ("x-dead-letter-routing-key", key.into()),
        ("x-dead-letter-strategy", "at-least-once".into()),
        ("x-overflow", "reject-publish".into()),
    ]
}

impl Part {
    /// Makes it where it is not there yet.
    pub(super) async fn declare(&self, channel: &Channel) -> lapin::Result<()> {
        match self {
            Self::Exchange { name, kind } => {
                let options = ExchangeDeclareOptions { durable: true, ..Default::default() };
                let none = FieldTable::default();
                let kind = ExchangeKind::Custom((*kind).to_owned());
                channel.exchange_declare(name.as_str().into(), kind, options, none).await
            }
            Self::Queue { name, arguments } => {
                let options = QueueDeclareOptions::durable();
                channel.queue_declare(name.as_str().into(), options, table(arguments)).await?;
                Ok(())
            }
            Self::Binding { exchange, queue, key } => bind(channel, queue, exchange, key).await,
        }
    }

    /// The same as an entry of its list in definitions.
    pub(super) fn definition(&self, virtual_host: &str) -> Value {
        match self {
            Self::Exchange { name, kind } => json!({
                "name": name, "vhost": virtual_host, "type": kind, "durable": true, "auto_delete": false,
                "internal": false, "arguments": {},
            }),
            Self::Queue { name, arguments } => json!({
                "name": name, "vhost": virtual_host, "durable": true, "auto_delete": false,
                "arguments": arguments.iter().map(|(name, value)| ((*name).to_owned(), value.json())).collect::<Map<_, _>>(),
            }),
            Self::Binding { exchange, queue, key } => json!({
                "source": exchange, "vhost": virtual_host, "destination": queue, "destination_type": "queue",
                "routing_key": key, "arguments": {},
            }),
        }
    }
}

impl Argument {
    fn json(&self) -> Value {
        match self {
            Self::Text(text) => text.as_str().into(),
            Self::Number(number) => (*number).into(),
        }
    }
}
