//! The spans of calls: one where a call is made, one where it is served.

use http::{Request, Response};
use tonic::{Code, Status, body::Body};

use super::{Span, SpanKind, TRACEPARENT, TRACESTATE, span::unsampled};
use crate::measure::rpc::{code_name, method_name};

/// The span of a call that `service` serves.
pub(crate) fn serving(service: &'static str, request: &Request<Body>) -> Span {
    let method = method_name(request.uri().path());
    let mut span = Span::of_ours(service, request.headers(), method);
    describe(&mut span, method);
    span
}

/// The span of a call that is about to be made, with the headers that tell the service of it. What is called on nobody's
/// behalf, over and over, has none, and is not kept there either.
pub(crate) fn calling(request: &mut Request<Body>) -> Option<Span> {
    let method = method_name(request.uri().path());
    let span = Span::part(SpanKind::Client, method).map(|mut span| {
        describe(&mut span, method);
        span
    });
    let context = span.as_ref().map_or_else(unsampled, Span::context);
    let headers = request.headers_mut();
    headers.insert(TRACEPARENT, context.header());
    if let Some(state) = span.as_ref().and_then(Span::state) {
        headers.insert(TRACESTATE, state.clone());
    }
    span
}

/// Ends the span of a call that came to `code`. A refusal is an answer, on both sides.
pub(crate) fn end(mut span: Span, code: Code) {
    let name = code_name(code);
    span.set("rpc.response.status_code", name);
    if is_fault(code) {
        span.fail(name);
    }
    span.end();
}

/// The code of an answer whose head has come.
pub(crate) fn answered(response: &Response<Body>) -> Code {
    Status::from_header_map(response.headers()).map_or(Code::Ok, |status| status.code())
}

fn describe(span: &mut Span, method: &'static str) {
    span.set("rpc.system.name", "grpc");
    span.set("rpc.method", method);
}

/// Those codes that say that a server failed
/// (<https://opentelemetry.io/docs/specs/semconv/rpc/grpc/>, for servers).
fn is_fault(code: Code) -> bool {
    use Code::{DataLoss, DeadlineExceeded, Internal, Unavailable, Unimplemented, Unknown};
    matches!(code, Unknown | DeadlineExceeded | Unimplemented | Internal | Unavailable | DataLoss)
}
