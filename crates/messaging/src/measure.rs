//! What is measured of events, from the outbox to the consumer.

use std::time::Duration;

use runtime::measure::{EVERY, Kind, Label, Metric, SERVICES, Values, label};

use crate::inbox::Attempt;
use Kind::{Counter, Gauge};
use Values::{Are, Bounded};

/// Whose events they are.
const SOURCE: &[Label] = &[label("source", Are(SERVICES))];
/// Who handles them.
const CONSUMER: Label =
    label("consumer", Bounded("the name of a consumer, such as `payment.order_created`", 8));
/// Those that hear of what others say.
const CONSUMERS: &[&str] = &["order", "payment"];
/// For what a process is connected to RabbitMQ.
const CONNECTION: &[Label] = &[label(
    "connection",
    Bounded("the process and for what it is connected, such as `order publishing`", 8),
)];

/// The catalogue of it.
pub const METRICS: &[Metric] = &[
    Metric {
        name: "messaging_client_sent_messages_total",
        kind: Counter,
        by: SERVICES,
        labels: SOURCE,
        meaning: "Events that the relay told, and RabbitMQ or all consumers of the process took",
    },
    Metric {
        name: "messaging_process_duration_seconds",
        kind: Kind::Histogram,
        by: CONSUMERS,
        labels: &[CONSUMER, label("outcome", Are(&OUTCOMES))],
        meaning: "How long a consumer took for one try at an event; `repeated` had been handled before",
    },
    Metric {
        name: "event_retries_total",
        kind: Counter,
        by: CONSUMERS,
        labels: &[CONSUMER],
        meaning: "Events that a consumer could not handle and that come again",
    },
    Metric {
        name: "dead_letters_total",
        kind: Counter,
        by: CONSUMERS,
        labels: &[CONSUMER],
        meaning: "Events that were laid to rest, since no try brought them to their end",
    },
    Metric {
        name: "events_unknown_total",
        kind: Counter,
        by: CONSUMERS,
        labels: &[CONSUMER],
        meaning: "Events of a type that this version does not know, which are left out",
    },
    Metric {
        name: "outbox_waiting_events",
        kind: Gauge,
        by: SERVICES,
        labels: SOURCE,
        meaning: "Events that wait to be told; only the replica whose relay leads counts them, the others say 0",
    },
    Metric {
        name: "outbox_oldest_waiting_seconds",
        kind: Gauge,
        by: SERVICES,
        labels: SOURCE,
        meaning: "How long the oldest of them has waited",
    },
    Metric {
        name: "relay_leads",
        kind: Gauge,
        by: SERVICES,
        labels: SOURCE,
        meaning: "Whether the relay of this process is the one that tells, 1 or 0",
    },
    Metric {
        name: "events_not_taken_total",
        kind: Counter,
        by: SERVICES,
        labels: &[label("why", Are(&["returned", "nacked", "refused"]))],
        meaning: "Events that RabbitMQ gave back or refused; they stay in the outbox",
    },
    Metric {
        name: "broker_connected",
        kind: Gauge,
        by: EVERY,
        labels: CONNECTION,
        meaning: "Whether the connection to RabbitMQ stands, 1 or 0",
    },
    Metric {
        name: "broker_blocked",
        kind: Gauge,
        by: EVERY,
        labels: CONNECTION,
        meaning: "Whether RabbitMQ takes nothing over that connection, since it is short of memory or disk, 1 or 0",
    },
];

/// How one try at an event ends.
const OUTCOMES: [&str; 4] = ["done", "repeated", "failed", "unreachable"];

/// Begins to count at nothing: a counter that appears with its first dead letter never grew, for whoever watches it.
pub(crate) fn count_from_nothing(consumer: &'static str) {
    for counter in ["event_retries_total", "dead_letters_total", "events_unknown_total"] {
        metrics::counter!(counter, "consumer" => consumer).increment(0);
    }
}

/// Tells how one try at an event ended.
pub(crate) fn tried(consumer: &'static str, attempt: &Attempt, took: Duration) {
    let outcome = match attempt {
        Attempt::Done => "done",
        Attempt::Repeated => "repeated",
        Attempt::Failed(_) => "failed",
        Attempt::Unreachable(_) => "unreachable",
    };
    metrics::histogram!("messaging_process_duration_seconds", "consumer" => consumer, "outcome" => outcome)
        .record(took.as_secs_f64());
}

/// Tells what waits in the outbox of `source`, and for how long the oldest.
pub(crate) fn waiting(source: &'static str, events: f64, oldest: Duration) {
    metrics::gauge!("outbox_waiting_events", "source" => source).set(events);
    metrics::gauge!("outbox_oldest_waiting_seconds", "source" => source).set(oldest.as_secs_f64());
}

/// Tells whether the relay of this process leads.
pub(crate) fn leads(source: &'static str, leads: bool) {
    metrics::gauge!("relay_leads", "source" => source).set(if leads { 1.0 } else { 0.0 });
}
