//! The client of a service: what every call passes on its way, the same over the network and in the process.
//!
//! From the outside in: it is written down ([`Call`]), it gets an end ([`deadline`]), and goes to one of the service's
//! processes, or to the server object. Its answer is here as a whole before anybody sees it, so all that stands here holds
//! for its last byte. No call of ours streams.

use std::{
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderValue, Request, Response};
use http_body_util::{BodyExt, Full};
use tonic::{Code, Status, body::Body};
use tower::{Service, ServiceExt};

use super::{Transport, call::Call};
use crate::{grpc::deadline, trace::rpc};

/// How long a call may take that says nothing of it.
const USUAL: (Duration, HeaderValue) = (Duration::from_secs(2), HeaderValue::from_static("2S"));

/// A client of one service. Clones share all that it knows about the service.
#[derive(Clone)]
pub struct Client(Arc<Way>);

struct Way {
    service: &'static str,
    transport: Transport,
}

impl Client {
    /// The client of `service` (its name: `order`), to which `transport` leads.
    pub fn new(service: &'static str, transport: Transport) -> Self {
        Self(Arc::new(Way { service, transport }))
    }

    async fn call(self, mut request: Request<Body>) -> Result<Response<Body>, Status> {
        let mut call = Call::begin(self.0.service, &mut request);
        let span = rpc::calling(&mut request);
        let time = deadline::requested(request.headers()).unwrap_or_else(|| {
            request.headers_mut().insert("grpc-timeout", USUAL.1);
            USUAL.0
        });
        let answer = deadline::within(Some(time), self.send(request, &mut call)).await.and_then(|sent| sent);
        let code = match &answer {
            Ok((code, _)) => *code,
            Err(status) => status.code(),
        };
        let answer = answer.map(|(_, response)| response);
        call.end(&answer, code);
        if let Some(span) = span {
            rpc::end(span, code);
        }
        answer
    }

    async fn send(&self, request: Request<Body>, call: &mut Call) -> Result<(Code, Response<Body>), Status> {
        let (mut head, body) = request.into_parts();
        // What is meant for this side does not go on.
        head.extensions.clear();
        let body: Bytes = body.collect().await?.to_bytes();
        call.record.sent_bytes = body.len();
        call.record.attempts += 1;
        let request = Request::from_parts(head, Body::new(Full::new(body)));
        whole(self.0.transport.clone().oneshot(request).await?, &mut call.record.received_bytes).await
    }
}

/// The whole answer, and what it says; `bytes` gets the size of its message.
async fn whole(answer: Response<Body>, bytes: &mut usize) -> Result<(Code, Response<Body>), Status> {
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
