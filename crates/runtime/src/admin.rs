//! The admin port: `/live`, `/ready` and `/metrics`, for probes and for Prometheus, a page for people, and in development
//! `/faults`. It faces no client.

use std::{fmt::Write, future::Future, sync::Arc, time::Duration};

use axum::{Router, extract::State, http::StatusCode, routing::get};
use futures::future::{BoxFuture, FutureExt};
use tokio::{net::TcpListener, time::Instant};

use crate::{
    Stop, faults,
    measure::process,
    status::{Part, Status},
    telemetry,
};

/// How long [`until_ready`] waits at most, and how often it looks.
const READY_WITHIN: Duration = Duration::from_secs(10);
const LOOK: Duration = Duration::from_millis(100);
/// When it first says what is missing, and how often then.
const FIRST_WORD: Duration = Duration::from_secs(1);
const WORD: Duration = Duration::from_secs(2);
/// How long one check may take.
const CHECK_DEADLINE: Duration = Duration::from_secs(2);

/// Something that has to hold before a process takes requests.
#[derive(Clone)]
pub struct Check {
    /// What is looked at.
    pub(crate) name: &'static str,
    run: Arc<dyn Fn() -> BoxFuture<'static, Result<(), String>> + Send + Sync>,
}

impl Check {
    /// A check of this name; `run` says in its error what is missing, in words that may leave the process.
    pub fn new<F>(name: &'static str, run: impl Fn() -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Result<(), String>> + Send + 'static,
    {
        Self { name, run: Arc::new(move || run().boxed()) }
    }

    /// Looks; says in its error what is missing.
    pub(crate) async fn outcome(&self) -> Result<(), String> {
        tokio::time::timeout(CHECK_DEADLINE, (self.run)())
            .await
            .unwrap_or_else(|_| Err("no answer in time".into()))
    }
}

/// Whether all checks hold, and a line for each of them. The gauges `ready` tell each alone.
pub async fn readiness(checks: &[Check]) -> (bool, String) {
    let outcomes = futures::future::join_all(checks.iter().map(Check::outcome)).await;
    let mut lines = String::new();
    for (check, outcome) in checks.iter().zip(&outcomes) {
        metrics::gauge!("ready", "check" => check.name).set(if outcome.is_ok() { 1.0 } else { 0.0 });
        let told = outcome.as_ref().map_or_else(|missing| missing.as_str(), |()| "ok");
        let _ = writeln!(lines, "{}: {told}", check.name);
    }
    (outcomes.iter().all(Result::is_ok), lines)
}

/// Waits until all checks hold, so that a new process takes no request from another that can answer it, and says every few
/// seconds what is missing. But not longer than 10 s: something is away then, and what can be done without it is to be
/// done. `stop` ends the waiting.
pub async fn until_ready(checks: &[Check], stop: &Stop) {
    let (until, mut next_word) = (Instant::now() + READY_WITHIN, Instant::now() + FIRST_WORD);
    let ready = async {
        loop {
            let (ready, told) = readiness(checks).await;
            let now = Instant::now();
            if ready {
                return;
            }
            let missing = missing(&told);
            if now >= until {
                return tracing::warn!(missing, "serving without what is missing");
            }
            if now >= next_word {
                tracing::info!(missing, "waiting, {} s more at most", (until - now).as_secs());
                next_word = now + WORD;
            }
            tokio::time::sleep(LOOK).await;
        }
    };
    stop.run_until_cancelled(ready).await;
}

/// Of what was told of all checks, that of those that don't hold.
fn missing(told: &str) -> String {
    let lines: Vec<&str> = told.lines().filter(|line| !line.ends_with(": ok")).collect();
    lines.join("; ")
}

/// Answers on `listener` until `stop`; the page shows these parts, whose switches can be set here. From its announcement on,
/// `/ready` says no, so that no new request is sent here.
///
/// # Errors
/// When the listener fails.
pub async fn serve(
    listener: TcpListener,
    checks: Vec<Check>,
    parts: Vec<Part>,
    stop: Stop,
) -> std::io::Result<()> {
    let faults = faults::router(parts.iter().map(|part| part.faults.clone()));
    let status = Status::new(parts);
    tokio::spawn(status.clone().follow(stop.clone()));
    let state = Arc::new((checks, stop.clone()));
    let app = Router::new()
        .route("/live", get(|| async { "live\n" }))
        .route("/ready", get(ready))
        .route("/metrics", get(metrics))
        .with_state(state)
        .merge(status.router())
        .merge(faults);
    axum::serve(listener, app).with_graceful_shutdown(stop.cancelled_owned()).await
}

/// Checks anew: whoever watches the metrics has no other way to learn whether this process is ready.
async fn metrics(State(state): State<Arc<(Vec<Check>, Stop)>>) -> String {
    readiness(&state.0).await;
    process::tell_memory();
    telemetry::metrics().map(|metrics| metrics.render()).unwrap_or_default()
}

async fn ready(State(state): State<Arc<(Vec<Check>, Stop)>>) -> (StatusCode, String) {
    if state.1.is_announced() {
        return (StatusCode::SERVICE_UNAVAILABLE, "stopping\n".into());
    }
    match readiness(&state.0).await {
        (true, lines) => (StatusCode::OK, lines),
        (false, lines) => (StatusCode::SERVICE_UNAVAILABLE, lines),
    }
}
