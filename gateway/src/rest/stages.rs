//! What each request passes on its way to its route: its id, its end, who asks, and how often.

use std::{panic::AssertUnwindSafe, sync::Arc};

use axum::{
    extract::{MatchedPath, Request, State},
    http::{StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use futures::FutureExt;
use runtime::{Kind, Refusal};
use tokio::time::{Instant, timeout};

use super::answer::{self, Failure};
use crate::{
    http::{Budget, Caller, Edge, RequestId, Standing, check_forgery, identify, takes_json, timed_out},
    measure,
};

/// What the stages found out about a request.
#[derive(Clone)]
pub(super) struct Asking {
    pub(super) caller: Caller,
    /// Under which the log tells more.
    pub(super) id: RequestId,
    /// When the request began.
    pub(super) started: Instant,
}

/// The way of a request.
pub(super) async fn pass(State(edge): State<Arc<Edge>>, request: Request, next: Next) -> Response {
    let started = Instant::now();
    let id = RequestId::of_request(&request);
    let (method, path) = (request.method().clone(), request.extensions().get::<MatchedPath>().cloned());
    let mut standing = None;
    let outcome = match Budget::of(request.headers(), edge.request_timeout) {
        Ok(budget) => {
            let time = (started, budget);
            let work =
                AssertUnwindSafe(answer(&edge, request, next, &id, time, &mut standing)).catch_unwind();
            timeout(budget.whole(), work).await
        }
        Err(refusal) => Ok(Ok(Err(refusal.into()))),
    };
    let mut response = match outcome {
        Ok(Ok(Ok(response))) => response,
        Ok(Ok(Err(failure))) => failure.into_response(),
        // The panic hook has logged what and where.
        Ok(Err(_)) => Failure::from(Refusal::internal("a handler panicked")).into_response(),
        Err(_) => Failure::from(timed_out()).into_response(),
    };
    answer::finish(&mut response, id.as_str());
    // What caches may keep is not one client's.
    if response.headers().get(header::CACHE_CONTROL).is_some_and(|control| control == "no-store") {
        edge.rates.tell(response.headers_mut(), standing, None);
    }
    let path = path.as_ref().map(MatchedPath::as_str);
    measure::rest(path, &method, response.status(), started.elapsed());
    response
}

async fn answer(
    edge: &Edge,
    request: Request,
    next: Next,
    id: &RequestId,
    (started, budget): (Instant, Budget),
    standing: &mut Option<Standing>,
) -> Result<Response, Failure> {
    let _place = edge.admission.enter()?;
    let (mut head, body) = request.into_parts();
    check_forgery(&edge.origins, &head)?;
    // Before the body is read: a stranger's megabyte is not worth it.
    let caller = identify(edge, &head, budget).await?;
    *standing = edge.rates.requests(&caller, 1)?;
    if !takes_json(&head.headers) {
        let refusal = Refusal::new(Kind::BadInput, "NOT_ACCEPTABLE", "answers are application/json");
        return Err(Failure::by_http(StatusCode::NOT_ACCEPTABLE, refusal));
    }
    head.extensions.insert(Asking { caller, id: id.clone(), started });
    Ok(next.run(Request::from_parts(head, body)).await)
}

/// Nothing is here.
pub(super) async fn unknown_path() -> Failure {
    Refusal::new(Kind::NotFound, "NOT_FOUND", "there is nothing at this path").into()
}

/// Something is here, but not by this method; the router names those that there are in `Allow`.
pub(super) async fn unknown_method() -> Failure {
    let refusal = Refusal::new(Kind::BadInput, "METHOD_NOT_ALLOWED", "this path has no such method");
    Failure::by_http(StatusCode::METHOD_NOT_ALLOWED, refusal)
}
