//! The operations that are under way on a socket.

use std::{collections::HashMap, sync::Arc};

use futures::{
    Stream, StreamExt,
    future::ready,
    stream::{self, AbortHandle, BoxStream, SelectAll, abortable},
};
use runtime::{Kind, Refusal};
use serde_json::value::RawValue;
use tokio::time::{Instant, timeout};
use uuid::Uuid;

use crate::http::{
    Asked, Edge, Outcome, read,
    respond::{self, Refused},
    run, subscribe,
    subscribe::Subscription,
    timed_out, trace,
    viewer::Caller,
};

/// How much all operations of a socket may have been asked with, in bytes: a subscription keeps what it was asked with.
const MOST_ASKED: usize = 512 * 1024;

/// The operations that are under way.
#[derive(Default)]
pub(super) struct Operations {
    running: SelectAll<BoxStream<'static, (Arc<str>, Output)>>,
    open: HashMap<Arc<str>, Open>,
    asked: usize,
}

struct Open {
    abort: AbortHandle,
    asked: usize,
}

/// What comes of an operation.
#[derive(Debug)]
pub(super) enum Output {
    Next(Box<RawValue>),
    /// It ends with these errors.
    Error(Box<RawValue>),
    Complete,
    /// The token that it runs under is not good any more: the socket ends.
    Forbidden,
    /// It has more events than the client takes: the socket ends.
    TooSlow,
}

impl Operations {
    /// Whether one with this id is under way.
    pub(super) fn has(&self, id: &str) -> bool {
        self.open.contains_key(id)
    }

    /// Begins one.
    ///
    /// # Errors
    /// The errors to answer with when there are `most` already.
    pub(super) fn begin(&mut self, id: &str, operation: Operation, most: usize) -> Result<(), Box<RawValue>> {
        let asked = operation.payload.get().len();
        if self.open.len() >= most || self.asked + asked > MOST_ASKED {
            let message = "the socket has too many operations under way; complete one first";
            let refusal = Refusal::new(Kind::RateLimited, "TOO_MANY_OPERATIONS", message);
            return Err(respond::errors(Refused::by_kind(refusal), &operation.request_id));
        }
        let id: Arc<str> = id.into();
        let (outputs, abort) = abortable(operation.outputs());
        let name = id.clone();
        self.running.push(outputs.map(move |output| (name.clone(), output)).boxed());
        self.open.insert(id, Open { abort, asked });
        self.asked += asked;
        metrics::gauge!("graphql_socket_operations").increment(1);
        Ok(())
    }

    /// Ends one, if it is under way.
    pub(super) fn end(&mut self, id: &str) {
        if let Some(Open { abort, asked }) = self.open.remove(id) {
            abort.abort();
            self.asked -= asked;
            metrics::gauge!("graphql_socket_operations").decrement(1);
        }
    }

    /// What comes next of any of them; `None` when none is under way.
    pub(super) async fn next(&mut self) -> Option<(Arc<str>, Output)> {
        let (id, output) = self.running.next().await?;
        if !matches!(output, Output::Next(_)) {
            self.end(&id);
        }
        Some((id, output))
    }
}

impl Drop for Operations {
    fn drop(&mut self) {
        metrics::gauge!("graphql_socket_operations").decrement(self.open.len() as f64);
    }
}

/// An operation that a client asked for.
pub(super) struct Operation {
    edge: Arc<Edge>,
    caller: Arc<Caller>,
    payload: Box<RawValue>,
    request_id: String,
}

/// Where an operation stands.
enum Stage {
    Asked(Operation),
    /// Boxed: what an idle subscription costs is counted in bytes.
    Following(Box<Subscription>, String),
    Answered,
    Over,
}

impl Operation {
    /// The operation of this payload of `subscribe`.
    pub(super) fn new(edge: Arc<Edge>, caller: Arc<Caller>, payload: Box<RawValue>) -> Self {
        Self { edge, caller, payload, request_id: Uuid::now_v7().to_string() }
    }

    /// Whether the payload has the form that the protocol asks for.
    pub(super) fn is_well_formed(&self) -> bool {
        read::posted(self.payload.get().as_bytes()).is_ok()
    }

    fn outputs(self) -> impl Stream<Item = Output> + Send + 'static {
        let outputs = stream::unfold(Stage::Asked(self), |stage| async {
            match stage {
                // Boxed, since it is large and soon over.
                Stage::Asked(operation) => Some(Box::pin(operation.answer()).await),
                Stage::Following(mut subscription, id) => {
                    let output = output(subscription.next().await, &id);
                    let over = !matches!(output, Output::Next(_));
                    Some((Some(output), if over { Stage::Over } else { Stage::Following(subscription, id) }))
                }
                Stage::Answered => Some((Some(Output::Complete), Stage::Over)),
                Stage::Over => None,
            }
        });
        outputs.filter_map(ready)
    }

    /// What it comes to at first: of a subscription nothing yet.
    async fn answer(self) -> (Option<Output>, Stage) {
        let Self { edge, caller, payload, request_id } = self;
        let (started, budget) = (Instant::now(), caller.budget);
        let work = async {
            let _place = edge.admission.enter().map_err(Refused::by_kind)?;
            edge.rates.requests(&caller, 1).map_err(Refused::by_kind)?;
            let inquiry = read::posted(payload.get().as_bytes())?;
            let (id, explain) = (&*request_id, None);
            let asked = Asked { caller, id, started, streams: true, tells_cost: false, explain };
            run(&edge, asked, inquiry).await
        };
        let span = trace::message(&request_id);
        let outcome = span.around(timeout(budget.whole(), work)).await.unwrap_or_else(|_| Err(timed_out()));
        match &outcome {
            Ok(Outcome::Answer(answer)) => trace::came_to(span, Ok(answer)),
            Ok(Outcome::Subscription(_)) => span.end(),
            Err(refused) => trace::came_to(span, Err(refused)),
        }
        match outcome {
            Ok(Outcome::Answer(answer)) => {
                (Some(Output::Next(respond::payload(Ok(answer), &request_id))), Stage::Answered)
            }
            Ok(Outcome::Subscription(subscription)) => {
                (None, Stage::Following(Box::new(subscription), request_id))
            }
            Err(refused) => (Some(Output::Error(respond::errors(refused, &request_id))), Stage::Over),
        }
    }
}

fn output(next: subscribe::Next, request_id: &str) -> Output {
    match next {
        subscribe::Next::Answer(answer) => Output::Next(respond::payload(Ok(answer), request_id)),
        subscribe::Next::Refused(refused) => Output::Error(respond::errors(refused, request_id)),
        subscribe::Next::Forbidden(_) => Output::Forbidden,
        subscribe::Next::TooSlow => Output::TooSlow,
    }
}
