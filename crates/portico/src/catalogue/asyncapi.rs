//! The AsyncAPI 3.0 document: a channel, a message and an operation for each event.
//! <https://www.asyncapi.com/docs/reference/specification/v3.0.0>

use messaging::topology::EXCHANGE;
use serde_json::{Map, Value, json};

use super::shape::Event;
use super::{envelope, example, schema};

/// What a message says that it is (CloudEvents' JSON format).
const CONTENT_TYPE: &str = "application/cloudevents+json";

/// The document of these events.
pub(super) fn document(events: &[Event]) -> Value {
    json!({
        "asyncapi": "3.0.0",
        "info": {
            "title": "The events of Portico",
            "version": "1.0.0",
            "description": "What happened to users, orders and payments. Each event is sent at least once, and those of \
                one aggregate in their order. How to subscribe, and what is promised: docs/events.md.",
            "license": { "name": "MIT" },
        },
        "defaultContentType": CONTENT_TYPE,
        "servers": {
            "rabbitmq": {
                "host": "localhost:5672",
                "protocol": "amqp",
                "protocolVersion": "0-9-1",
                "description": "RabbitMQ 3.10 or later.",
                "security": [{ "$ref": "#/components/securitySchemes/account" }],
            },
        },
        "channels": by_name(events, channel),
        "operations": by_name(events, operation),
        "components": {
            "messages": by_name(events, message),
            "schemas": schema::all(events, &envelope::of(events)),
            "securitySchemes": {
                "account": {
                    "type": "userPassword",
                    "description": "The account `subscriber`: it reads events into queues of its own, and writes none.",
                },
            },
        },
    })
}

fn by_name(events: &[Event], part: fn(&Event) -> Value) -> Map<String, Value> {
    events.iter().map(|event| (event.name.clone(), part(event))).collect()
}

fn channel(event: &Event) -> Value {
    json!({
        "address": event.name,
        "title": event.name,
        "description": "The address is the routing key. Bind a queue of your own to the exchange by it.",
        "messages": { &event.name: { "$ref": format!("#/components/messages/{}", event.name) } },
        "bindings": {
            "amqp": {
                "is": "routingKey",
                "exchange": {
                    "name": EXCHANGE, "type": "topic", "durable": true, "autoDelete": false, "vhost": "/",
                },
                "bindingVersion": "0.3.0",
            },
        },
    })
}

fn operation(event: &Event) -> Value {
    json!({
        "action": "send",
        "channel": { "$ref": format!("#/channels/{}", event.name) },
        "messages": [{ "$ref": format!("#/channels/{0}/messages/{0}", event.name) }],
        "summary": event.sent,
        "bindings": { "amqp": { "deliveryMode": 2, "timestamp": true, "bindingVersion": "0.3.0" } },
    })
}

fn message(event: &Event) -> Value {
    json!({
        "name": event.kind,
        "title": event.name,
        "summary": event.meaning,
        "description": format!("{} Its subject is the {}.", event.sent, event.subject),
        "contentType": CONTENT_TYPE,
        "payload": { "$ref": format!("{}{}", schema::PLACE, event.kind) },
        "bindings": { "amqp": { "messageType": event.kind, "bindingVersion": "0.3.0" } },
        "examples": [{ "name": event.name, "payload": example::of(event) }],
    })
}
