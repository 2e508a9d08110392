//! What a call carries beside its message.

use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use tokio::time::Instant;
use tonic::{
    Request,
    metadata::{Ascii, MetadataValue},
};

use super::{Batch, CallLog};
use crate::grpc::{CLIENT_ADDRESS, REQUEST_ID};

/// In the extensions of a request that has less time than its service may take: if it runs out, that's not the service's
/// fault.
#[derive(Clone, Copy, Debug)]
pub(super) struct Hurried;

/// What every call on behalf of one client request carries: whose it is, and until when it is of use.
#[derive(Clone, Debug)]
pub struct CallContext {
    authorization: Option<MetadataValue<Ascii>>,
    request_id: Option<MetadataValue<Ascii>>,
    client_address: Option<MetadataValue<Ascii>>,
    deadline: Instant,
    log: Option<CallLog>,
    batch: Option<Batch>,
}

impl CallContext {
    /// A context whose calls end at `deadline`, for an anonymous client.
    pub fn new(deadline: Instant) -> Self {
        Self { authorization: None, request_id: None, client_address: None, deadline, log: None, batch: None }
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

    /// With a log into which each call is written.
    pub fn with_log(mut self, log: CallLog) -> Self {
        self.log = Some(log);
        self
    }

    /// The same for a call of a loader; `None` where nobody wants to know, since there is no log.
    pub fn of_batch(&self, batch: Batch) -> Option<Self> {
        self.log.as_ref().map(|_| Self { batch: Some(batch), ..self.clone() })
    }

    /// The request that carries `message` to a service, with no more time than is left or than `at_most`.
    pub fn request<T>(&self, message: T, at_most: Duration) -> Request<T> {
        let mut request = Request::new(message);
        let left = self.deadline.saturating_duration_since(Instant::now());
        request.set_timeout(left.min(at_most));
        if left < at_most {
            request.extensions_mut().insert(Hurried);
        }
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
        if let Some(log) = &self.log {
            request.extensions_mut().insert(log.clone());
            if let Some(batch) = self.batch {
                request.extensions_mut().insert(batch);
            }
        }
        request
    }
}
