//! Laying messages aside: a confirmed copy, where the message waits for its next try or rests.

use lapin::{
    BasicProperties, Channel, Confirmation, Connection,
    message::Delivery,
    options::{BasicPublishOptions, ConfirmSelectOptions},
    types::{AMQPValue, FieldTable},
};

use super::Ended;
use crate::{rabbitmq::copy, topology::EXCHANGE};

/// The header with the number of failed tries.
pub(in crate::rabbitmq) const TRIES: &str = "portico-tries";
/// The header with the reason of the last failure.
pub(in crate::rabbitmq) const REASON: &str = "portico-reason";
/// The header with the time of the last failure.
pub(in crate::rabbitmq) const FAILED_AT: &str = "portico-failed-at";
/// The header with the routing key under which the message was published at first.
pub(in crate::rabbitmq) const KEY: &str = "portico-routing-key";

/// How many characters of a reason are kept.
const REASON_KEPT: usize = 1000;

/// A header of a message.
pub(in crate::rabbitmq) fn header<'a>(properties: &'a BasicProperties, name: &str) -> Option<&'a AMQPValue> {
    properties.headers().as_ref()?.inner().get(name)
}

/// The way to a consumer's own exchange.
pub(super) struct Aside {
    channel: Channel,
    consumer: &'static str,
}

impl Aside {
    pub(super) async fn open(connection: &Connection, consumer: &'static str) -> lapin::Result<Self> {
        let channel = connection.create_channel().await?;
        channel.confirm_select(ConfirmSelectOptions::default()).await?;
        Ok(Self { channel, consumer })
    }

    /// Lays a copy of the message under `key`, and waits until RabbitMQ has it.
    pub(super) async fn put(
        &self,
        delivery: &Delivery,
        key: &str,
        reason: &str,
        tries: u32,
    ) -> Result<(), Ended> {
        let reason: String = reason.chars().take(REASON_KEPT).collect();
        let now = chrono::Utc::now().timestamp().unsigned_abs();
        let mut headers = FieldTable::default();
        headers.insert(TRIES.into(), AMQPValue::LongUInt(tries));
        headers.insert(REASON.into(), AMQPValue::LongString(reason.into()));
        headers.insert(FAILED_AT.into(), AMQPValue::Timestamp(now));
        headers.insert(KEY.into(), original_key(delivery));
        let confirmed = self
            .channel
            .basic_publish(
                self.consumer.into(),
                key.into(),
                BasicPublishOptions { mandatory: true, ..Default::default() },
                &delivery.data,
                copy::properties(&delivery.properties, headers),
            )
            .await?
            .await?;
        // Several may be under way, and then one that came back is told to any of them: all come again.
        if matches!(confirmed, Confirmation::Ack(None)) { Ok(()) } else { Err(Ended::Refused) }
    }
}

/// The key of the first publishing, which a message that came by our own exchange carries with it.
fn original_key(delivery: &Delivery) -> AMQPValue {
    match header(&delivery.properties, KEY) {
        Some(key) if delivery.exchange.as_str() != EXCHANGE => key.clone(),
        _ => AMQPValue::LongString(delivery.routing_key.as_str().into()),
    }
}
