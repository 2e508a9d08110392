//! A subscription: started once, and executed anew for each event, like a query.

use std::{panic::AssertUnwindSafe, sync::Arc, time::Duration};

use async_graphql::{Request, Response, Variables};
use axum::http::StatusCode;
use futures::{FutureExt, StreamExt};
use runtime::{Kind, Refusal};
use tokio::time::{Instant, timeout};

use super::{
    Edge, document::Document, execute::Answer, read::Inquiry, respond::Refused, timed_out, trace,
    viewer::Caller,
};
use crate::{
    clients::Calls,
    events::{Event, Feed, Told},
    graphql::{Occasion, Schema, Visit},
};

/// How long a subscription that starts waits for the broker to be heard at all.
const BROKER_WITHIN: Duration = Duration::from_secs(2);

/// A subscription that was started. It keeps the text and not the document, which may be a hundred times larger: the
/// parsed documents are kept for all requests, within a bound of their own.
pub(super) struct Subscription {
    edge: Arc<Edge>,
    asked: Asked,
    feed: Feed,
}

/// Who asked for what.
struct Asked {
    caller: Arc<Caller>,
    request_id: Box<str>,
    query: Box<str>,
    operation_name: Option<Box<str>>,
    variables: Variables,
}

/// What comes next in a subscription.
pub(super) enum Next {
    /// An event, as it was asked for.
    Answer(Answer),
    /// Nothing any more, and why.
    Refused(Refused),
    /// Nothing any more: the token that it runs under is not good any more, for this reason.
    Forbidden(Refusal),
    /// Nothing any more: the client does not keep up.
    TooSlow,
}

/// Starts a subscription that was checked.
pub(super) async fn start(
    edge: &Arc<Edge>,
    document: &Document,
    inquiry: Inquiry<'_>,
    caller: Arc<Caller>,
    request_id: &str,
) -> Result<Subscription, Refused> {
    let asked = Asked {
        caller,
        request_id: request_id.into(),
        query: inquiry.query.into(),
        operation_name: inquiry.operation_name.map(Into::into),
        variables: inquiry.variables,
    };
    let schema = edge.schema(document, asked.caller.viewer);
    let (visit, response) =
        asked.execute(edge, schema, document, Occasion::Start(Default::default())).await?;
    let errors = response.map(|response| response.errors).unwrap_or_default();
    let wanted = visit.occasion().wanted().filter(|_| errors.is_empty()).cloned();
    let wanted = wanted.ok_or_else(|| Refused::by_graphql(errors))?;
    document.ran();
    timeout(BROKER_WITHIN, edge.hub.listening()).await.map_err(|_| Refused::by_kind(unheard()))?;
    let feed = edge.hub.subscribe(wanted).ok_or_else(|| Refused::by_kind(missed()))?;
    Ok(Subscription { edge: edge.clone(), asked, feed })
}

impl Subscription {
    /// What comes next; waits for it. After anything but an answer it has ended.
    pub(super) async fn next(&mut self) -> Next {
        match self.feed.next().await {
            Some(Told::Event(event)) => {
                // Whoever may not ask any more may not hear either, not even in the moment before their stream ends.
                let still =
                    self.asked.caller.viewer.map_or(Ok(()), |viewer| self.edge.sessions.still(&viewer));
                if let Err(refusal) = still {
                    return Next::Forbidden(refusal);
                }
                // Boxed: it is large, and seldom there.
                let span = trace::occasion(&event.cloud, &self.asked.request_id);
                let outcome = Box::pin(span.around(self.answer(event))).await;
                trace::came_to(span, outcome.as_ref());
                outcome.map_or_else(Next::Refused, Next::Answer)
            }
            Some(Told::Missed) | None => Next::Refused(Refused::by_kind(missed())),
            Some(Told::TooSlow) => {
                metrics::counter!("slow_readers_total", "by" => "window").increment(1);
                Next::TooSlow
            }
        }
    }

    async fn answer(&self, event: Arc<Event>) -> Result<Answer, Refused> {
        let document = self.edge.documents.parse(&self.asked.query, &self.edge.limits)?;
        // It was validated at the start, with the same variables.
        let run = self.asked.execute(&self.edge, &self.edge.unvalidating, &document, Occasion::Event(event));
        let (_, response) =
            timeout(self.asked.caller.budget.whole(), run).await.map_err(|_| timed_out())??;
        response.ok_or_else(|| Refused::by_kind(Refusal::internal("an event was answered by nothing")))
    }
}

impl Asked {
    /// Runs the field on this occasion.
    async fn execute(
        &self,
        edge: &Edge,
        schema: &Schema,
        document: &Document,
        occasion: Occasion,
    ) -> Result<(Arc<Visit>, Option<Response>), Refused> {
        let context = self.caller.context(&self.request_id, Instant::now());
        let calls = Calls::new(edge.services.clone(), context, edge.rpc_timeout);
        let visit = Arc::new(Visit::new(self.caller.viewer, calls).writing(!document.repeats).on(occasion));
        let mut request = Request::new("").variables(self.variables.clone()).data(visit.clone());
        request.operation_name = self.operation_name.as_deref().map(Into::into);
        request.set_parsed_query(document.parsed.clone());
        let mut answers = schema.execute_stream(request);
        // As for a query, see `execute`.
        let run = tokio::task::unconstrained(AssertUnwindSafe(answers.next()).catch_unwind());
        let response = run.await.map_err(|_| {
            Refused::by_http(StatusCode::INTERNAL_SERVER_ERROR, Refusal::internal("a resolver panicked"))
        })?;
        Ok((visit, response))
    }
}

/// Events may be missing: the client has to read anew what it follows.
pub(super) fn missed() -> Refusal {
    let message =
        "events may have been missed: read anew what you follow, then subscribe again without `after`";
    Refusal::new(Kind::FailedPrecondition, "EVENTS_MISSED", message)
}

fn unheard() -> Refusal {
    let message = "events can't be heard at the moment; try again in a moment";
    Refusal::new(Kind::Unavailable, "EVENTS_UNAVAILABLE", message)
}
