//! The messages of graphql-transport-ws.

use serde::{Deserialize, Serialize};
use serde_json::{Value, value::RawValue};
use tokio_tungstenite::tungstenite::Message;

use crate::http::viewer::bearer;

/// The longest id of an operation, in bytes.
const LONGEST_ID: usize = 128;

/// What a client says.
#[derive(Debug)]
pub(super) enum Said {
    /// Begin; with the access token, if any.
    Init(Option<String>),
    Ping(Option<Box<RawValue>>),
    Pong,
    Subscribe(String, Box<RawValue>),
    Complete(String),
}

/// A message as it stands there.
#[derive(Deserialize)]
struct Written {
    r#type: String,
    id: Option<String>,
    payload: Option<Box<RawValue>>,
}

impl Said {
    /// Reads a message; `None` when it is none of the protocol's.
    pub(super) fn read(text: &str) -> Option<Self> {
        let Written { r#type, id, payload } = serde_json::from_str(text).ok()?;
        let id = id.filter(|id| (1..=LONGEST_ID).contains(&id.len()));
        let payload = payload.filter(|payload| payload.get() != "null");
        match r#type.as_str() {
            "connection_init" => Some(Self::Init(token(payload)?)),
            "ping" => Some(Self::Ping(payload)),
            "pong" => Some(Self::Pong),
            "subscribe" => Some(Self::Subscribe(id?, payload?)),
            "complete" => Some(Self::Complete(id?)),
            _ => None,
        }
    }
}

/// The token in the payload of `connection_init`, under the names that clients write it by: `Authorization` as they
/// would in a header, or `token` for the token alone. `None` when the payload can't hold one, or holds something else.
fn token(payload: Option<Box<RawValue>>) -> Option<Option<String>> {
    let Some(payload) = payload else { return Some(None) };
    let members: serde_json::Map<String, Value> = serde_json::from_str(payload.get()).ok()?;
    for (name, value) in &members {
        let value = match name.to_ascii_lowercase().as_str() {
            "authorization" | "token" if value.is_null() => continue,
            "authorization" | "token" => value.as_str()?,
            _ => continue,
        };
        // A client without a token may write an empty one.
        let token = bearer(value).unwrap_or(value).trim();
        return Some(Some(token).filter(|token| !token.is_empty()).map(str::to_owned));
    }
    Some(None)
}

/// What is said to a client.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum Say<'a> {
    ConnectionAck,
    Pong {
        #[serde(skip_serializing_if = "Option::is_none")]
        payload: Option<&'a RawValue>,
    },
    Next {
        id: &'a str,
        payload: &'a RawValue,
    },
    Error {
        id: &'a str,
        payload: &'a RawValue,
    },
    Complete {
        id: &'a str,
    },
}

impl From<Say<'_>> for Message {
    fn from(say: Say<'_>) -> Self {
        // Text and JSON that was written before: there is nothing in it that could not be written.
        Self::text(serde_json::to_string(&say).unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_found_under_each_of_its_names() {
        for (payload, expected) in [
            (r#"{"Authorization":"Bearer abc"}"#, Some("abc")),
            (r#"{"authorization":"bearer abc"}"#, Some("abc")),
            (r#"{"other":1,"token":"abc"}"#, Some("abc")),
            (r#"{"token":""}"#, None),
            (r#"{"Authorization":"Bearer "}"#, None),
            (r#"{"Authorization":null}"#, None),
            (r#"{}"#, None),
            ("null", None),
        ] {
            let text = format!(r#"{{"type":"connection_init","payload":{payload}}}"#);
            let Some(Said::Init(token)) = Said::read(&text) else { panic!("{payload}") };
            assert_eq!(token.as_deref(), expected, "{payload}");
        }
    }

    #[test]
    fn what_is_no_message_of_the_protocol_is_none() {
        for text in [
            "",
            "hello",
            "[]",
            "null",
            "{}",
            r#"{"type":1}"#,
            r#"{"type":"start","id":"1","payload":{}}"#,
            r#"{"type":"subscribe","payload":{"query":"{a}"}}"#,
            r#"{"type":"subscribe","id":"","payload":{"query":"{a}"}}"#,
            r#"{"type":"subscribe","id":7,"payload":{"query":"{a}"}}"#,
            r#"{"type":"subscribe","id":"1"}"#,
            r#"{"type":"complete"}"#,
            r#"{"type":"connection_init","payload":"token"}"#,
            r#"{"type":"connection_init","payload":{"token":7}}"#,
            r#"{"type":"next","id":"1","payload":{}}"#,
        ] {
            assert!(Said::read(text).is_none(), "{text}");
        }
        let long = format!(r#"{{"type":"complete","id":"{}"}}"#, "x".repeat(LONGEST_ID + 1));
        assert!(Said::read(&long).is_none());
    }

    #[test]
    fn what_is_said_is_written_as_the_protocol_has_it() {
        let written = |say: Say<'_>| Message::from(say).into_text().unwrap().to_string();
        let payload: Box<RawValue> = serde_json::from_str(r#"{"a": 1}"#).unwrap();
        assert_eq!(written(Say::ConnectionAck), r#"{"type":"connection_ack"}"#);
        assert_eq!(written(Say::Pong { payload: None }), r#"{"type":"pong"}"#);
        let next = Say::Next { id: "1", payload: &payload };
        assert_eq!(written(next), r#"{"type":"next","id":"1","payload":{"a": 1}}"#);
        assert_eq!(written(Say::Complete { id: "1" }), r#"{"type":"complete","id":"1"}"#);
    }
}
