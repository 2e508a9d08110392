//! What a message of a consumer's queue is.

use lapin::{message::Delivery, types::AMQPValue};
use serde::Deserialize;
use serde_json::error::Category;

use super::aside::{TRIES, header};
use crate::{CloudEvent, topology::EXCHANGE};

/// How long a message may be: an event of ours has a few hundred bytes.
const LARGEST: usize = 1024 * 1024;

/// What was found.
#[derive(Debug)]
pub(super) enum Message {
    /// An event that the consumer wants.
    Event(CloudEvent),
    /// An event of another type, or of a version that is not known here, with its type.
    Unknown(String),
    /// No event, with the reason. It holds nothing of the message's content.
    Bad(String),
}

/// What each CloudEvent has (<https://github.com/cloudevents/spec>, "Required Attributes").
#[derive(Deserialize)]
struct Envelope {
    specversion: String,
    id: String,
    source: String,
    #[serde(rename = "type")]
    kind: String,
}

/// Reads a message, for a consumer of these events.
pub(super) fn read(delivery: &Delivery, wanted: &[&str]) -> Message {
    parse(&delivery.data, delivery.exchange.as_str(), delivery.routing_key.as_str(), wanted)
        .unwrap_or_else(Message::Bad)
}

/// How often the message failed before.
pub(super) fn tries(delivery: &Delivery) -> u32 {
    match header(&delivery.properties, TRIES) {
        Some(AMQPValue::LongUInt(tries)) => *tries,
        _ => 0,
    }
}

/// By which id the log names a message that is no event.
pub(super) fn id(delivery: &Delivery) -> String {
    delivery.properties.message_id().as_ref().map_or_else(String::new, ToString::to_string)
}

fn parse(data: &[u8], exchange: &str, key: &str, wanted: &[&str]) -> Result<Message, String> {
    if data.len() > LARGEST {
        return Err(format!("it has {} bytes, more than {LARGEST}", data.len()));
    }
    let envelope: Envelope = serde_json::from_slice(data).map_err(|error| match error.classify() {
        Category::Data => format!("it is no CloudEvent: {}", place(&error)),
        _ => format!("it is no JSON: {}", place(&error)),
    })?;
    if envelope.specversion != "1.0" {
        return Err("it is of an unknown version of CloudEvents".to_owned());
    }
    if envelope.id.is_empty() || envelope.source.is_empty() || envelope.kind.is_empty() {
        return Err("it is no CloudEvent: its id, source or type is empty".to_owned());
    }
    let name = envelope.kind.strip_prefix("portico.").and_then(|kind| kind.strip_suffix(".v1"));
    let Some(name) = name.filter(|name| wanted.contains(name)) else {
        return Ok(Message::Unknown(envelope.kind));
    };
    // The account that published it may do so under its own keys only, and what it says it is must be one of these.
    // RabbitMQ before 3.12 checks the first key alone, while a CC header names more.
    if exchange == EXCHANGE && key != name {
        return Err("its type is not the key under which it was published".to_owned());
    }
    let event: CloudEvent = serde_json::from_slice(data)
        .map_err(|error| format!("it is none of the system's events: {}", place(&error)))?;
    match event.sequence() {
        Some(_) => Ok(Message::Event(event)),
        None => Err("its sequence is no number".to_owned()),
    }
}

/// Where an error is. serde_json's own text may quote what it found there.
fn place(error: &serde_json::Error) -> String {
    let text = error.to_string();
    if text.starts_with("missing field") {
        return text;
    }
    format!("line {} column {}", error.line(), error.column())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn event() -> Value {
        json!({
            "specversion": "1.0", "id": "01900000-0000-7000-8000-000000000001", "source": "order",
            "type": "portico.order.created.v1", "subject": "01900000-0000-7000-8000-000000000002",
            "time": "2026-11-21T10:00:00Z", "sequence": "1", "datacontenttype": "application/json", "data": {},
        })
    }

    fn with(field: &str, value: Value) -> Vec<u8> {
        let mut event = event();
        event[field] = value;
        event.to_string().into_bytes()
    }

    fn found(data: &[u8]) -> Result<Message, String> {
        parse(data, EXCHANGE, "order.created", &["order.created"])
    }

    #[test]
    fn an_event_is_read() {
        assert!(matches!(found(event().to_string().as_bytes()), Ok(Message::Event(_))));
        assert!(matches!(found(&with("newer", json!("field"))), Ok(Message::Event(_))));
    }

    #[test]
    fn other_types_and_versions_are_unknown() {
        for kind in ["portico.order.created.v2", "portico.order.deleted.v1", "com.example.someevent"] {
            assert!(matches!(found(&with("type", json!(kind))), Ok(Message::Unknown(_))), "{kind}");
        }
    }

    #[test]
    fn what_is_no_event_is_told_without_its_content() {
        let cases: [(Vec<u8>, &str); 9] = [
            (b"".to_vec(), "it is no JSON: line 1 column 0"),
            (b"secret".to_vec(), "it is no JSON: line 1 column 1"),
            (vec![0xff, 0xfe], "it is no JSON: line 1 column 1"),
            (b"[1]".to_vec(), "it is no CloudEvent: line 1 column 2"),
            (b"{}".to_vec(), "it is no CloudEvent: missing field `specversion` at line 1 column 2"),
            (with("specversion", json!("0.3")), "it is of an unknown version of CloudEvents"),
            (with("id", json!("")), "it is no CloudEvent: its id, source or type is empty"),
            (with("sequence", json!("many")), "its sequence is no number"),
            (vec![b' '; LARGEST + 1], "it has 1048577 bytes, more than 1048576"),
        ];
        for (data, reason) in cases {
            assert_eq!(found(&data).unwrap_err(), reason);
        }
        let subject = found(&with("subject", json!("ada@example.com"))).unwrap_err();
        assert!(subject.starts_with("it is none of the system's events: line 1 column"), "{subject}");
    }

    #[test]
    fn a_type_that_is_not_the_key_is_refused_but_for_what_comes_again() {
        let event = event().to_string();
        let as_key = |exchange, key| parse(event.as_bytes(), exchange, key, &["order.created"]);
        assert!(as_key(EXCHANGE, "order.deleted").is_err());
        assert!(matches!(as_key("payment.order_created", "work"), Ok(Message::Event(_))));
    }
}
