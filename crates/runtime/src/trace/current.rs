//! Where this task is: in which span of which trace, and on behalf of which request.
//!
//! Logs, events and calls to services take it from here, so nobody has to hand it on. It costs a move into the task's own
//! place and back at each poll, and nothing is shared between threads.

use std::{borrow::Cow, future::Future};

use futures::future::Either;
use http::HeaderValue;

use super::TraceContext;

tokio::task_local! {
    static CURRENT: Current;
}

/// The longest request id that is taken from anyone.
const LONGEST_REQUEST_ID: usize = 64;

/// Where a task is.
#[derive(Clone, Debug)]
pub(super) struct Current {
    /// The service that does the work: `order`.
    pub(super) service: &'static str,
    /// The name of the span, for the log.
    pub(super) name: Cow<'static, str>,
    pub(super) context: TraceContext,
    pub(super) state: Option<HeaderValue>,
    pub(super) request_id: Option<HeaderValue>,
}

impl Current {
    /// Where the caller is; `None` outside any trace.
    pub(super) fn here() -> Option<Self> {
        CURRENT.try_with(Self::clone).ok()
    }

    pub(super) fn look<T>(at: impl FnOnce(&Self) -> T) -> Option<T> {
        CURRENT.try_with(at).ok()
    }

    // No async function: that would hold `work` twice.
    pub(super) fn scope<F: Future>(self, work: F) -> impl Future<Output = F::Output> + use<F> {
        CURRENT.scope(self, work)
    }
}

/// The span in which the caller is; `None` outside any trace.
pub fn current() -> Option<TraceContext> {
    Current::look(|current| current.context)
}

/// Does `work` in the trace in which the caller is, wherever it is polled: for work that is handed to another task.
pub fn carried<F: Future>(work: F) -> impl Future<Output = F::Output> {
    match Current::here() {
        Some(here) => Either::Left(here.scope(work)),
        None => Either::Right(work),
    }
}

/// Does `work`, of `service`, in a span that another process has begun.
pub fn within<F: Future>(
    service: &'static str,
    context: TraceContext,
    work: F,
) -> impl Future<Output = F::Output> + use<F> {
    Current { service, name: Cow::Borrowed(service), context, state: None, request_id: None }.scope(work)
}

/// What log lines tell of where the caller is.
pub(crate) struct Place {
    pub(crate) name: Cow<'static, str>,
    pub(crate) context: TraceContext,
    pub(crate) request_id: Option<HeaderValue>,
}

/// Where the caller is, for a log line; `None` outside any trace.
pub(crate) fn place() -> Option<Place> {
    Current::here().map(|Current { name, context, request_id, .. }| Place { name, context, request_id })
}

/// Whether this may be the id of a request. It ends up in logs, so it must not be able to hold anything else.
pub fn is_request_id(id: &HeaderValue) -> bool {
    (1..=LONGEST_REQUEST_ID).contains(&id.len())
        && id.as_bytes().iter().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(byte))
}
