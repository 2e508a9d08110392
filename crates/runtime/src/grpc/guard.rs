//! The guard around each service: the caller's token against the RPC's declared rule, the deadline, panics, and one
//! span and one measurement for each call; and how many it takes at once. It is the same over the network and in the process.

use std::{
    convert::Infallible,
    future::Future,
    panic::AssertUnwindSafe,
    pin::Pin,
    task::{Context, Poll},
    time::Instant,
};

use futures::FutureExt;
use http::{HeaderMap, Request, Response};
use identity::Viewer;
use metrics::Counter;
use proto::common::v1::Access;
use tonic::{Code, Status, body::Body, server::NamedService};
use tower::Service;

use super::{RoomConfig, deadline, room::Room};
use crate::{Faults, Refusal, Sessions, admin::Check, measure, trace::rpc};

/// What tonic generates for a service, and anything that behaves like it.
pub trait GrpcService:
    Service<Request<Body>, Response = Response<Body>, Error = Infallible, Future: Send + 'static>
    + NamedService
    + Clone
    + Send
    + Sync
    + 'static
{
}

impl<S> GrpcService for S where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible, Future: Send + 'static>
        + NamedService
        + Clone
        + Send
        + Sync
        + 'static
{
}

/// Makes [`Guarded`] services that let in whom `sessions` knows.
#[derive(Clone)]
pub struct Guard {
    sessions: Sessions,
    faults: Faults,
    room: Room,
}

impl Guard {
    /// A guard by these sessions.
    pub fn new(sessions: Sessions) -> Self {
        Self { sessions, faults: Faults::none(), room: Room::default() }
    }

    /// With the switches of the service.
    #[must_use]
    pub fn with_faults(mut self, faults: &Faults) -> Self {
        self.faults = faults.clone();
        self
    }

    /// With this room for calls.
    #[must_use]
    pub fn with_room(mut self, config: RoomConfig) -> Self {
        self.room = Room::new(config);
        self
    }

    /// Puts the guard around `service`.
    pub fn around<S: GrpcService>(&self, service: S) -> Guarded<S> {
        let shed = metrics::counter!("rpc_server_shed_total", "service" => service_of::<S>());
        // Counted from nothing: what appears with its first event never grew, for whoever watches it.
        shed.increment(0);
        metrics::counter!("panics_total", "where" => "rpc").increment(0);
        let Self { sessions, faults, room } = self.clone();
        Guarded { inner: service, sessions, faults, room, shed }
    }
}

/// A service with a guard around it.
#[derive(Clone)]
pub struct Guarded<S> {
    inner: S,
    sessions: Sessions,
    faults: Faults,
    room: Room,
    /// How many calls found no room.
    shed: Counter,
}

impl<S> Guarded<S> {
    /// The switches of the service.
    pub(super) fn faults(&self) -> &Faults {
        &self.faults
    }

    /// Whether calls have been refused for a while. For readiness and not for health: the process is well.
    pub(super) fn overload(&self) -> Check {
        self.room.check()
    }
}

impl<S: NamedService> NamedService for Guarded<S> {
    const NAME: &'static str = S::NAME;
}

impl<S: GrpcService> Service<Request<Body>> for Guarded<S> {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        if self.faults.is_unreachable() {
            // As a caller in the process meets it: over the network there is no connection then.
            let nobody = Status::unavailable("the service can't be reached");
            return Box::pin(std::future::ready(Ok(nobody.into_http())));
        }
        let place = match self.room.enter() {
            Ok(place) => place,
            Err(refusal) => {
                self.shed.increment(1);
                return Box::pin(std::future::ready(Ok(Status::from(refusal).into_http())));
            }
        };
        // The clone takes the place of the service that was found ready.
        let ready = self.inner.clone();
        let mut inner = std::mem::replace(&mut self.inner, ready);
        let (sessions, faults) = (self.sessions.clone(), self.faults.clone());
        let path = request.uri().path().to_owned();
        let span = rpc::serving(service_of::<S>(), &request);
        let time = deadline::requested(request.headers());
        let work = async move {
            let _place = place;
            let mut measured = Measured { path, code: Code::Cancelled, started: Instant::now() };
            let call = async {
                faults.strike().await?;
                if let Some(viewer) = admit(&sessions, &measured.path, request.headers()).await? {
                    request.extensions_mut().insert(viewer);
                }
                AssertUnwindSafe(inner.call(request)).catch_unwind().await.map_err(|_| {
                    // The panic hook has logged what and where.
                    metrics::counter!("panics_total", "where" => "rpc").increment(1);
                    Status::from(Refusal::internal("an RPC panicked"))
                })
            };
            let answer = deadline::serve(time, span.around(call)).await.and_then(|called| called);
            let response = match answer {
                Ok(Ok(response)) => response,
                Err(status) => status.into_http(),
            };
            measured.code = rpc::answered(&response);
            rpc::end(span, measured.code);
            Ok(response)
        };
        Box::pin(work)
    }
}

/// Holds the caller's token against the rule of the RPC at `path`. An RPC without a rule admits nobody; a token that
/// is sent must be good even where none is needed.
async fn admit(sessions: &Sessions, path: &str, headers: &HeaderMap) -> Result<Option<Viewer>, Status> {
    let token = headers.get("authorization").and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
    let access = proto::access(path);
    let viewer = match (access, token) {
        (Access::Unspecified, _) => return Err(Refusal::forbidden().into()),
        (_, Some(token)) => Some(sessions.viewer(token).await?),
        (Access::Public, None) => None,
        (Access::SignedIn | Access::Admin, None) => return Err(Refusal::unauthenticated().into()),
    };
    if access == Access::Admin && !viewer.is_some_and(|viewer| viewer.is_admin()) {
        return Err(Refusal::forbidden().into());
    }
    Ok(viewer)
}

/// The service that a gRPC service of ours belongs to: `order.v1.OrderService` is `order`'s.
fn service_of<S: NamedService>() -> &'static str {
    S::NAME.split('.').next().unwrap_or(S::NAME)
}

/// A call under way. It is counted and timed when it ends, also when its caller went away meanwhile.
struct Measured {
    path: String,
    code: Code,
    started: Instant,
}

impl Drop for Measured {
    fn drop(&mut self) {
        measure::rpc::SERVER.record(&self.path, self.code, self.started.elapsed());
    }
}

/// The viewer whom the guard let in.
///
/// # Errors
/// UNAUTHENTICATED where a public RPC was called without a token.
pub fn viewer<T>(request: &tonic::Request<T>) -> Result<Viewer, Refusal> {
    request.extensions().get().copied().ok_or_else(Refusal::unauthenticated)
}
