//! Answers as server-sent events: graphql-sse in its "distinct connections mode", one stream for each operation
//! (<https://github.com/graphql/graphql-over-http/blob/main/rfcs/GraphQLOverSSE.md>).

use std::convert::Infallible;

use axum::{
    http::{HeaderName, HeaderValue, header},
    response::{
        IntoResponse, Response,
        sse::{Event, KeepAlive, Sse},
    },
};
use futures::{Stream, stream};
use runtime::Stop;
use serde_json::value::RawValue;

use super::{
    Edge,
    execute::Answer,
    live::Presence,
    respond::{self, Refused},
    subscribe::{Next, Subscription},
};

/// The stream of a subscription. It ends without `complete` when this process stops, so that the client comes back.
pub(super) struct Following {
    pub(super) subscription: Subscription,
    pub(super) presence: Presence,
    pub(super) stop: Stop,
}

/// What is left to be sent.
enum Stage {
    Following(Box<Following>),
    /// One answer, and then the end.
    Last(Box<RawValue>),
    Complete,
    Over,
}

/// One answer as a stream.
pub(super) fn once(edge: &Edge, outcome: Result<Answer, Refused>, request_id: &str) -> Response {
    respond(edge, Stage::Last(respond::payload(outcome, request_id)), request_id)
}

/// A subscription as a stream.
pub(super) fn follow(edge: &Edge, following: Following, request_id: &str) -> Response {
    respond(edge, Stage::Following(Box::new(following)), request_id)
}

fn respond(edge: &Edge, stage: Stage, request_id: &str) -> Response {
    let alive = KeepAlive::new().interval(edge.streams.keepalive);
    let mut response = Sse::new(events(stage, request_id.to_owned())).keep_alive(alive).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    // nginx would hold events back until they fill a buffer.
    headers.insert(HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no"));
    response
}

fn events(stage: Stage, request_id: String) -> impl Stream<Item = Result<Event, Infallible>> {
    stream::unfold((stage, request_id), |(stage, request_id)| async {
        let (payload, stage) = match stage {
            Stage::Following(mut following) => {
                let outcome = following.next().await?;
                let stage = if outcome.is_ok() { Stage::Following(following) } else { Stage::Complete };
                (respond::payload(outcome, &request_id), stage)
            }
            Stage::Last(payload) => (payload, Stage::Complete),
            Stage::Complete => return Some((Ok(complete()), (Stage::Over, request_id))),
            Stage::Over => return None,
        };
        let next = Event::default().event("next").data(payload.get());
        Some((Ok(next), (stage, request_id)))
    })
}

/// With some data, since browsers leave out an event that has none.
fn complete() -> Event {
    Event::default().event("complete").data("null")
}

impl Following {
    /// The next answer, or why there is none any more; `None` when this process stops.
    async fn next(&mut self) -> Option<Result<Answer, Refused>> {
        let next = tokio::select! {
            biased;
            () = self.stop.cancelled() => return None,
            refusal = self.presence.ended() => Next::Forbidden(refusal),
            next = self.subscription.next() => next,
        };
        match next {
            Next::Answer(answer) => Some(Ok(answer)),
            Next::Refused(refused) => Some(Err(refused)),
            Next::Forbidden(refusal) => Some(Err(Refused::by_kind(refusal))),
            // It has ended for a client that reads now: what it misses, it can read.
            Next::TooSlow => Some(Err(Refused::by_kind(super::subscribe::missed()))),
        }
    }
}
