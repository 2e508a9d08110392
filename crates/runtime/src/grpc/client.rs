//! Clients: the transport to a service, what every call passes on its way there, and what it carries.

mod breaker;
mod bulkhead;
mod call;
mod config;
mod context;
mod log;
mod replica;
mod replicas;
mod retry;
mod stack;
mod target;
#[cfg(test)]
mod tests;
mod unsent;

use std::error::Error;

use tonic::{Status, TimeoutExpired, body::Body};
use tower::{ServiceExt, util::BoxCloneSyncService};

use self::{
    replicas::Replicas,
    target::{Resolve, Target, by_the_system},
};
use super::{Guarded, TlsConfig, guard::GrpcService};

pub use config::ClientConfig;
pub use context::CallContext;
use context::Hurried;
pub use log::{Batch, CallLog, CallRecord};
pub use stack::Client;

/// The way to a service, over the network or in the process: one type, so that no client is generic over it. It has no
/// end of its own: [`Client`] puts one to each call.
pub type Transport = BoxCloneSyncService<http::Request<Body>, http::Response<Body>, Status>;

/// The way to the service at `urls`: one such as `http://order:50052`, or `https` with what `tls` says, or several separated
/// by commas. Calls go to all addresses to which these lead, in turn. It connects when it is first used, and again when it
/// was cut, so that processes start in any order.
///
/// # Errors
/// When one of `urls` is none, or doesn't go with `tls`, naming it.
pub fn connect(urls: &str, tls: &TlsConfig) -> anyhow::Result<Transport> {
    connect_by(urls, tls, by_the_system())
}

/// The same, with names resolved by `resolve`.
fn connect_by(urls: &str, tls: &TlsConfig, resolve: Resolve) -> anyhow::Result<Transport> {
    let replicas = Replicas::new(Target::all(urls, tls)?, resolve);
    Ok(BoxCloneSyncService::new(tower::service_fn(move |request: http::Request<Body>| {
        let replicas = replicas.clone();
        async move { replicas.call(request).await }
    })))
}

/// What a failure of the channel means. The channel enforces `grpc-timeout` too, and may notice first that time is up.
fn unreached(error: &(dyn Error + 'static)) -> Status {
    let mut causes = std::iter::successors(Some(error), |cause: &&(dyn Error + 'static)| (*cause).source());
    if causes.any(|cause| cause.is::<TimeoutExpired>()) {
        return Status::deadline_exceeded("out of time");
    }
    tracing::debug!(error, "a service can't be reached");
    Status::unavailable("the service can't be reached")
}

/// The way to a service in this process. The guard around it is the same as over the network.
pub fn in_process<S: GrpcService>(service: Guarded<S>) -> Transport {
    BoxCloneSyncService::new(service.map_err(|never| match never {}))
}
