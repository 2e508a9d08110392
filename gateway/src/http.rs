//! GraphQL over HTTP, one file for each stage of a request: read it, see who asks, take its parsed document, check it
//! whole, execute it, respond.
//!
//! What is wrong with a request as a whole is found before any of it runs. Every refusal is an answer in GraphQL's
//! form, with the id under which the log tells more.

mod check;
mod coerce;
mod document;
mod execute;
mod read;
mod respond;
mod viewer;

use std::{sync::Arc, time::Duration};

use async_graphql::ValidationMode;
use axum::{
    extract::{Request, State},
    http::{HeaderMap, StatusCode},
    response::Response,
};
use runtime::{Kind, Refusal, Sessions};
use tokio::time::Instant;
use tracing::Instrument;
use uuid::Uuid;

use crate::{
    Config,
    clients::Services,
    graphql::{Schema, schema},
};
use coerce::Inputs;
use document::Documents;
use execute::Answer;
use respond::{MediaType, Refused};

/// The header that names a request, in both directions.
const REQUEST_ID: &str = "x-request-id";
/// The longest request id that is taken from a client.
const LONGEST_REQUEST_ID: usize = 64;
/// How long before the end of a request its calls must be answered, so that what did come is still sent.
const TIME_TO_ANSWER: Duration = Duration::from_millis(250);

/// What all requests share.
pub(crate) struct Edge {
    schema: Schema,
    /// The same for documents that it has found to be valid.
    unvalidating: Schema,
    inputs: Inputs,
    documents: Documents,
    services: Arc<Services>,
    sessions: Sessions,
    introspection: bool,
    rpc_timeout: Duration,
    request_timeout: Duration,
}

impl Edge {
    pub(crate) fn new(config: &Config, services: Arc<Services>, sessions: Sessions) -> Self {
        let (schema, unvalidating) = (schema(ValidationMode::Strict), schema(ValidationMode::Fast));
        Self {
            inputs: Inputs::of(&schema),
            documents: Documents::new(config.document_cache_bytes),
            schema,
            unvalidating,
            services,
            sessions,
            introspection: config.allows_introspection(),
            rpc_timeout: config.rpc_timeout,
            request_timeout: config.request_timeout,
        }
    }
}

/// Answers a GraphQL request.
pub(crate) async fn graphql(State(edge): State<Arc<Edge>>, request: Request) -> Response {
    let started = Instant::now();
    let id = request_id(request.headers());
    let media_type = MediaType::accepted(request.headers());
    let span = tracing::info_span!("graphql", request_id = id);
    let work = answer(&edge, request, &id, started + edge.request_timeout).instrument(span);
    let outcome = tokio::time::timeout(edge.request_timeout, work).await.unwrap_or_else(|_| {
        let refusal = Refusal::new(Kind::Timeout, "REQUEST_TIMEOUT", "the request took too long");
        Err(Refused::by_http(StatusCode::GATEWAY_TIMEOUT, refusal))
    });
    let response = respond::respond(outcome, media_type, &id);
    metrics::histogram!("graphql_request_duration_seconds", "status" => response.status().as_str().to_owned())
        .record(started.elapsed().as_secs_f64());
    response
}

/// The way of a request through its stages.
async fn answer(edge: &Edge, request: Request, id: &str, deadline: Instant) -> Result<Answer, Refused> {
    let (head, body) = request.into_parts();
    // Before the body is read: a stranger's megabyte is not worth it.
    let (viewer, context) = viewer::identify(edge, &head, id, deadline - TIME_TO_ANSWER).await?;
    let source = read::source(&head, body).await?;
    let inquiry = read::inquiry(&source)?;
    let document = edge.documents.parse(&inquiry.query)?;
    check::check(edge, &document, &inquiry)?;
    execute::execute(edge, &document, inquiry, viewer, context).await
}

/// Says that nothing is here, in the form of every other refusal.
pub(crate) async fn unknown_path(request: Request) -> Response {
    let id = request_id(request.headers());
    let refusal =
        Refusal::new(Kind::NotFound, "NOT_FOUND", "there is nothing at this path; the graph is at /graphql");
    respond::respond(Err(Refused::by_http(StatusCode::NOT_FOUND, refusal)), MediaType::Json, &id)
}

/// The client's own id of the request when it is well formed, else a new one. It ends up in logs, so it must not be
/// able to hold anything else.
fn request_id(headers: &HeaderMap) -> String {
    let well_formed = |id: &&str| {
        (1..=LONGEST_REQUEST_ID).contains(&id.len())
            && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
    };
    let given = headers.get(REQUEST_ID).and_then(|value| value.to_str().ok()).filter(well_formed);
    given.map_or_else(|| Uuid::now_v7().to_string(), str::to_owned)
}
