//! What an answer came from, for those who ask: each call to a service, and the time that was the gateway's own.
//!
//! It is told in development and to admins. For anyone else the header means nothing, so that it is no way to learn what
//! is behind the graph. Nothing is noted unless it is asked for.

use std::time::Duration;

use async_graphql::{Name, Value, indexmap::IndexMap};
use axum::http::{HeaderMap, HeaderName};
use identity::Viewer;
use runtime::{
    grpc::{CallLog, CallRecord},
    measure::rpc::code_name,
};
use tokio::time::Instant;

use super::Edge;

/// The header by which it is asked for, with the value 1. One that is ours keeps caches away.
const EXPLAIN: HeaderName = HeaderName::from_static("x-portico-explain");

/// An operation that is explained.
pub(super) struct Explain {
    started: Instant,
    log: CallLog,
}

impl Explain {
    /// For a request with these headers that came at `started`, if it asks for it and may know.
    pub(super) fn asked(
        edge: &Edge,
        headers: &HeaderMap,
        viewer: Option<Viewer>,
        started: Instant,
    ) -> Option<Self> {
        let wanted = headers.get(EXPLAIN).is_some_and(|value| value == "1");
        let may_know = || edge.development || viewer.is_some_and(|viewer| viewer.is_admin());
        (wanted && may_know()).then(|| Self { started, log: CallLog::default() })
    }

    /// Where its calls are written down.
    pub(super) fn log(&self) -> CallLog {
        self.log.clone()
    }

    /// `extensions.trace`, once all calls have ended.
    pub(super) fn told(self) -> Value {
        let total = self.started.elapsed();
        let mut calls = self.log.take();
        calls.sort_by_key(|call| call.started);
        let waited = waited(calls.iter().map(|call| (call.started, call.started + call.took)));
        object([
            ("totalMs", milliseconds(total)),
            ("gatewayMs", milliseconds(total.saturating_sub(waited))),
            ("calls", Value::List(calls.into_iter().map(|call| told(&call, self.started)).collect())),
        ])
    }
}

fn told(call: &CallRecord, since: Instant) -> Value {
    let code = call.code.map_or("ABANDONED", code_name);
    let mut told = vec![
        ("service", call.service.into()),
        ("method", call.path.path().trim_start_matches('/').into()),
        ("attempts", call.attempts.into()),
        ("startMs", milliseconds(call.started.saturating_duration_since(since))),
        ("tookMs", milliseconds(call.took)),
        ("sentBytes", call.sent_bytes.into()),
        ("receivedBytes", call.received_bytes.into()),
        ("code", code.into()),
    ];
    if let Some(batch) = call.batch {
        told.extend([("loader", batch.loader.into()), ("keys", batch.keys.into())]);
    }
    object(told)
}

/// For how long any of these, sorted by their beginning, was under way.
fn waited(spans: impl Iterator<Item = (Instant, Instant)>) -> Duration {
    let (mut waited, mut until) = (Duration::ZERO, None);
    for (began, ended) in spans {
        let from = until.map_or(began, |until| began.max(until));
        waited += ended.saturating_duration_since(from);
        until = until.max(Some(ended));
    }
    waited
}

/// With three decimals: a call in the process takes a fraction of a millisecond.
fn milliseconds(time: Duration) -> Value {
    #[expect(clippy::cast_precision_loss, reason = "microseconds of a request are few")]
    let micros = time.as_micros() as f64;
    (micros / 1000.0).into()
}

fn object(members: impl IntoIterator<Item = (&'static str, Value)>) -> Value {
    let members = members.into_iter().map(|(name, value)| (Name::new(name), value));
    Value::Object(members.collect::<IndexMap<_, _>>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_that_calls_share_is_counted_once() {
        let start = Instant::now();
        let at =
            |from: u64, to: u64| (start + Duration::from_millis(from), start + Duration::from_millis(to));
        let spans = [at(0, 10), at(2, 5), at(8, 12), at(20, 21)];
        assert_eq!(waited(spans.into_iter()), Duration::from_millis(13));
        assert_eq!(waited([].into_iter()), Duration::ZERO);
    }
}
