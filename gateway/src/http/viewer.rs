//! Who asks: the access token of the request, judged once, and what every call in its name carries.

use axum::http::{HeaderMap, header, request::Parts};
use identity::Viewer;
use runtime::{Kind, Refusal, grpc::CallContext};
use secrecy::SecretString;
use tokio::time::Instant;

use super::{Edge, respond::Refused};
use crate::server::Peer;

/// The viewer of the request, `None` without a token, and the context of its calls. A token that is sent must be good,
/// even where none is needed: a client whose token ran out is told so at once.
pub(super) async fn identify(
    edge: &Edge,
    head: &Parts,
    request_id: &str,
    deadline: Instant,
) -> Result<(Option<Viewer>, CallContext), Refused> {
    let mut context = CallContext::new(deadline).with_request_id(request_id);
    if let Some(Peer(address)) = head.extensions.get() {
        context = context.with_client_address(address.ip());
    }
    let Some(token) = token(&head.headers)? else { return Ok((None, context)) };
    let viewer = edge.sessions.viewer(token).await.map_err(Refused::by_kind)?;
    Ok((Some(viewer), context.with_token(&SecretString::from(token))))
}

/// The token in the one `Authorization: Bearer` header (RFC 6750, section 2.1).
fn token(headers: &HeaderMap) -> Result<Option<&str>, Refused> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let Some(value) = values.next() else { return Ok(None) };
    let token = value.to_str().ok().and_then(|text| {
        let (scheme, token) = text.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then_some(token.trim())
    });
    match (token, values.next()) {
        (Some(token), None) => Ok(Some(token)),
        _ => {
            let message = "the Authorization header must be one `Bearer` and an access token";
            Err(Refused::by_kind(Refusal::new(Kind::Unauthenticated, "TOKEN_INVALID", message)))
        }
    }
}
