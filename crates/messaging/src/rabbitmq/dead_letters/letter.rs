//! What a message of a dead-letter queue tells.

use std::hash::{DefaultHasher, Hash, Hasher};

use chrono::DateTime;
use lapin::{
    BasicProperties,
    message::BasicGetMessage,
    types::{AMQPValue, FieldTable},
};
use serde::Deserialize;

use crate::{
    dead_letters::DeadLetter,
    rabbitmq::consumer::{FAILED_AT, REASON, TRIES, header},
};

/// What is looked for in any JSON.
#[derive(Default, Deserialize)]
struct Told {
    id: Option<String>,
    #[serde(rename = "type")]
    kind: Option<String>,
}

pub(super) fn read(consumer: &str, got: &BasicGetMessage) -> DeadLetter {
    let properties = &got.properties;
    let told: Told = serde_json::from_slice(&got.data).unwrap_or_default();
    let id = told.id.or_else(|| text(properties.message_id().as_ref()));
    let kind = told.kind.or_else(|| text(properties.kind().as_ref()));
    // Where there is none, RabbitMQ itself has laid it to rest.
    let own = reason(properties);
    let tries = match header(properties, TRIES) {
        Some(AMQPValue::LongUInt(tries)) => *tries,
        _ => 0,
    };
    let died_at = match (&own, header(properties, FAILED_AT)) {
        (Some(_), Some(AMQPValue::Timestamp(at))) => Some(*at),
        _ => death(properties).and_then(|death| match death.inner().get("time") {
            Some(AMQPValue::Timestamp(at)) => Some(*at),
            _ => None,
        }),
    };
    DeadLetter {
        consumer: consumer.to_owned(),
        id: id.unwrap_or_else(|| fingerprint(&got.data)),
        name: kind.map(|kind| name(&kind)),
        reason: own.unwrap_or_else(|| by_rabbitmq(properties)),
        tries,
        died_at: died_at.and_then(|at| DateTime::from_timestamp(i64::try_from(at).ok()?, 0)),
        message: String::from_utf8_lossy(&got.data).into_owned(),
    }
}

fn text(value: Option<&impl ToString>) -> Option<String> {
    value.map(ToString::to_string).filter(|text| !text.is_empty())
}

fn name(kind: &str) -> String {
    let ours = kind.strip_prefix("portico.").and_then(|kind| kind.strip_suffix(".v1"));
    ours.unwrap_or(kind).to_owned()
}

/// The reason that a consumer gave. A message that waited for another try has that of its last failure; it came from
/// there, and was laid to rest by RabbitMQ later.
fn reason(properties: &BasicProperties) -> Option<String> {
    match header(properties, REASON) {
        Some(AMQPValue::LongString(reason)) if death_reason(properties) != Some("delivery_limit".into()) => {
            Some(reason.to_string())
        }
        _ => None,
    }
}

fn by_rabbitmq(properties: &BasicProperties) -> String {
    match death_reason(properties).as_deref() {
        Some("delivery_limit") => "it was handed out again and again, and never answered".to_owned(),
        Some(other) => format!("RabbitMQ laid it to rest: {other}"),
        None => "nobody gave a reason".to_owned(),
    }
}

fn death_reason(properties: &BasicProperties) -> Option<String> {
    match death(properties)?.inner().get("reason")? {
        AMQPValue::LongString(reason) => Some(reason.to_string()),
        _ => None,
    }
}

/// The latest entry of `x-death`, in which RabbitMQ writes what it did.
fn death(properties: &BasicProperties) -> Option<&FieldTable> {
    match header(properties, "x-death")? {
        AMQPValue::FieldArray(deaths) => match deaths.as_slice().first()? {
            AMQPValue::FieldTable(death) => Some(death),
            _ => None,
        },
        _ => None,
    }
}

/// By what a message without an id is known: the same bytes have the same.
fn fingerprint(data: &[u8]) -> String {
    let mut hasher = DefaultHasher::new();
    data.hash(&mut hasher);
    format!("{:016x}", hasher.finish())
}
