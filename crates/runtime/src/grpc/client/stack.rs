//! The client of a service: what every call passes on its way, the same over the network and in the process.
//!
//! From the outside in: it is written down ([`Call`]), the [breaker](super::breaker) lets it pass, it gets an
//! [end](deadline), a [place](super::bulkhead), [repeats](super::retry) where it is safe to repeat, and goes to one of the
//! service's processes, or to the server object. The breaker stands before the places, so that it refuses at once while calls
//! that hang hold all of them, and outside of the end, so that it hears of calls that ran out of time.
//!
//! An answer is here as a whole before anybody sees it, so all of this holds for its last byte. No call of ours streams.

use std::{
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderValue, Request, Response, request::Parts};
use http_body_util::{BodyExt, Full};
use tokio::time::{Instant, sleep};
use tonic::{Code, Status, body::Body};
use tower::{Service, ServiceExt};

use super::{
    ClientConfig, Hurried, Transport,
    breaker::{Breaker, Verdict},
    bulkhead::Bulkhead,
    call::Call,
    retry::Retries,
};
use crate::{grpc::deadline, trace::rpc};

/// How long a call may take that says nothing of it.
const USUAL: (Duration, HeaderValue) = (Duration::from_secs(2), HeaderValue::from_static("2S"));

/// An answer with what it says.
type Answer = (Code, Response<Body>);

/// A client of one service. Clones share all that it knows about the service.
#[derive(Clone)]
pub struct Client(Arc<Way>);

struct Way {
    service: &'static str,
    transport: Transport,
    retries: Retries,
    limits: Option<(Breaker, Bulkhead)>,
}

impl Client {
    /// The client of `service` (its name: `order`), to which `transport` leads. A process has one for each service that it
    /// calls for others.
    pub fn new(service: &'static str, transport: Transport, config: &ClientConfig) -> Self {
        let limits = (Breaker::new(service, config), Bulkhead::new(service, config));
        Self::with(service, transport, Some(limits))
    }

    /// The same without breaker and bulkhead: for calls that the process itself lives on, which are few and come again by
    /// themselves, and which nobody else may delay.
    pub fn vital(service: &'static str, transport: Transport) -> Self {
        Self::with(service, transport, None)
    }

    fn with(service: &'static str, transport: Transport, limits: Option<(Breaker, Bulkhead)>) -> Self {
        Self(Arc::new(Way { service, transport, retries: Retries::new(service), limits }))
    }

    async fn call(self, mut request: Request<Body>) -> Result<Response<Body>, Status> {
        let mut call = Call::begin(self.0.service, &mut request);
        let span = rpc::calling(&mut request);
        let answer = self.0.passed(request, &mut call).await;
        let code = code(&answer);
        let answer = answer.map(|(_, response)| response);
        call.end(&answer, code);
        if let Some(span) = span {
            rpc::end(span, code);
        }
        answer
    }
}

impl Way {
    async fn passed(&self, mut request: Request<Body>, call: &mut Call) -> Result<Answer, Status> {
        let Some((breaker, _)) = &self.limits else { return self.in_time(request, call).await };
        let pass = breaker.enter(call.record.started)?;
        let hurried = request.extensions_mut().remove::<Hurried>().is_some();
        let answer = self.in_time(request, call).await;
        // What never left says nothing of the service.
        let sent = call.record.attempts > 0;
        pass.tell(if sent { Verdict::of(code(&answer), hurried) } else { Verdict::Neither });
        if hurried { deadline::of_request(answer) } else { answer }
    }

    async fn in_time(&self, mut request: Request<Body>, call: &mut Call) -> Result<Answer, Status> {
        let time = deadline::requested(request.headers()).unwrap_or_else(|| {
            request.headers_mut().insert("grpc-timeout", USUAL.1);
            USUAL.0
        });
        let end = call.record.started + time;
        let work = async {
            let _place = match &self.limits {
                Some((_, bulkhead)) => Some(bulkhead.enter().await?),
                None => None,
            };
            self.repeated(request, end, call).await
        };
        deadline::within(Some(time), work).await.and_then(|worked| worked)
    }

    async fn repeated(
        &self,
        request: Request<Body>,
        end: Instant,
        call: &mut Call,
    ) -> Result<Answer, Status> {
        let (mut head, body) = request.into_parts();
        // What is meant for this side does not go on.
        head.extensions.clear();
        let body: Bytes = body.collect().await?.to_bytes();
        call.record.sent_bytes = body.len();
        if !proto::is_repeatable(head.uri.path()) {
            let answer = self.sent(head, body, call).await;
            self.retries.pause(&answer, call.record.attempts, false);
            return answer;
        }
        loop {
            let answer = self.sent(head.clone(), body.clone(), call).await;
            match self.retries.pause(&answer, call.record.attempts, true) {
                Some(pause) if Instant::now() + pause < end => {
                    self.retries.count();
                    sleep(pause).await;
                }
                _ => return answer,
            }
        }
    }

    async fn sent(&self, head: Parts, body: Bytes, call: &mut Call) -> Result<Answer, Status> {
        call.record.attempts += 1;
        let request = Request::from_parts(head, Body::new(Full::new(body)));
        whole(self.transport.clone().oneshot(request).await?, &mut call.record.received_bytes).await
    }
}

/// What was answered.
fn code(answer: &Result<Answer, Status>) -> Code {
    answer.as_ref().map_or_else(Status::code, |(code, _)| *code)
}

/// The whole answer, and what it says; `bytes` gets the size of its message.
async fn whole(answer: Response<Body>, bytes: &mut usize) -> Result<Answer, Status> {
    let (head, body) = answer.into_parts();
    if let Some(code) = head.headers.get("grpc-status") {
        return Ok((Code::from_bytes(code.as_bytes()), Response::from_parts(head, body)));
    }
    *bytes = 0;
    let counted = body.map_frame(|frame| {
        *bytes += frame.data_ref().map_or(0, Bytes::len);
        frame
    });
    let body = counted.collect().await?;
    let code = body.trailers().and_then(|trailers| trailers.get("grpc-status"));
    let code = code.map_or(Code::Unknown, |code| Code::from_bytes(code.as_bytes()));
    Ok((code, Response::from_parts(head, Body::new(body))))
}

impl Service<Request<Body>> for Client {
    type Response = Response<Body>;
    type Error = Status;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Status>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Status>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        Box::pin(self.clone().call(request))
    }
}

#[cfg(test)]
mod tests;
