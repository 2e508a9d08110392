//! One call while it runs: what is known of it so far, and the one place that hears its end.
//!
//! Every call passes here once, over the network and in the process alike, whatever becomes of it: answered, refused on
//! this side, out of time, or dropped because nobody waits any more.

use http::{Request, Response};
use tokio::time::Instant;
use tonic::{Code, Status, body::Body};

use super::log::{CallLog, CallRecord};
use crate::measure::rpc;

/// A call under way. Its end is heard when it is dropped.
pub(super) struct Call {
    log: Option<CallLog>,
    pub(super) record: CallRecord,
}

impl Call {
    /// The call of `request` to `service`, which begins now.
    pub(super) fn begin(service: &'static str, request: &mut Request<Body>) -> Self {
        let path = request.uri().path_and_query().cloned();
        let extensions = request.extensions_mut();
        let record = CallRecord {
            service,
            path: path.unwrap_or_else(|| http::uri::PathAndQuery::from_static("/")),
            batch: extensions.remove(),
            started: Instant::now(),
            took: std::time::Duration::ZERO,
            attempts: 0,
            sent_bytes: 0,
            received_bytes: 0,
            code: None,
        };
        Self { log: extensions.remove(), record }
    }

    /// Takes down what was answered.
    pub(super) fn end(&mut self, answer: &Result<Response<Body>, Status>, code: Code) {
        self.record.code = Some(code);
        // One that was sent: why others were not is told where that is decided.
        if answer.is_err() && self.record.attempts > 0 {
            let CallRecord { service, path, .. } = &self.record;
            tracing::warn!(service, %path, ?code, "a call to a service failed on its way");
        }
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        self.record.took = self.record.started.elapsed();
        // Nobody waited for it any more.
        let code = self.record.code.unwrap_or(Code::Cancelled);
        rpc::CLIENT.record(self.record.path.as_str(), code, self.record.took);
        if let Some(log) = &self.log {
            log.write(self.record.clone());
        }
    }
}
