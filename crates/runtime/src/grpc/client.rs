//! Clients: the transport to a service, and what each call carries.

mod replica;
mod replicas;
mod target;
#[cfg(test)]
mod tests;
mod unsent;

use std::{error::Error, time::Duration};

use secrecy::{ExposeSecret, SecretString};
use tokio::time::Instant;
use tonic::{
    Request, Status, TimeoutExpired,
    body::Body,
    metadata::{Ascii, MetadataValue},
};
use tower::{ServiceExt, util::BoxCloneSyncService};

use self::{
    replicas::Replicas,
    target::{Resolve, Target, by_the_system},
};
use super::{CLIENT_ADDRESS, Guarded, REQUEST_ID, TlsConfig, deadline, guard::GrpcService};

/// The way to a service, over the network or in the process: one type, so that no client is generic over it.
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
    // The deadline stands outside the channels, which wait for ever for a connection.
    Ok(BoxCloneSyncService::new(tower::service_fn(move |request: http::Request<Body>| {
        let replicas = replicas.clone();
        async move {
            let time = deadline::requested(request.headers());
            deadline::within(time, replicas.call(request)).await?
        }
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

/// What every call on behalf of one client request carries: whose it is, and until when it is of use.
#[derive(Clone, Debug)]
pub struct CallContext {
    authorization: Option<MetadataValue<Ascii>>,
    request_id: Option<MetadataValue<Ascii>>,
    client_address: Option<MetadataValue<Ascii>>,
    deadline: Instant,
}

impl CallContext {
    /// A context whose calls end at `deadline`, for an anonymous client.
    pub fn new(deadline: Instant) -> Self {
        Self { authorization: None, request_id: None, client_address: None, deadline }
    }

    /// With the client's access token. One that is no header value is left out; the guard refuses the call then.
    pub fn with_token(mut self, token: &SecretString) -> Self {
        self.authorization =
            format!("Bearer {}", token.expose_secret()).parse().ok().map(|mut value: MetadataValue<_>| {
                value.set_sensitive(true);
                value
            });
        self
    }

    /// With the id under which log lines of this request are found.
    pub fn with_request_id(mut self, id: &str) -> Self {
        self.request_id = id.parse().ok();
        self
    }

    /// With the client's address.
    pub fn with_client_address(mut self, address: std::net::IpAddr) -> Self {
        self.client_address = address.to_string().parse().ok();
        self
    }

    /// The request that carries `message` to a service, with no more time than is left or than `at_most`.
    pub fn request<T>(&self, message: T, at_most: Duration) -> Request<T> {
        let mut request = Request::new(message);
        request.set_timeout(self.deadline.saturating_duration_since(Instant::now()).min(at_most));
        let metadata = request.metadata_mut();
        for (name, value) in [
            ("authorization", &self.authorization),
            (REQUEST_ID, &self.request_id),
            (CLIENT_ADDRESS, &self.client_address),
        ] {
            if let Some(value) = value {
                metadata.insert(name, value.clone());
            }
        }
        request
    }
}
