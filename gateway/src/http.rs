//! GraphQL over HTTP, one file for each stage of a request: read it, see who asks, take its parsed document, check it
//! whole, execute it, respond. What streams goes the same way: [`socket`] carries many operations on one connection,
//! [`stream`] one, and a subscription is executed anew for each event.
//!
//! What is wrong with a request as a whole is found before any of it runs. Every refusal is an answer in GraphQL's
//! form, with the id under which the log tells more.

pub(crate) mod address;
pub(crate) mod admit;
mod batch;
mod budget;
mod check;
mod coerce;
mod cost;
mod document;
mod edge;
mod execute;
mod explain;
mod forgery;
pub(crate) mod headers;
mod limits;
mod live;
mod merge;
mod negotiate;
mod persisted;
mod public;
mod rate;
mod read;
pub(crate) mod refusal;
mod respond;
mod socket;
mod stream;
mod subscribe;
pub(crate) mod trace;
mod trusted;
mod viewer;

use std::sync::Arc;

use async_graphql::parser::types::OperationType;
use axum::{
    extract::{Request, State},
    http::StatusCode,
    response::Response,
};
use runtime::{Kind, Refusal};
use tokio::time::{Instant, timeout};

use crate::{
    measure::{self, Timed},
    server::Connection,
};
use execute::Answer;
use explain::Explain;
use negotiate::{Accepted, MediaType, Streams};
use read::Inquiry;
use stream::Following;
use subscribe::Subscription;

pub(crate) use budget::Budget;
pub(crate) use edge::Edge;

pub(crate) use trusted::check as check_trusted;
pub use trusted::{
    making::{DocumentFault, DocumentFile, manifest},
    manifest::Manifest,
};

// What REST takes from here.
pub(crate) use coerce::Inputs;
pub(crate) use forgery::check as check_forgery;
pub(crate) use headers::RequestId;
pub(crate) use negotiate::takes_json;
pub(crate) use public::Keeping;
pub(crate) use rate::Standing;
pub(crate) use read::{collect, require_json};
pub(crate) use respond::Refused;
pub(crate) use viewer::{Caller, identify};

/// The header by which a client asks what its operation cost. One that is ours keeps caches away.
const TELL_COST: &str = "x-portico-cost";

/// Answers a GraphQL request.
pub(crate) async fn graphql(State(edge): State<Arc<Edge>>, request: Request) -> Response {
    let started = Instant::now();
    let (id, method) = (RequestId::of_request(&request), request.method().clone());
    let id = id.as_str();
    let accepted = Accepted::of(request.headers());
    let media_type = accepted.as_ref().map_or(MediaType::Json, |accepted| accepted.media_type);
    let outcome = match Budget::of(request.headers(), edge.request_timeout) {
        Ok(budget) => {
            let work = answer(&edge, request, accepted, id, (started, budget));
            timeout(budget.whole(), work).await.unwrap_or_else(|_| Err(timed_out()))
        }
        Err(refusal) => Err(Refused::by_budget(refusal)),
    };
    let response = outcome.unwrap_or_else(|refused| respond::respond(Err(refused), media_type, id));
    measure::graphql(&method, response.status(), started.elapsed());
    response
}

/// The way of a request through its stages.
async fn answer(
    edge: &Arc<Edge>,
    request: Request,
    accepted: Result<Accepted, Refused>,
    id: &str,
    (started, budget): (Instant, Budget),
) -> Result<Response, Refused> {
    let _place = edge.admission.enter().map_err(Refused::by_kind)?;
    if socket::is_asked_for(request.headers()) {
        return socket::open(edge, request, budget).await;
    }
    let Accepted { media_type, streams } = accepted?;
    let (head, body) = request.into_parts();
    forgery::check(&edge.origins, &head)?;
    // Before the body is read: a stranger's megabyte is not worth it.
    let caller = viewer::identify(edge, &head, budget).await?;
    let standing = edge.rates.requests(&caller, 1).map_err(Refused::by_kind)?;
    let caller = Arc::new(caller);
    let source = read::source(&head, body, edge.largest_body).await?;
    let explain = || Explain::asked(edge, &head.headers, caller.viewer, started);
    if let Some(operations) = batch::operations(&source, edge.batch)? {
        return Ok(batch::answer(edge, &caller, operations, (id, started), &explain, media_type).await);
    }
    let inquiry = read::inquiry(&source)?;
    let tells_cost = head.headers.contains_key(TELL_COST);
    let explain = explain();
    let asked = Asked { caller, id, started, streams: streams != Streams::Never, tells_cost, explain };
    let viewer = asked.caller.viewer;
    let following = match run(edge, asked, inquiry).await {
        Ok(Outcome::Subscription(subscription)) => {
            edge.live.enter(viewer).map(|presence| (subscription, presence)).map_err(Refused::by_kind)
        }
        Ok(Outcome::Answer(answer)) if streams == Streams::Always => {
            return Ok(stream::once(edge, Ok(answer), id));
        }
        Ok(Outcome::Answer(answer)) => {
            let keeping = Keeping::of(&answer, &head, edge.public_max_age);
            let mut response = respond::respond(Ok(answer), media_type, id);
            return Ok(match keeping {
                Some(keeping) => keeping.tell(response).await,
                None => {
                    edge.rates.tell(response.headers_mut(), standing, None);
                    response
                }
            });
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
    /// When the request began.
    started: Instant,
    /// Whether the answer may stream.
    streams: bool,
    /// Whether the answer says what it cost.
    tells_cost: bool,
    /// Whether it says what it came from.
    explain: Option<Explain>,
}

/// What an operation came to.
enum Outcome {
    Answer(Answer),
    Subscription(Subscription),
}

/// Runs an operation that was read, whatever carries it, and counts it.
async fn run(edge: &Arc<Edge>, asked: Asked<'_>, inquiry: Inquiry<'_>) -> Result<Outcome, Refused> {
    let mut timed = Timed::begin();
    let outcome = pass(edge, asked, inquiry, &mut timed).await;
    match &outcome {
        Ok(Outcome::Answer(answer)) => timed.ran(!answer.errors.is_empty()),
        Ok(Outcome::Subscription(_)) => timed.ran(false),
        Err(_) => timed.refused(),
    }
    outcome
}

/// The way of an operation through the other stages.
async fn pass(
    edge: &Arc<Edge>,
    asked: Asked<'_>,
    mut inquiry: Inquiry<'_>,
    timed: &mut Timed,
) -> Result<Outcome, Refused> {
    let Asked { caller, id, started, streams, tells_cost, explain } = asked;
    let found = persisted::find(edge, &mut inquiry, caller.viewer)?;
    timed.is_named(found.named.as_ref());
    let checked = check::check(edge, &found.document, &inquiry, caller.viewer)?;
    timed.is(checked.operation);
    let standing = checked.charge(edge, &caller).map_err(Refused::by_kind)?;
    let document = found.keep(edge, &inquiry.query);
    let operation = checked.operation;
    if operation == OperationType::Subscription {
        if !streams {
            return Err(Refused::by_kind(not_streaming()));
        }
        let subscription = subscribe::start(edge, &document, inquiry, caller, id).await?;
        return Ok(Outcome::Subscription(subscription));
    }
    let _change = (operation == OperationType::Mutation).then(|| edge.merge.change());
    let public = public::is_public(edge, &document, operation, &inquiry);
    let outcome = trace::operation(operation, timed.name(), async {
        // What is explained runs alone: the calls of a run that others wait for too are not its own.
        if public && explain.is_none() {
            merge::run(edge, document, inquiry, id, caller.budget).await
        } else {
            let mut context = caller.context(id, started);
            if let Some(explain) = &explain {
                context = context.with_log(explain.log());
            }
            execute::execute(edge, &document, inquiry, caller.viewer, context).await
        }
    })
    .await;
    let mut answer = public::mark(outcome?, public);
    if tells_cost {
        let told = checked.cost.told(edge.limits.most_points(), standing);
        answer.extensions.insert("cost".to_owned(), told);
    }
    if let Some(explain) = explain {
        answer.extensions.insert("trace".to_owned(), explain.told());
    }
    Ok(Outcome::Answer(answer))
}

pub(crate) fn timed_out() -> Refused {
    let refusal = Refusal::new(Kind::Timeout, "REQUEST_TIMEOUT", "the request took too long");
    Refused::by_http(StatusCode::GATEWAY_TIMEOUT, refusal)
}

fn not_streaming() -> Refusal {
    let message = "a subscription streams: ask with `Accept: text/event-stream`, or over a WebSocket";
    Refusal::new(Kind::BadInput, "SUBSCRIPTION_NEEDS_STREAM", message)
}

/// Says that nothing is here, in the form of every other refusal.
pub(crate) async fn unknown_path(request: Request) -> Response {
    let id = RequestId::of_request(&request);
    let refusal =
        Refusal::new(Kind::NotFound, "NOT_FOUND", "there is nothing at this path; the graph is at /graphql");
    respond::respond(Err(Refused::by_http(StatusCode::NOT_FOUND, refusal)), MediaType::Json, id.as_str())
}
