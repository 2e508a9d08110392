//! `/.well-known/jwks.json`: the keys by which others verify our access tokens (RFC 7517).

use axum::{
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use runtime::Sessions;

/// A key signs no sooner than it is published, so a minute's age harms nobody.
const CACHE_CONTROL: &str = "public, max-age=60";

/// The key set; 503 until the keys are loaded, since an empty set would be kept and refuse everyone.
pub(crate) async fn jwks(State(sessions): State<Sessions>) -> Response {
    if !sessions.is_loaded() {
        return (StatusCode::SERVICE_UNAVAILABLE, [(header::CACHE_CONTROL, "no-store")]).into_response();
    }
    let headers =
        [(header::CONTENT_TYPE, "application/jwk-set+json"), (header::CACHE_CONTROL, CACHE_CONTROL)];
    (headers, identity::jwks(&sessions.keys()).to_string()).into_response()
}
