//! Logs and metrics: how a process tells what it does.
//!
//! A failure is logged once, at the boundary where it is handled. No line carries a password, a token or an email.

mod lines;

use std::{
    fs::File,
    io::IsTerminal,
    sync::{Mutex, OnceLock},
    time::Duration,
};

use clap::{Args, ValueEnum};
use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};
use tracing_subscriber::{
    EnvFilter, Layer,
    fmt::{self, MakeWriter, format::JsonFields},
    layer::SubscriberExt,
    util::SubscriberInitExt,
};

use crate::{
    measure,
    trace::{self, TraceConfig},
};

/// How logs look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people.
    Human,
    /// One JSON object a line, for programs.
    Json,
}

/// The settings of logs and traces.
#[derive(Args, Clone, Debug)]
pub struct LogConfig {
    /// Which lines are logged, as tracing-subscriber's EnvFilter reads it.
    #[arg(long, env = "RUST_LOG", default_value = "info")]
    pub log: String,
    /// How logs look.
    #[arg(long, env = "LOG_FORMAT", value_enum, default_value = "human")]
    pub log_format: LogFormat,
    /// Traces.
    #[command(flatten)]
    pub traces: TraceConfig,
}

/// lapin logs each message that RabbitMQ returns, with all that is in it, and failures that we tell ourselves.
const UNLESS_ASKED: &str = "lapin=off";

/// Starts logging to standard error. A second call changes nothing.
pub fn start_logs(config: &LogConfig) {
    let coloured = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    start(config, std::io::stderr, coloured);
}

/// Starts logging to `file`, for a process whose standard error is for people. A second call changes nothing.
pub fn start_logs_in(config: &LogConfig, file: File) {
    start(config, Mutex::new(file), false);
}

fn start<W>(config: &LogConfig, writer: W, coloured: bool)
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let filter = |log: &str| EnvFilter::try_new(format!("{UNLESS_ASKED},{log}"));
    let filter = filter(&config.log).or_else(|_| filter("info")).unwrap_or_default();
    let layer = fmt::layer().with_writer(writer).with_ansi(coloured);
    let layer = match config.log_format {
        LogFormat::Human => layer.event_format(lines::Human::new(coloured)).with_filter(filter).boxed(),
        LogFormat::Json => layer
            .fmt_fields(JsonFields::new())
            .event_format(lines::Objects::new())
            .with_filter(filter)
            .boxed(),
    };
    let statements = config.traces.exports().then(trace::statements);
    // An error means that logs run already, as they do for every test but the first of a process.
    let _ = tracing_subscriber::registry().with(layer).with(statements).try_init();
}

/// How often what histograms were told is folded into their buckets.
const FOLD: Duration = Duration::from_secs(5);

/// Keeps the metrics small for ever. What a histogram is told is kept one by one until somebody renders it, so a process
/// that nobody scrapes would grow with each request.
pub async fn keep_metrics_small() {
    let Some(metrics) = metrics() else { return };
    loop {
        tokio::time::sleep(FOLD).await;
        metrics.run_upkeep();
    }
}

/// The upper ends of histograms of durations, in seconds.
const SECONDS: &[f64] = &[0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];
/// Those of histograms of how many come together.
const SIZES: &[f64] = &[1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0];

/// The metrics of this process. The recorder is global, as the `metrics` macros ask for, so there is one. Handles that were
/// made before this was called first tell nobody anything.
pub fn metrics() -> Option<&'static PrometheusHandle> {
    static HANDLE: OnceLock<Option<PrometheusHandle>> = OnceLock::new();
    HANDLE.get_or_init(|| install().ok()).as_ref()
}

fn install() -> Result<PrometheusHandle, BuildError> {
    let sizes = Matcher::Suffix("_size".to_owned());
    let builder = PrometheusBuilder::new().set_buckets(SECONDS)?.set_buckets_for_metric(sizes, SIZES)?;
    let handle = builder.install_recorder()?;
    measure::describe(measure::METRICS);
    measure::process::tell_start();
    Ok(handle)
}
