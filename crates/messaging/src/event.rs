//! What happened, as a service says it and as the world reads it.

use chrono::{DateTime, Utc};
use proto::DomainEvent;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use uuid::Uuid;

/// Something that a service says, before it is told.
#[derive(Clone, Debug)]
pub struct Event {
    /// Its id: consumers know a repeat by it.
    pub id: Uuid,
    /// What happened: `order.created`. It is the routing key too.
    pub name: &'static str,
    /// The aggregate to which it happened.
    pub subject: Uuid,
    /// The aggregate's version after it, given under the aggregate's row lock.
    pub sequence: i64,
    /// When.
    pub time: DateTime<Utc>,
    /// The payload: a message of `events.proto` in its JSON form.
    pub data: serde_json::Value,
}

impl Event {
    /// An event with a new id, and the name that its message declares in `events.proto`.
    ///
    /// # Errors
    /// When `message` has no JSON form, such as an enum number that it does not define.
    pub fn of<M: DomainEvent>(
        message: &M,
        subject: Uuid,
        sequence: i64,
        time: DateTime<Utc>,
    ) -> Result<Self, serde_json::Error> {
        let data = serde_json::to_value(message)?;
        Ok(Self { id: Uuid::now_v7(), name: M::NAME, subject, sequence, time, data })
    }
}

/// An event as it travels: CloudEvents 1.0, structured JSON.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CloudEvent<D = serde_json::Value> {
    /// Always "1.0".
    pub specversion: String,
    /// Its id.
    pub id: Uuid,
    /// Which service says it.
    pub source: String,
    /// `portico.<name>.v1`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The aggregate to which it happened.
    pub subject: Uuid,
    /// When.
    pub time: DateTime<Utc>,
    /// The aggregate's version after it (CloudEvents' sequence extension, which is text).
    pub sequence: String,
    /// The trace that it belongs to (W3C Trace Context), if any.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub traceparent: Option<String>,
    /// Always "application/json".
    pub datacontenttype: String,
    /// The payload.
    pub data: D,
}

/// An event whose payload is passed on as it is, without being read.
pub(crate) type SealedEvent = CloudEvent<Box<RawValue>>;

impl SealedEvent {
    /// Reads the payload.
    pub(crate) fn open(self) -> Result<CloudEvent, serde_json::Error> {
        let Self {
            specversion,
            id,
            source,
            kind,
            subject,
            time,
            sequence,
            traceparent,
            datacontenttype,
            data,
        } = self;
        let data = serde_json::from_str(data.get())?;
        Ok(CloudEvent {
            specversion,
            id,
            source,
            kind,
            subject,
            time,
            sequence,
            traceparent,
            datacontenttype,
            data,
        })
    }
}

impl<D> CloudEvent<D> {
    /// What happened: `order.created`. `None` when it is no event of ours in a version that we know.
    pub fn name(&self) -> Option<&str> {
        self.kind.strip_prefix("portico.")?.strip_suffix(".v1")
    }

    /// The aggregate's version; `None` when it is no number.
    pub fn sequence(&self) -> Option<i64> {
        self.sequence.parse().ok()
    }
}
