//! Copies of messages, and the header that they keep.

use lapin::{
    BasicProperties,
    types::{AMQPValue, FieldTable},
};
use runtime::trace::{TRACEPARENT, TraceContext};

/// Headers that say in which span of which trace a message was published.
pub(super) fn traced(traceparent: &str) -> FieldTable {
    let mut headers = FieldTable::default();
    headers.insert(TRACEPARENT.into(), AMQPValue::LongString(traceparent.into()));
    headers
}

/// What a message says of the span in which it was published.
pub(super) fn trace_of(properties: &BasicProperties) -> Option<TraceContext> {
    match properties.headers().as_ref()?.inner().get(TRACEPARENT)? {
        AMQPValue::LongString(text) => TraceContext::parse(std::str::from_utf8(text.as_bytes()).ok()?),
        _ => None,
    }
}

/// The properties of a copy that has these headers, and belongs to the same trace. The original's other headers stay behind: CC and BCC would send the copy
/// elsewhere too, and by `x-death` RabbitMQ would take it for one that goes round in circles. So do its time to live,
/// which would end the copy, and its user, which is not the one who copies.
pub(super) fn properties(original: &BasicProperties, mut headers: FieldTable) -> BasicProperties {
    if let Some(context) = trace_of(original) {
        headers.insert(TRACEPARENT.into(), AMQPValue::LongString(context.to_string().into()));
    }
    let mut copy = BasicProperties::default().with_delivery_mode(2).with_headers(headers);
    if let Some(content_type) = original.content_type() {
        copy = copy.with_content_type(content_type.clone());
    }
    if let Some(id) = original.message_id() {
        copy = copy.with_message_id(id.clone());
    }
    if let Some(kind) = original.kind() {
        copy = copy.with_type(kind.clone());
    }
    if let Some(app) = original.app_id() {
        copy = copy.with_app_id(app.clone());
    }
    if let Some(timestamp) = original.timestamp() {
        copy = copy.with_timestamp(*timestamp);
    }
    copy
}
