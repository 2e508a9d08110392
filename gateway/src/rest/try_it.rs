//! The OpenAPI document, and a page to read it and try it. The page is whole in the binary, as the IDE is.

use std::sync::LazyLock;

use axum::{
    Router,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};

use crate::ide::{NONCE_MARK, content_security_policy, fresh_nonce};

const PAGE: &str = include_str!("../../rest/docs.html");

/// The routes `/api/v1/openapi.json` and `/api/v1/docs`. Merge it only where the IDE is wanted.
pub(super) fn router() -> Router {
    Router::new().route("/api/v1/openapi.json", get(document)).route("/api/v1/docs", get(page))
}

async fn document() -> Response {
    static DOCUMENT: LazyLock<String> = LazyLock::new(super::openapi);
    let headers = [(header::CONTENT_TYPE, "application/json"), (header::CACHE_CONTROL, "no-store")];
    (headers, DOCUMENT.as_str()).into_response()
}

async fn page() -> Response {
    let Ok(nonce) = fresh_nonce() else {
        // The system's random source is gone: a page with a guessable nonce would be worse than none.
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    };
    let headers = [
        (header::CONTENT_TYPE, "text/html; charset=utf-8".to_owned()),
        (header::CONTENT_SECURITY_POLICY, content_security_policy(&nonce)),
        (header::CACHE_CONTROL, "no-store".to_owned()),
    ];
    (headers, PAGE.replace(NONCE_MARK, &nonce)).into_response()
}
