//! Who asks: the access token of the request, judged once, and what every call in its name carries.

use std::net::IpAddr;

use axum::http::{HeaderMap, header, request::Parts};
use identity::Viewer;
use runtime::{Kind, Refusal, grpc::CallContext};
use secrecy::SecretString;
use tokio::time::Instant;

use super::{Budget, Edge, respond::Refused};

/// Who asks.
#[derive(Clone)]
pub(crate) struct Caller {
    /// Whom the token stands for; `None` without a token.
    pub(crate) viewer: Option<Viewer>,
    /// How long what they ask for may take.
    pub(super) budget: Budget,
    token: Option<SecretString>,
    address: Option<IpAddr>,
}

/// The caller of the request. A token that is sent must be good, even where none is needed: a client whose token ran
/// out is told so at once.
pub(crate) async fn identify(edge: &Edge, head: &Parts, budget: Budget) -> Result<Caller, Refused> {
    let address = edge.proxies.client(head);
    let caller = Caller { viewer: None, budget, token: None, address };
    let known = match token(&head.headers) {
        Ok(Some(token)) => caller.with_token(edge, token).await.map_err(Refused::by_kind),
        Ok(None) => Ok(caller),
        Err(refused) => Err(refused),
    };
    if known.is_err() {
        edge.rates.stranger(address).map_err(Refused::by_kind)?;
    }
    known
}

impl Caller {
    /// The same client with this access token, if it is good.
    pub(super) async fn with_token(self, edge: &Edge, token: &str) -> Result<Self, Refusal> {
        let viewer = edge.sessions.viewer(token).await?;
        Ok(Self { viewer: Some(viewer), token: Some(SecretString::from(token)), ..self })
    }

    /// The client's address; `None` where the request did not come over the network.
    pub(super) fn address(&self) -> Option<IpAddr> {
        self.address
    }

    /// What the calls of one request in this name carry, which has this id and began at `started`.
    pub(crate) fn context(&self, request_id: &str, started: Instant) -> CallContext {
        let until = self.budget.calls_until(started);
        let mut context = CallContext::new(until).with_request_id(request_id);
        if let Some(address) = self.address {
            context = context.with_client_address(address);
        }
        match &self.token {
            Some(token) => context.with_token(token),
            None => context,
        }
    }
}

/// The token in the one `Authorization: Bearer` header (RFC 6750, section 2.1).
fn token(headers: &HeaderMap) -> Result<Option<&str>, Refused> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let Some(value) = values.next() else { return Ok(None) };
    match (value.to_str().ok().and_then(bearer), values.next()) {
        (Some(token), None) => Ok(Some(token)),
        _ => Err(Refused::by_kind(malformed())),
    }
}

/// The token in `Bearer TOKEN`.
pub(super) fn bearer(text: &str) -> Option<&str> {
    let (scheme, token) = text.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(token.trim())
}

/// The refusal of an authorization that is none.
fn malformed() -> Refusal {
    let message = "the Authorization header must be one `Bearer` and an access token";
    Refusal::new(Kind::Unauthenticated, "TOKEN_INVALID", message)
}
