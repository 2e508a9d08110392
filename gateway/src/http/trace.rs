//! The spans of the gateway itself: one for each request by HTTP, one for each operation of the graph.

use std::future::Future;

use async_graphql::{ServerError, parser::types::OperationType};
use axum::{
    extract::{MatchedPath, Request},
    http::{HeaderMap, HeaderValue, Method},
    response::Response,
};
use messaging::CloudEvent;
use runtime::{
    Refusal,
    trace::{Span, SpanKind, TraceContext},
};

use super::{execute::Answer, respond::Refused};

/// What spans call this process.
const SERVICE: &str = "gateway";

/// A fault of ours of which an answer tells whose status doesn't; an extension of the answer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fault(&'static str);

/// The span of a request: in the client's own trace, if it names one.
pub(super) fn request(request: &Request, id: HeaderValue) -> Span {
    let mut span = Span::of_stranger(SERVICE, request.headers(), id);
    let method = method(request.method());
    // A path that is no route of ours is a stranger's to make up.
    match request.extensions().get::<MatchedPath>().map(MatchedPath::as_str) {
        Some(route) => {
            span.rename(format!("{method} {route}"));
            if span.is_recorded() {
                span.set("http.route", route.to_owned());
                span.set("url.path", request.uri().path().to_owned());
            }
        }
        None => span.rename(method),
    }
    span.set("http.request.method", method);
    span.set("url.scheme", "http");
    span
}

/// Ends the span of a request.
pub(super) fn answered(mut span: Span, response: &Response) {
    let status = response.status();
    span.set("http.response.status_code", i64::from(status.as_u16()));
    if let Some(Fault(code)) = response.extensions().get() {
        span.fail(*code);
    } else if status.is_server_error() {
        span.fail(status.as_str().to_owned());
    }
    span.end();
}

/// The span of what is asked on a socket, where no request by HTTP stands for it.
pub(super) fn message(request_id: &str) -> Span {
    let id = HeaderValue::from_str(request_id).unwrap_or_else(|_| HeaderValue::from_static("none"));
    let mut span = Span::of_stranger(SERVICE, &HeaderMap::new(), id);
    span.rename("subscribe");
    span
}

/// The span in which one subscriber is answered an event. An event may have thousands of them, so it is a trace of its own
/// and not a part of the event's.
pub(super) fn occasion(event: &CloudEvent, request_id: &str) -> Span {
    let mut span =
        Span::following(SERVICE, SpanKind::Server, "subscription", None).with_request_id(request_id);
    span.set("graphql.operation.type", "subscription");
    if let Some(context) = event.traceparent.as_deref().and_then(TraceContext::parse) {
        span.link(context);
    }
    span
}

/// Ends the span of what came to this.
pub(super) fn came_to(mut span: Span, outcome: Result<&Answer, &Refused>) {
    let errors = match outcome {
        Ok(answer) => answer.errors.as_slice(),
        Err(refused) => refused.errors(),
    };
    if let Some(Fault(code)) = fault(errors) {
        span.fail(code);
    }
    span.end();
}

/// Does the work of an operation in a span of its own, which tells no name that a client may have made up.
pub(super) async fn operation(
    kind: OperationType,
    trusted_name: Option<&str>,
    work: impl Future<Output = Result<Answer, Refused>>,
) -> Result<Answer, Refused> {
    let name = match kind {
        OperationType::Query => "query",
        OperationType::Mutation => "mutation",
        OperationType::Subscription => "subscription",
    };
    let Some(mut span) = Span::part(SpanKind::Internal, name) else { return work.await };
    span.set("graphql.operation.type", name);
    if let Some(name) = trusted_name.filter(|_| span.is_recorded()) {
        span.set("graphql.operation.name", name.to_owned());
    }
    let outcome = span.around(work).await;
    came_to(span, outcome.as_ref());
    outcome
}

/// The first fault of ours among what a client is told. Refusals are answers.
pub(super) fn fault(errors: &[ServerError]) -> Option<Fault> {
    let refusals = errors.iter().filter_map(|error| error.source::<Refusal>());
    refusals.map(|refusal| refusal.kind).find(|kind| kind.http() >= 500).map(|kind| Fault(kind.code()))
}

/// A method by its name, if HTTP knows it.
fn method(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::HEAD => "HEAD",
        Method::OPTIONS => "OPTIONS",
        _ => "_OTHER",
    }
}
