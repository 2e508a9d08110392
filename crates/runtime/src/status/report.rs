//! What the status page shows, as JSON: out of the metrics of the last minutes.

mod times;

use std::{collections::BTreeMap, time::SystemTime};

use serde::Serialize;

use super::history::History;
use crate::measure::text::Sample;
use times::{Times, times};

/// How many rows a table has at most.
const ROWS: usize = 12;
/// The codes by which an RPC fails by a fault that is not its caller's.
const FAULTS: [&str; 5] = ["INTERNAL", "UNKNOWN", "DATA_LOSS", "UNAVAILABLE", "DEADLINE_EXCEEDED"];

/// All of it.
#[derive(Serialize)]
pub(super) struct Report {
    version: &'static str,
    commit: &'static str,
    /// How long the process has run.
    up_seconds: f64,
    memory_bytes: f64,
    /// Over how long everything below was counted.
    window_seconds: f64,
    parts: Vec<Part>,
    requests: Requests,
    operations: Vec<Row>,
    edges: Vec<Row>,
    rpcs: Vec<Row>,
    refusals: Vec<Refused>,
    outboxes: Vec<Outbox>,
    connections: Vec<Connection>,
    consumers: Vec<Consumer>,
}

/// A part of the system.
#[derive(Serialize)]
pub(super) struct Part {
    pub(super) name: &'static str,
    /// Where the breaker of this process stands for it, if it has one.
    pub(super) breaker: Option<String>,
    pub(super) checks: Vec<Check>,
}

/// A check; `missing` says what is, and is null where nothing is.
#[derive(Serialize)]
pub(super) struct Check {
    pub(super) name: &'static str,
    pub(super) missing: Option<String>,
}

/// HTTP requests.
#[derive(Serialize)]
struct Requests {
    #[serde(flatten)]
    all: Timed,
    active: f64,
    streams: f64,
    /// Requests a second, the oldest look first.
    steps: Vec<f64>,
    /// Refusals a second, alike.
    refused_steps: Vec<f64>,
}

/// How often, and how long.
#[derive(Clone, Serialize)]
struct Timed {
    per_second: f64,
    count: f64,
    failed: f64,
    mean_milliseconds: f64,
    p99_milliseconds: f64,
}

/// Something that is timed.
#[derive(Serialize)]
struct Row {
    name: String,
    #[serde(flatten)]
    timed: Timed,
}

#[derive(Serialize)]
struct Refused {
    code: String,
    reason: String,
    count: f64,
}

#[derive(Default, Serialize)]
struct Outbox {
    source: String,
    waiting: f64,
    oldest_seconds: f64,
    leads: bool,
    sent: f64,
}

#[derive(Serialize)]
struct Connection {
    name: String,
    connected: bool,
    blocked: bool,
}

#[derive(Default, Serialize)]
struct Consumer {
    name: String,
    retries: f64,
    dead_letters: f64,
}

impl Report {
    /// What `history` tells; `parts` were asked just now.
    pub(super) fn of(history: &History, mut parts: Vec<Part>) -> Self {
        let last = |name: &str| history.now().filter(|(series, _)| series.name == name).map(|(_, v)| v).sum();
        for part in &mut parts {
            part.breaker = breaker(history, part.name);
        }
        let window = history.grown().0.as_secs_f64();
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let started: f64 = last("process_start_time_seconds");
        Self {
            version: env!("CARGO_PKG_VERSION"),
            commit: option_env!("PORTICO_COMMIT").unwrap_or("unknown"),
            up_seconds: now.as_secs_f64() - started,
            memory_bytes: last("process_resident_memory_bytes"),
            window_seconds: window,
            parts,
            requests: requests(history, window),
            operations: rows(history, window, "graphql_operation_duration_seconds", operation),
            edges: rows(history, window, "graphql_edge_duration_seconds", |series| {
                (series.label("edge").to_owned(), series.label("outcome") != "ok")
            }),
            rpcs: rpcs(history, window),
            refusals: refusals(history),
            outboxes: outboxes(history),
            connections: connections(history),
            consumers: consumers(history),
        }
    }
}

/// Where the breaker of a service stands: the gauge of that state is 1.
fn breaker(history: &History, service: &str) -> Option<String> {
    let mut gauges = history.now().filter(|(series, _)| series.name == "circuit_breaker_state");
    let (series, _) = gauges.find(|(series, value)| series.label("service") == service && *value == 1.0)?;
    Some(series.label("state").to_owned())
}

fn requests(history: &History, window: f64) -> Requests {
    let name = "http_server_request_duration_seconds";
    let all = times(history, name, |series| ((), series.label("http_response_status_code").starts_with('5')));
    let gauge = |name: &str| history.now().filter(|(series, _)| series.name == name).map(|(_, v)| v).sum();
    let steps = |name: &str| -> Vec<f64> {
        let steps = history.steps(|series| series.name == name);
        steps.into_iter().map(|(time, grown)| grown / time.as_secs_f64().max(0.001)).collect()
    };
    Requests {
        all: all.into_values().next().unwrap_or_default().timed(window),
        active: gauge("http_server_active_requests"),
        streams: gauge("graphql_streams"),
        steps: steps("http_server_request_duration_seconds_count"),
        refused_steps: steps("refusals_total"),
    }
}

/// An operation's name with its type, and whether it failed.
fn operation(series: &Sample) -> (String, bool) {
    let [kind, name] = ["graphql_operation_type", "graphql_operation_name"].map(|name| series.label(name));
    (format!("{kind} {name}"), series.label("outcome") != "ok")
}

/// RPCs where they are asked for, with all that the way costs; in a process that asks for none, where they are answered.
fn rpcs(history: &History, window: f64) -> Vec<Row> {
    let by_method = |series: &Sample| {
        let failed = FAULTS.contains(&series.label("rpc_response_status_code"));
        (series.label("rpc_method").to_owned(), failed)
    };
    let asked = rows(history, window, "rpc_client_call_duration_seconds", by_method);
    let answered = rows(history, window, "rpc_server_call_duration_seconds", by_method);
    // What only polls for keys and revocations is no client of note.
    if asked.len() > answered.len() { asked } else { answered }
}

/// The slowest of a histogram, by whatever tells its rows apart.
fn rows(history: &History, window: f64, name: &str, key: impl Fn(&Sample) -> (String, bool)) -> Vec<Row> {
    let timed = times(history, name, key).into_iter();
    let mut rows: Vec<_> = timed.map(|(name, times)| Row { name, timed: times.timed(window) }).collect();
    rows.retain(|row| row.timed.count > 0.0);
    rows.sort_by(|a, b| b.timed.p99_milliseconds.total_cmp(&a.timed.p99_milliseconds));
    rows.truncate(ROWS);
    rows
}

fn refusals(history: &History) -> Vec<Refused> {
    let grown = history.grown().1.filter(|(series, by)| series.name == "refusals_total" && *by > 0.0);
    let mut refusals: Vec<_> = grown
        .map(|(series, count)| {
            let [code, reason] = ["code", "reason"].map(|label| series.label(label).to_owned());
            Refused { code, reason, count }
        })
        .collect();
    refusals.sort_by(|a, b| b.count.total_cmp(&a.count));
    refusals.truncate(ROWS);
    refusals
}

fn outboxes(history: &History) -> Vec<Outbox> {
    let mut outboxes = BTreeMap::<String, Outbox>::new();
    let of = |outboxes: &mut BTreeMap<String, Outbox>, series: &Sample, set: fn(&mut Outbox, f64), value| {
        let source = series.label("source").to_owned();
        set(outboxes.entry(source.clone()).or_insert_with(|| Outbox { source, ..Outbox::default() }), value);
    };
    for (series, value) in history.now() {
        match series.name.as_str() {
            "outbox_waiting_events" => {
                of(&mut outboxes, series, |outbox, value| outbox.waiting = value, value)
            }
            "outbox_oldest_waiting_seconds" => {
                of(&mut outboxes, series, |outbox, value| outbox.oldest_seconds = value, value);
            }
            "relay_leads" => of(&mut outboxes, series, |outbox, value| outbox.leads = value == 1.0, value),
            _ => {}
        }
    }
    for (series, by) in history.grown().1 {
        if series.name == "messaging_client_sent_messages_total" {
            of(&mut outboxes, series, |outbox, value| outbox.sent = value, by);
        }
    }
    outboxes.into_values().collect()
}

fn connections(history: &History) -> Vec<Connection> {
    let of = |name: &'static str| history.now().filter(move |(series, _)| series.name == name);
    let blocked = |connection: &str| {
        of("broker_blocked").any(|(series, value)| series.label("connection") == connection && value == 1.0)
    };
    of("broker_connected")
        .map(|(series, value)| {
            let name = series.label("connection").to_owned();
            Connection { connected: value == 1.0, blocked: blocked(&name), name }
        })
        .collect()
}

fn consumers(history: &History) -> Vec<Consumer> {
    let mut consumers = BTreeMap::<String, Consumer>::new();
    for (series, by) in history.grown().1 {
        let set: fn(&mut Consumer, f64) = match series.name.as_str() {
            "event_retries_total" => |consumer, by| consumer.retries = by,
            "dead_letters_total" => |consumer, by| consumer.dead_letters = by,
            _ => continue,
        };
        let name = series.label("consumer").to_owned();
        set(consumers.entry(name.clone()).or_insert_with(|| Consumer { name, ..Consumer::default() }), by);
    }
    consumers.into_values().collect()
}

impl Times {
    fn timed(&self, window: f64) -> Timed {
        Timed {
            per_second: self.count / window.max(1.0),
            count: self.count,
            failed: self.failed,
            mean_milliseconds: if self.count > 0.0 { 1000.0 * self.sum / self.count } else { 0.0 },
            p99_milliseconds: 1000.0 * self.quantile(0.99),
        }
    }
}
