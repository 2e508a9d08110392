//! The status page at the admin port, for who has neither Prometheus nor Grafana: `/status` is a page that asks for
//! `/status.json` again and again.
//!
//! What it shows are this process's own metrics of the last minutes, its checks, and whether the services that it asks are
//! well. It needs nothing from elsewhere: page, style and script are in the binary, and a policy by their hashes lets nothing
//! else run.

mod history;
mod page;
mod report;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::{Json, Router, extract::State, http::header, response::IntoResponse, routing::get};
use futures::future::join_all;
use tokio::time::Instant;

use crate::{Faults, Stop, admin::Check, lifecycle::every, measure::process, telemetry};
use history::History;
use report::Report;

/// A part of the system, and what it needs.
#[derive(Clone)]
pub struct Part {
    /// `gateway`, `user`, ...
    pub name: &'static str,
    /// What has to hold for it to be well.
    pub checks: Vec<Check>,
    /// Its fault switches.
    pub faults: Faults,
}

impl Part {
    /// One that needs that these checks hold, and that no switch says that it is not ready.
    pub fn new(name: &'static str, mut checks: Vec<Check>, faults: &Faults) -> Self {
        checks.extend(faults.check());
        Self { name, checks, faults: faults.clone() }
    }
}

/// The status of a process. Clones are the same.
#[derive(Clone)]
pub(crate) struct Status(Arc<Shared>);

struct Shared {
    parts: Vec<Part>,
    history: Mutex<History>,
}

impl Status {
    /// That of these parts.
    pub(crate) fn new(parts: Vec<Part>) -> Self {
        Self(Arc::new(Shared { parts, history: Mutex::default() }))
    }

    /// The routes.
    pub(crate) fn router(&self) -> Router {
        Router::new()
            .route("/", get(page::page))
            .route("/status", get(page::page))
            .route("/status.json", get(report))
            .with_state(self.clone())
    }

    /// Looks at the metrics until `stop`.
    pub(crate) async fn follow(self, stop: Stop) {
        every(history::EVERY, stop, || async { self.look() }).await;
    }

    fn look(&self) {
        if let Some(metrics) = telemetry::metrics() {
            process::tell_memory();
            let told = metrics.render();
            self.history().look(&told, Instant::now());
        }
    }

    fn history(&self) -> MutexGuard<'_, History> {
        self.0.history.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What is shown now. The metrics are looked at every few seconds; checks are asked anew.
async fn report(State(status): State<Status>) -> impl IntoResponse {
    let parts = join_all(status.0.parts.iter().map(|part| async {
        let checks = join_all(
            part.checks
                .iter()
                .map(async |check| report::Check { name: check.name, missing: check.outcome().await.err() }),
        );
        let checks = checks.await;
        report::Part { name: part.name, breaker: None, checks }
    }));
    let parts = parts.await;
    let report = Report::of(&status.history(), parts);
    ([(header::CACHE_CONTROL, "no-store")], Json(report))
}
