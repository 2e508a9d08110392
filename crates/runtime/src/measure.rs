//! What a process measures: the catalogue of its metrics, and handles that are made once.
//!
//! A metric stands in the table of the crate that counts it. `docs/metrics.md` is written out of these tables, their lines
//! of HELP come from there, and a test holds a system at work against them: nothing is told that is not in a table,
//! and nothing stands there that is never told.
//!
//! Names are those of OpenTelemetry's semantic conventions in their Prometheus form, where there is one; else they follow
//! Prometheus' own naming (base units, `_total` for what only grows). The values of every label are bounded: nothing that
//! a client sends becomes one.

pub mod process;
pub mod rpc;
pub mod text;

/// What becomes of a metric's value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// It only grows, and begins at 0 with its process.
    Counter,
    /// It goes up and down.
    Gauge,
    /// How many there were of each size, and their sum.
    Histogram,
}

impl Kind {
    /// As Prometheus names it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

/// A metric.
#[derive(Clone, Copy, Debug)]
pub struct Metric {
    /// Its name, with its unit in it.
    pub name: &'static str,
    /// What becomes of its value.
    pub kind: Kind,
    /// The processes that tell it.
    pub by: &'static [&'static str],
    /// By what it is told apart.
    pub labels: &'static [Label],
    /// What it tells: a sentence without its full stop, also Prometheus' HELP.
    pub meaning: &'static str,
}

/// A label.
#[derive(Clone, Copy, Debug)]
pub struct Label {
    /// Its name.
    pub name: &'static str,
    /// What it may be.
    pub values: Values,
}

/// The values of a label.
#[derive(Clone, Copy, Debug)]
pub enum Values {
    /// These.
    Are(&'static [&'static str]),
    /// What the code lists: in words, and itself.
    Listed(&'static str, fn() -> Vec<String>),
    /// At most so many different ones in a process: in words, and how many.
    Bounded(&'static str, usize),
}

/// A label of this name.
pub const fn label(name: &'static str, values: Values) -> Label {
    Label { name, values }
}

/// Every process of Portico's own.
pub const EVERY: &[&str] = &["gateway", "user", "order", "payment"];
/// The services.
pub const SERVICES: &[&str] = &["user", "order", "payment"];

use Kind::{Counter, Gauge, Histogram};
use Values::{Are, Bounded, Listed};

/// The label of an RPC, and that of its outcome.
const RPC: &[Label] = &[
    label("rpc_method", Listed("an RPC, such as `user.v1.UserService/GetUser`, or `_OTHER`", rpc::methods)),
    label("rpc_response_status_code", Listed("gRPC's codes: `OK`, `NOT_FOUND`, ...", rpc::codes)),
];

/// The service that is called.
const CALLED: Label = label("service", Are(SERVICES));

/// The states of a circuit breaker.
const BREAKER: &[&str] = &["closed", "open", "half_open"];

/// The label of a pool of connections.
const POOL: Label = label(
    "db_client_connection_pool_name",
    Bounded("the service, and for what: `order` (changes), `order read`, `order replica`", 3),
);

/// What this crate measures.
pub const METRICS: &[Metric] = &[
    Metric {
        name: "portico_build_info",
        kind: Gauge,
        by: EVERY,
        labels: &[
            label("version", Bounded("of Portico", 1)),
            label("commit", Bounded("the commit that was built, or `unknown`", 1)),
            label("rustc", Bounded("the compiler", 1)),
        ],
        meaning: "What runs; always 1",
    },
    Metric {
        name: "process_start_time_seconds",
        kind: Gauge,
        by: EVERY,
        labels: &[],
        meaning: "When the process began to measure, in seconds since 1970",
    },
    Metric {
        name: "process_resident_memory_bytes",
        kind: Gauge,
        by: EVERY,
        labels: &[],
        meaning: "The memory that the process holds, the pages of its program included; on Linux",
    },
    Metric {
        name: "ready",
        kind: Gauge,
        by: EVERY,
        labels: &[label("check", Are(&["database", "sessions", "room", "overload", "fault"]))],
        meaning: "Whether what a process needs is there, 1 or 0; asked when it is scraped",
    },
    Metric {
        name: "cache_requests_total",
        kind: Counter,
        by: EVERY,
        labels: &[
            label("cache", Are(&["documents", "persisted_queries", "merged_queries", "tokens"])),
            label("outcome", Are(&["hit", "miss"])),
        ],
        meaning: "What was looked for: parsed documents, documents by their hash, public queries under way that can be joined, \
                  and, in every process, tokens whose signature was verified before",
    },
    Metric {
        name: "rpc_server_call_duration_seconds",
        kind: Histogram,
        by: SERVICES,
        labels: RPC,
        meaning: "How long RPCs took where they were answered, from the guard to the answer",
    },
    Metric {
        name: "rpc_client_call_duration_seconds",
        kind: Histogram,
        by: EVERY,
        labels: RPC,
        meaning: "How long RPCs took where they were asked, with all attempts and waits",
    },
    Metric {
        name: "fault_injected_total",
        kind: Counter,
        by: EVERY,
        labels: &[label("service", Are(EVERY)), label("fault", Are(crate::faults::KINDS))],
        meaning: "How often a fault switch struck; in development, where there are such",
    },
    Metric {
        name: "trace_spans_exported_total",
        kind: Counter,
        by: EVERY,
        labels: &[],
        meaning: "Spans that the collector took",
    },
    Metric {
        name: "trace_spans_lost_total",
        kind: Counter,
        by: EVERY,
        labels: &[label("why", Are(&["queue_full", "not_taken"]))],
        meaning: "Spans that were lost: no room was left, or the collector did not take them",
    },
    Metric {
        name: "rpc_client_retries_total",
        kind: Counter,
        by: EVERY,
        labels: &[CALLED, label("outcome", Are(&["retried", "no_budget"]))],
        meaning: "Calls to a service that were made again, and those that were not, since too many fail",
    },
    Metric {
        name: "rpc_client_active_calls",
        kind: Gauge,
        by: &["gateway"],
        labels: &[CALLED],
        meaning: "Calls to a service that are under way; RPC_CONCURRENCY at most",
    },
    Metric {
        name: "rpc_client_bulkhead_refused_total",
        kind: Counter,
        by: &["gateway"],
        labels: &[CALLED],
        meaning: "Calls to a service that were refused because too many are under way to it",
    },
    Metric {
        name: "circuit_breaker_state",
        kind: Gauge,
        by: &["gateway"],
        labels: &[CALLED, label("state", Are(BREAKER))],
        meaning: "1 for the state in which the circuit breaker of a service is, else 0; open ones become half-open by the next call",
    },
    Metric {
        name: "circuit_breaker_transitions_total",
        kind: Counter,
        by: &["gateway"],
        labels: &[CALLED, label("to", Are(BREAKER))],
        meaning: "How often the circuit breaker of a service came into a state",
    },
    Metric {
        name: "rpc_server_shed_total",
        kind: Kind::Counter,
        by: SERVICES,
        labels: &[label("service", Are(SERVICES))],
        meaning: "Calls that were refused since there was no room for them (OVERLOADED)",
    },
    Metric {
        name: "panics_total",
        kind: Kind::Counter,
        by: EVERY,
        labels: &[label("where", Are(&["rpc", "job"]))],
        meaning: "Panics that were caught: each cost its call, or one run of its job, and nothing else",
    },
    Metric {
        name: "db_client_connection_count",
        kind: Gauge,
        by: SERVICES,
        labels: &[POOL, label("db_client_connection_state", Are(&["idle", "used"]))],
        meaning: "Connections to the database; asked when it is scraped",
    },
    Metric {
        name: "db_client_connection_max",
        kind: Gauge,
        by: SERVICES,
        labels: &[POOL],
        meaning: "The most connections that there may be",
    },
    Metric {
        name: "db_client_connection_pending_requests",
        kind: Gauge,
        by: SERVICES,
        labels: &[POOL],
        meaning: "Who waits for a connection at the moment",
    },
    Metric {
        name: "db_client_connection_wait_time_seconds",
        kind: Histogram,
        by: SERVICES,
        labels: &[POOL],
        meaning: "How long those waited for a connection who found none at rest, connecting included",
    },
    Metric {
        name: "db_client_connection_timeouts_total",
        kind: Kind::Counter,
        by: SERVICES,
        labels: &[POOL],
        meaning: "Who got no connection, since others had them all (OVERLOADED)",
    },
    Metric {
        name: "db_client_slow_operations_total",
        kind: Kind::Counter,
        by: SERVICES,
        labels: &[POOL],
        meaning: "Statements by themselves, and transactions, that took half a second or longer",
    },
    Metric {
        name: "db_client_reruns_total",
        kind: Kind::Counter,
        by: SERVICES,
        labels: &[POOL, label("reason", Are(&["serialization", "deadlock"]))],
        meaning: "Transactions that were run again as a whole, since the database asked for it",
    },
];

/// Gives Prometheus the HELP of these. For each process once, with its tables.
pub fn describe(metrics: &[Metric]) {
    for metric in metrics {
        match metric.kind {
            Counter => metrics::describe_counter!(metric.name, metric.meaning),
            Gauge => metrics::describe_gauge!(metric.name, metric.meaning),
            Histogram => metrics::describe_histogram!(metric.name, metric.meaning),
        }
    }
}
