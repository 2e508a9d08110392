//! `portico metrics`: the catalogue of what all processes measure, as docs/metrics.md holds it.

use std::fmt::Write as _;
use std::io::{Write as _, stdout};
use std::process::ExitCode;

use anyhow::Result;
use runtime::measure::{Label, Metric, Values};

/// The parts of the catalogue: their headings, and the tables of the crates.
const PARTS: [(&str, &[Metric]); 4] = [
    ("Every process", runtime::measure::METRICS),
    ("The gateway", gateway::measure::METRICS),
    ("Events", messaging::measure::METRICS),
    ("The user service", user::measure::METRICS),
];

/// What stands before the tables.
const PREFACE: &str = "# Metrics

What each process tells on its admin port at `/metrics`, for Prometheus. This page is written by `make metrics-catalogue` out of the
tables beside the code that counts (`measure.rs` in each crate), and a test holds it against a system at work: nothing is told that does
not stand here, and nothing stands here that is never told.

Names are those of [OpenTelemetry's semantic conventions](https://opentelemetry.io/docs/specs/semconv/) in their Prometheus form, where
there is one: `http.server.request.duration` is `http_server_request_duration_seconds`. What would be the same everywhere is left out
(`rpc_system_name` is always `grpc`, `messaging_system` always `rabbitmq`, `db_system_name` always `postgresql`). A histogram has
`_bucket`, `_sum` and `_count`; those of durations are in seconds. No label holds what a client sends: an operation's name counts only when
the [manifest of trusted documents](edge.md#documents) has it.

In `portico up` the gateway and the services are one process, which tells all of it. [The dashboards](operations.md#watching) and alerts
ask for nothing else, RabbitMQ's own metrics apart. nginx tells what its cache did in the header `X-Cache-Status` and in its access log.
";

/// All metrics of all processes.
pub fn catalogue() -> impl Iterator<Item = &'static Metric> {
    PARTS.iter().flat_map(|(_, metrics)| metrics.iter())
}

/// The catalogue for people.
pub fn page() -> String {
    let mut page = PREFACE.to_owned();
    for (heading, metrics) in PARTS {
        let _ =
            write!(page, "\n## {heading}\n\n| metric | type | told by | labels | |\n|---|---|---|---|---|\n");
        for metric in metrics {
            let Metric { name, kind, by, labels, meaning } = metric;
            let by = if *by == runtime::measure::EVERY { "all".to_owned() } else { by.join(", ") };
            let labels: Vec<_> = labels.iter().map(told).collect();
            let _ =
                writeln!(page, "| `{name}` | {} | {by} | {} | {meaning} |", kind.name(), labels.join("<br>"));
        }
    }
    page
}

fn told(label: &Label) -> String {
    let values = match label.values {
        Values::Are(values) => values.iter().map(|value| format!("`{value}`")).collect::<Vec<_>>().join(" "),
        Values::Listed(words, _) | Values::Bounded(words, _) => words.to_owned(),
    };
    format!("`{}`: {values}", label.name)
}

/// Prints the catalogue.
///
/// # Errors
/// When the standard output is closed.
pub fn run() -> Result<ExitCode> {
    stdout().write_all(page().as_bytes())?;
    Ok(ExitCode::SUCCESS)
}
