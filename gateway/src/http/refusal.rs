//! What is told of a refusal beside its body, in the graph and in REST alike.

use axum::{
    http::{HeaderValue, StatusCode, header},
    response::Response,
};
use runtime::Refusal;

use super::rate;

/// Writes the headers of an answer that is this refusal and has its status already: how to be let in, and when to come
/// back.
pub(crate) fn tell(response: &mut Response, refusal: &Refusal) {
    let unauthorized = response.status() == StatusCode::UNAUTHORIZED;
    let headers = response.headers_mut();
    if unauthorized {
        headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer error=\"invalid_token\""));
    }
    if let Some(seconds) = refusal.retry_after_seconds() {
        headers.insert(header::RETRY_AFTER, seconds.into());
        rate::tell_exceeded(headers, refusal, seconds);
    }
}
