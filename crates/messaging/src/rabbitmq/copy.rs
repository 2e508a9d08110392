//! Copies of messages.

use lapin::{BasicProperties, types::FieldTable};

/// The properties of a copy that has these headers. The original's headers stay behind: CC and BCC would send the copy
/// elsewhere too, and by `x-death` RabbitMQ would take it for one that goes round in circles. So do its time to live,
/// which would end the copy, and its user, which is not the one who copies.
pub(super) fn properties(original: &BasicProperties, headers: FieldTable) -> BasicProperties {
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
