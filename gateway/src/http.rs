//! GraphQL over HTTP, one file for each stage of a request: read it, see who asks, take its parsed document, check it
//! whole, execute it, respond. What streams goes the same way: [`socket`] carries many operations on one connection,
//! [`stream`] one, and a subscription is executed anew for each event.
//!
//! What is wrong with a request as a whole is found before any of it runs. Every refusal is an answer in GraphQL's
//! form, with the id under which the log tells more.

mod check;
mod coerce;
mod document;
mod execute;
mod live;
mod read;
mod respond;
mod socket;
mod stream;
mod subscribe;
mod viewer;

use std::{sync::Arc, time::Duration};

use async_graphql::{ValidationMode, parser::types::OperationType};
use axum::{
    extract::{Request, State},
    http::{HeaderMap, StatusCode},
    response::Response,
};
use messaging::{Broker, Heard, revocations};
use proto::{DomainEvent, user::v1::SessionRevoked};
use runtime::{Kind, Refusal, Sessions, Stop};
use tokio::time::{Instant, MissedTickBehavior, timeout};
use tracing::Instrument;
use uuid::Uuid;

use crate::{
    Config,
    clients::Services,
    config::StreamConfig,
    events::Hub,
    graphql::{Schema, schema},
    server::Connection,
};
use coerce::Inputs;
use document::Documents;
use execute::Answer;
use live::Live;
use read::Inquiry;
use respond::{MediaType, Refused};
use stream::{Following, Streams};
use subscribe::Subscription;
use viewer::Caller;

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
    hub: Arc<Hub>,
    live: Arc<Live>,
    streams: StreamConfig,
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
            hub: Arc::new(Hub::new(config.streams.event_window, config.streams.event_window_bytes)),
            live: Arc::new(Live::new(sessions.clone(), config.streams.sockets_per_user)),
            streams: config.streams.clone(),
            sessions,
            introspection: config.allows_introspection(),
            rpc_timeout: config.rpc_timeout,
            request_timeout: config.request_timeout,
        }
    }
}

impl Edge {
    /// Hears what `broker` says until `stop`: for those who subscribe, and for those whose session is revoked.
    pub(crate) async fn listen(&self, broker: &Broker, stop: Stop) {
        let names: Vec<&str> = proto::EVENTS.iter().map(|event| event.name).collect();
        let mut listener = broker.listen(&names);
        let mut look = tokio::time::interval(live::LOOK);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                _ = look.tick() => self.live.look(),
                heard = listener.next() => self.hear(&heard),
            }
        }
    }

    fn hear(&self, heard: &Heard) {
        self.hub.hear(heard);
        if let Heard::Event(event) = heard
            && event.name() == Some(SessionRevoked::NAME)
        {
            revocations::revoke(&self.sessions, event);
            self.live.look();
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
    let outcome = timeout(edge.request_timeout, work).await.unwrap_or_else(|_| Err(timed_out()));
    let response = outcome.unwrap_or_else(|refused| respond::respond(Err(refused), media_type, &id));
    metrics::histogram!("graphql_request_duration_seconds", "status" => response.status().as_str().to_owned())
        .record(started.elapsed().as_secs_f64());
    response
}

/// The way of a request through its stages.
async fn answer(
    edge: &Arc<Edge>,
    request: Request,
    id: &str,
    deadline: Instant,
) -> Result<Response, Refused> {
    if socket::is_asked_for(request.headers()) {
        return socket::open(edge, request).await;
    }
    let (head, body) = request.into_parts();
    // Before the body is read: a stranger's megabyte is not worth it.
    let caller = viewer::identify(edge, &head).await?;
    let source = read::source(&head, body).await?;
    let inquiry = read::inquiry(&source)?;
    let streams = Streams::accepted(&head.headers);
    let asked = Asked { caller: Arc::new(caller), id, deadline, streams: streams != Streams::Never };
    let viewer = asked.caller.viewer;
    let following = match run(edge, asked, inquiry).await {
        Ok(Outcome::Subscription(subscription)) => {
            edge.live.enter(viewer).map(|presence| (subscription, presence)).map_err(Refused::by_kind)
        }
        Ok(Outcome::Answer(answer)) if streams == Streams::Always => {
            return Ok(stream::once(edge, Ok(answer), id));
        }
        Ok(Outcome::Answer(answer)) => {
            return Ok(respond::respond(Ok(answer), MediaType::accepted(&head.headers), id));
        }
        Err(refused) => Err(refused),
    };
    match following {
        Ok((subscription, presence)) => {
            let stop = head.extensions.get::<Connection>().map(Connection::stop).unwrap_or_default();
            Ok(stream::follow(edge, Following { subscription, presence, stop }, id))
        }
        Err(refused) if streams == Streams::Always => Ok(stream::once(edge, Err(refused), id)),
        Err(refused) => Err(refused),
    }
}

/// How an operation is asked for, beside the inquiry itself.
struct Asked<'a> {
    caller: Arc<Caller>,
    /// The request's id.
    id: &'a str,
    /// When the request ends.
    deadline: Instant,
    /// Whether the answer may stream.
    streams: bool,
}

/// What an operation came to.
enum Outcome {
    Answer(Answer),
    Subscription(Subscription),
}

/// The way of an operation that was read through the other stages, whatever carries it.
async fn run(edge: &Arc<Edge>, asked: Asked<'_>, inquiry: Inquiry<'_>) -> Result<Outcome, Refused> {
    let Asked { caller, id, deadline, streams } = asked;
    let document = edge.documents.parse(&inquiry.query)?;
    let operation = check::check(edge, &document, &inquiry)?;
    if operation == OperationType::Subscription {
        if !streams {
            return Err(Refused::by_kind(not_streaming()));
        }
        let subscription = subscribe::start(edge, &document, inquiry, caller, id).await?;
        return Ok(Outcome::Subscription(subscription));
    }
    let context = caller.context(id, deadline - TIME_TO_ANSWER);
    execute::execute(edge, &document, inquiry, caller.viewer, context).await.map(Outcome::Answer)
}

fn timed_out() -> Refused {
    let refusal = Refusal::new(Kind::Timeout, "REQUEST_TIMEOUT", "the request took too long");
    Refused::by_http(StatusCode::GATEWAY_TIMEOUT, refusal)
}

fn not_streaming() -> Refusal {
    let message = "a subscription streams: ask with `Accept: text/event-stream`, or over a WebSocket";
    Refusal::new(Kind::BadInput, "SUBSCRIPTION_NEEDS_STREAM", message)
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
