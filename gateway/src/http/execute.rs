//! Running a checked request on the schema.

use std::{panic::AssertUnwindSafe, sync::Arc};

use async_graphql::{Request, Response};
use axum::http::StatusCode;
use futures::FutureExt;
use identity::Viewer;
use runtime::{Refusal, grpc::CallContext};

use super::{Edge, document::Document, read::Inquiry, respond::Refused};
use crate::{clients::Calls, graphql::Visit};

/// What came of a request that ran.
pub(super) type Answer = Response;

/// Runs the request in the name of `viewer`.
pub(super) async fn execute(
    edge: &Edge,
    document: &Document,
    inquiry: Inquiry<'_>,
    viewer: Option<Viewer>,
    context: CallContext,
) -> Result<Answer, Refused> {
    let calls = Calls::new(edge.services.clone(), context, edge.rpc_timeout);
    let visit = Arc::new(Visit::new(viewer, calls).writing(!document.repeats));
    // The text is only there for extensions of the crate, and there are none.
    let mut request = Request::new("").variables(inquiry.variables).data(visit.clone());
    request.operation_name = inquiry.operation_name.map(Into::into);
    request.set_parsed_query(document.parsed.clone());
    let schema = edge.schema(document, viewer);
    // Without tokio's budget for one turn of a task: it would cut the keys that are loaded together into several calls.
    let run = tokio::task::unconstrained(schema.execute(request));
    let response = AssertUnwindSafe(run).catch_unwind().await.map_err(|_| {
        // The panic hook has logged what and where.
        Refused::by_http(StatusCode::INTERNAL_SERVER_ERROR, Refusal::internal("a resolver panicked"))
    })?;
    if visit.has_begun() || response.errors.is_empty() {
        document.ran();
        return Ok(response);
    }
    // No field has run, so these are errors of the request: it gets no `data`.
    Err(Refused::by_graphql(response.errors))
}
