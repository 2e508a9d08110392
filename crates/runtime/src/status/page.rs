//! The page: one file, whose policy lets nothing run but the style and the script that are in it.

use std::sync::LazyLock;

use aws_lc_rs::digest::{SHA256, digest};
use axum::{http::header, response::IntoResponse};
use base64::{Engine as _, engine::general_purpose::STANDARD};

const STYLE: &str = include_str!("../../status/status.css");
const SCRIPT: &str = include_str!("../../status/status.js");

static PAGE: LazyLock<String> = LazyLock::new(|| {
    include_str!("../../status/status.html").replace("{{style}}", STYLE).replace("{{script}}", SCRIPT)
});

/// By their hashes, as <https://www.w3.org/TR/CSP3/#script-src> has them: the page is the same for everyone.
static POLICY: LazyLock<String> = LazyLock::new(|| {
    let [style, script] = [STYLE, SCRIPT].map(|text| STANDARD.encode(digest(&SHA256, text.as_bytes())));
    format!(
        "default-src 'none'; script-src 'sha256-{script}'; style-src 'sha256-{style}'; img-src data:; \
         connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
});

pub(super) async fn page() -> impl IntoResponse {
    let headers = [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::CONTENT_SECURITY_POLICY, POLICY.as_str()),
        (header::CACHE_CONTROL, "no-cache"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
    ];
    (headers, PAGE.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_is_whole_and_names_no_other_host() {
        assert!(!PAGE.contains("{{") && !PAGE.contains("http:") && !PAGE.contains("https:"));
        assert!(PAGE.len() < 20_000, "{} bytes", PAGE.len());
        assert!(POLICY.contains("script-src 'sha256-") && !POLICY.contains("unsafe"), "{}", *POLICY);
    }
}
