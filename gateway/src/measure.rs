//! What the gateway measures: its catalogue, and handles that are made once.
//!
//! A request looks its handles up in arrays: no lock is shared, nothing is formatted, and nothing is counted per row.

mod edge;
mod http;
mod operation;
mod refusals;

use std::sync::LazyLock;

use metrics::Counter;
use runtime::measure::{Kind, Label, Metric, Values, label};

pub(crate) use edge::{batch, edge};
pub(crate) use http::{graphql, rest};
pub(crate) use operation::{Named, Timed};
pub(crate) use refusals::refused;

use Kind::{Gauge, Histogram};
use Values::{Are, Bounded, Listed};

/// Who tells all of it.
const GATEWAY: &[&str] = &["gateway"];

/// The reason of a refusal.
const REASON: Label =
    label("reason", Bounded("one of those in [errors.md](errors.md#the-reasons)", refusals::MOST));

/// The catalogue.
pub const METRICS: &[Metric] = &[
    Metric {
        name: "http_server_request_duration_seconds",
        kind: Histogram,
        by: GATEWAY,
        labels: &[
            label("http_request_method", Are(&http::METHODS)),
            label(
                "http_route",
                Listed("`/graphql`, or a route of REST such as `/api/v1/orders/{id}`", http::routes),
            ),
            label("http_response_status_code", Listed("the status, or `_OTHER`", http::statuses)),
        ],
        meaning: "How long HTTP requests took until their answer began; of a stream or a socket, until it stood",
    },
    Metric {
        name: "http_server_active_requests",
        kind: Gauge,
        by: GATEWAY,
        labels: &[],
        meaning: "Requests under way, those of sockets included; GATEWAY_LIMIT_REQUESTS bounds them",
    },
    Metric {
        name: "graphql_operation_duration_seconds",
        kind: Histogram,
        by: GATEWAY,
        labels: &[
            label("graphql_operation_type", Are(&operation::TYPES)),
            label(
                "graphql_operation_name",
                Bounded(
                    "the name in the manifest of trusted documents; `other` for every other document",
                    10_000,
                ),
            ),
            label("outcome", Are(&operation::OUTCOMES)),
        ],
        meaning: "How long operations took, whatever carried them; of a subscription, until it had begun. `errors` were \
                  answered in part, `refused` ran not at all, `abandoned` took too long or their client went away",
    },
    Metric {
        name: "graphql_edge_duration_seconds",
        kind: Histogram,
        by: GATEWAY,
        labels: &[label("edge", Are(&edge::EDGES)), label("outcome", Are(&edge::OUTCOMES))],
        meaning: "How long an edge of the graph took to load, for all rows of a level together; in `errors` it failed for one of \
                  them at least",
    },
    Metric {
        name: "graphql_loader_batch_size",
        kind: Histogram,
        by: GATEWAY,
        labels: &[label("loader", Are(&edge::LOADERS))],
        meaning: "How many keys a loader asked for in one RPC",
    },
    Metric {
        name: "refusals_total",
        kind: Kind::Counter,
        by: GATEWAY,
        labels: &[
            label("code", Listed("the codes of [errors.md](errors.md#the-codes)", refusals::codes)),
            REASON,
        ],
        meaning: "Refusals that clients were told, limits and rate limits among them",
    },
    Metric {
        name: "graphql_limits_exceeded_total",
        kind: Kind::Counter,
        by: GATEWAY,
        labels: &[label("reason", Are(&LIMITS))],
        meaning: "Requests beyond a limit that were answered all the same, since GATEWAY_LIMITS is `measure`",
    },
    Metric {
        name: "graphql_untrusted_documents_total",
        kind: Kind::Counter,
        by: GATEWAY,
        labels: &[],
        meaning: "Documents that the manifest of trusted ones has not, where they are only logged",
    },
    Metric {
        name: "graphql_streams",
        kind: Gauge,
        by: GATEWAY,
        labels: &[],
        meaning: "Open WebSockets and event streams",
    },
    Metric {
        name: "graphql_socket_operations",
        kind: Gauge,
        by: GATEWAY,
        labels: &[],
        meaning: "Operations under way on WebSockets",
    },
    Metric {
        name: "graphql_sockets_closed_total",
        kind: Kind::Counter,
        by: GATEWAY,
        labels: &[label("reason", Are(&SOCKET_ENDS))],
        meaning: "WebSockets that ended, by why: [subscriptions.md](subscriptions.md) has the codes; `gone` are those whose client left",
    },
    Metric {
        name: "slow_readers_total",
        kind: Kind::Counter,
        by: GATEWAY,
        labels: &[label("by", Are(&["write", "window"]))],
        meaning: "Clients that were cut off since they do not read: what was written stayed unread, or they fell behind the events",
    },
    Metric {
        name: "rate_limit_clients",
        kind: Gauge,
        by: GATEWAY,
        labels: &[label("limit", Are(&["requests", "cost", "login", "register", "refreshToken"]))],
        meaning: "Clients whose bucket is not full, and who are therefore remembered",
    },
];

/// The limits that a request may be beyond, by the reason with which it would be refused.
const LIMITS: [&str; 11] = [
    "DOCUMENT_TOO_LARGE",
    "TOO_MANY_TOKENS",
    "QUERY_TOO_DEEP",
    "QUERY_TOO_LARGE",
    "TOO_MANY_ALIASES",
    "TOO_MANY_ROOT_FIELDS",
    "TOO_MANY_DIRECTIVES",
    "VARIABLES_TOO_DEEP",
    "QUERY_TOO_COSTLY",
    "INTROSPECTION_TOO_LARGE",
    "TOO_MANY_KEYS",
];

/// Why sockets end.
pub(crate) const SOCKET_ENDS: [&str; 15] = [
    "gone",
    "going_away",
    "protocol_error",
    "not_utf8",
    "too_large",
    "try_again",
    "too_slow",
    "bad_message",
    "unauthorized",
    "forbidden",
    "other_protocol",
    "init_timeout",
    "id_taken",
    "init_repeated",
    "too_many_sockets",
];

/// A cache that counts whether it had what was looked for.
pub(crate) struct Looks(LazyLock<[Counter; 2]>);

/// Parsed documents.
pub(crate) static DOCUMENTS: Looks = Looks(LazyLock::new(|| looks("documents")));
/// Documents by their hash.
pub(crate) static PERSISTED: Looks = Looks(LazyLock::new(|| looks("persisted_queries")));
/// Public queries that are under way.
pub(crate) static MERGED: Looks = Looks(LazyLock::new(|| looks("merged_queries")));

fn looks(cache: &'static str) -> [Counter; 2] {
    ["hit", "miss"].map(|outcome| {
        let counter = metrics::counter!("cache_requests_total", "cache" => cache, "outcome" => outcome);
        counter.increment(0);
        counter
    })
}

impl Looks {
    /// Counts a look.
    pub(crate) fn count(&self, hit: bool) {
        self.0[usize::from(!hit)].increment(1);
    }
}

/// Begins to count at nothing what would else appear with its first event, and so never have grown for whoever watches it.
pub(crate) fn start() {
    runtime::measure::describe(METRICS);
    for looks in [&DOCUMENTS, &PERSISTED, &MERGED] {
        LazyLock::force(&looks.0);
    }
    metrics::gauge!("graphql_streams").increment(0);
    metrics::gauge!("graphql_socket_operations").increment(0);
    for by in ["write", "window"] {
        metrics::counter!("slow_readers_total", "by" => by).increment(0);
    }
    for reason in SOCKET_ENDS {
        metrics::counter!("graphql_sockets_closed_total", "reason" => reason).increment(0);
    }
    for reason in LIMITS {
        metrics::counter!("graphql_limits_exceeded_total", "reason" => reason).increment(0);
    }
    metrics::counter!("graphql_untrusted_documents_total").increment(0);
}
