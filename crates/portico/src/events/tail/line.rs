//! How an event is shown in one line.

use lapin::message::Delivery;
use messaging::CloudEvent;

const FAINT: &str = "2";
const BOLD: &str = "1";
const RED: &str = "31";

/// The message as it travels, in one line whatever line breaks it has. One that is no JSON becomes a JSON text.
pub(super) fn json(message: &Delivery) -> String {
    let value = serde_json::from_slice(&message.data);
    let value = value.unwrap_or_else(|_| String::from_utf8_lossy(&message.data).into_owned().into());
    serde_json::Value::to_string(&value)
}

/// When, what, to which aggregate in which version, and the payload.
pub(super) fn text(message: &Delivery, colours: bool) -> String {
    of_message(message.routing_key.as_str(), &message.data, colours)
}

fn of_message(key: &str, data: &[u8], colours: bool) -> String {
    let paint = |colour: &str, text: &str| {
        if colours { format!("\u{1b}[{colour}m{text}\u{1b}[0m") } else { text.to_owned() }
    };
    let Ok(event) = serde_json::from_slice::<CloudEvent>(data) else {
        let text = String::from_utf8_lossy(data).escape_debug().to_string();
        return format!("{} {}", paint(RED, &format!("no event, under the key {key}:")), text);
    };
    format!(
        "{} {} {} {} {}",
        paint(FAINT, &event.time.format("%H:%M:%S%.3fZ").to_string()),
        paint(BOLD, &format!("{:<20}", event.name().unwrap_or(key))),
        event.subject,
        paint(FAINT, &format!("{:>3}", event.sequence)),
        event.data,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVENT: &str = r#"{"specversion":"1.0","id":"01a1f9ac-ac4a-7398-83a2-1df7599e2b3e","source":"order",
        "type":"portico.order.created.v1","subject":"01a1f9ac-ae39-75c4-a266-c3f43b14eac8",
        "time":"2026-11-20T13:14:15.678Z","sequence":"1","datacontenttype":"application/json","data":{"total":"1"}}"#;

    #[test]
    fn an_event_is_one_line_with_its_time_its_name_its_aggregate_and_its_payload() {
        assert_eq!(
            of_message("order.created", EVENT.as_bytes(), false),
            "13:14:15.678Z order.created        01a1f9ac-ae39-75c4-a266-c3f43b14eac8   1 {\"total\":\"1\"}"
        );
    }

    #[test]
    fn what_is_no_event_is_shown_as_it_is_and_can_not_speak_to_the_terminal() {
        let line = of_message("x", b"\x1b[2Jhello\n", false);
        assert_eq!(line, "no event, under the key x: \\u{1b}[2Jhello\\n");
    }
}
