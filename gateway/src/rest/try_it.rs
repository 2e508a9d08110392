//! The OpenAPI document, and a page to read it and try it. The page is whole in the binary, as the IDE is.

use std::sync::LazyLock;

use axum::{
    Router,
    http::header,
    response::{IntoResponse, Response},
    routing::get,
};

use crate::ide;

const PAGE: &str = include_str!("../../rest/docs.html");

/// The routes `/api/v1/openapi.json` and `/api/v1/docs`. Merge it only where the IDE is wanted.
pub(super) fn router() -> Router {
    let page = get(async || ide::with_nonce(PAGE));
    Router::new().route("/api/v1/openapi.json", get(document)).route("/api/v1/docs", page)
}

async fn document() -> Response {
    static DOCUMENT: LazyLock<String> = LazyLock::new(super::openapi);
    let headers = [(header::CONTENT_TYPE, "application/json"), (header::CACHE_CONTROL, "no-store")];
    (headers, DOCUMENT.as_str()).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_script_and_style_of_the_page_carries_the_nonce_and_nothing_is_inline_elsewhere() {
        let marked = PAGE.matches(r#" nonce="{{nonce}}">"#).count();
        assert_eq!(PAGE.matches("<script").count() + PAGE.matches("<style").count(), marked);
        assert!(!PAGE.contains(" style=") && !PAGE.contains(" onclick=") && !PAGE.contains("//"), "{PAGE}");
    }
}
