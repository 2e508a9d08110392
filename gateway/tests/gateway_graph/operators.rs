//! What the gateway tells its operators: counts, and lines in the log.

use std::{fs::File, path::PathBuf};

use axum::http::Method;
use runtime::{
    telemetry::{self, LogConfig, LogFormat},
    trace::TraceConfig,
};
use serde_json::json;

use crate::rest::request;
use crate::world::{World, post};

/// The value of this series now, with what all tests of this process counted.
fn counted(series: &str) -> u64 {
    let metrics = telemetry::metrics().expect("no other recorder is set").render();
    let value = metrics.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
    value.map_or(0, |value| value.parse().unwrap())
}

/// How often this was told to clients so far.
fn told(code: &str, reason: &str) -> u64 {
    counted(&format!("refusals_total{{code=\"{code}\",reason=\"{reason}\"}}"))
}

/// What is logged.
struct Log(PathBuf);

impl Log {
    /// The one of all tests in this process: with one for each thread, what another thread found not to be logged first
    /// would not be logged here.
    fn of_this_process() -> Self {
        let path = std::env::temp_dir().join(format!("portico-log-{}", std::process::id()));
        let config = LogConfig {
            log: "info".to_owned(),
            log_format: LogFormat::Human,
            traces: TraceConfig::default(),
        };
        telemetry::start_logs_in(&config, File::create(&path).unwrap());
        Self(path)
    }

    fn text(&self) -> String {
        std::fs::read_to_string(&self.0).unwrap()
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

#[tokio::test]
async fn refusals_are_counted_by_code_and_reason_in_the_graph_and_in_rest() {
    telemetry::metrics();
    let world = World::new();

    let before = told("BAD_USER_INPUT", "GRAPHQL_INVALID");
    world.send(post(None, &json!({ "query": "{ nonsense }" }))).await;
    assert!(told("BAD_USER_INPUT", "GRAPHQL_INVALID") > before);

    let before = told("UNAUTHENTICATED", "TOKEN_MISSING");
    world.send(post(None, &json!({ "query": "{ me { id } }" }))).await;
    let by_graph = told("UNAUTHENTICATED", "TOKEN_MISSING");
    assert!(by_graph > before);
    world.send(request(Method::GET, "/users/me", None, None)).await;
    assert!(told("UNAUTHENTICATED", "TOKEN_MISSING") > by_graph);
}

#[tokio::test]
async fn a_request_beyond_limits_that_are_only_measured_is_counted_and_logged_under_its_id() {
    telemetry::metrics();
    let log = Log::of_this_process();
    let world = World::with(&["--limits", "measure", "--limit-aliases", "1"]);
    let before = counted("graphql_limits_exceeded_total{reason=\"TOO_MANY_ALIASES\"}");

    let mut request =
        post(None, &json!({ "query": "{ a: __typename b: __typename secretAlias: __typename }" }));
    request.headers_mut().insert("x-request-id", "measured-1".parse().unwrap());
    let answer = world.send(request).await;

    assert!(answer.body["errors"].is_null(), "{}", answer.body);
    assert!(counted("graphql_limits_exceeded_total{reason=\"TOO_MANY_ALIASES\"}") > before);
    let text = log.text();
    let line =
        text.lines().find(|line| line.contains("beyond the limits")).unwrap_or_else(|| panic!("{text}"));
    assert!(line.contains("measured-1"), "{line}");
    assert!(line.contains("3 aliases; at most 1"), "{line}");
    assert!(!line.contains("secretAlias"), "{line}");
}
