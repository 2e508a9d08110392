//! The GraphQL IDE at `/`, whole inside the binary.
//!
//! It owns the page of `gateway/ide/` and the names under which its files are served. It guarantees that the
//! page works without any other host: a Content-Security-Policy with a fresh nonce per answer lets it load its
//! own scripts and reach its own origin, nothing else. A file's name carries the hash of its bytes, so a
//! browser may keep it for ever and still gets a new binary's files at once.

use std::collections::HashMap;
use std::sync::LazyLock;

use aws_lc_rs::{digest, rand};
use axum::Router;
use axum::extract::Path;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

const JAVASCRIPT: &str = "text/javascript; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const SVG: &str = "image/svg+xml";

/// What `index.html` carries where an answer's nonce belongs.
const NONCE_MARK: &str = "{{nonce}}";

/// A file of `gateway/ide/`: the name that `index.html` calls it by, its media type, its bytes.
struct Asset {
    name: &'static str,
    content_type: &'static str,
    bytes: &'static [u8],
}

const ASSETS: [Asset; 10] = [
    Asset { name: "react.js", content_type: JAVASCRIPT, bytes: include_bytes!("../ide/vendor/react.js") },
    Asset {
        name: "react-dom.js",
        content_type: JAVASCRIPT,
        bytes: include_bytes!("../ide/vendor/react-dom.js"),
    },
    Asset {
        name: "graphiql.js",
        content_type: JAVASCRIPT,
        bytes: include_bytes!("../ide/vendor/graphiql.js"),
    },
    Asset { name: "graphiql.css", content_type: CSS, bytes: include_bytes!("../ide/vendor/graphiql.css") },
    Asset { name: "examples.js", content_type: JAVASCRIPT, bytes: include_bytes!("../ide/examples.js") },
    Asset { name: "follow.js", content_type: JAVASCRIPT, bytes: include_bytes!("../ide/follow.js") },
    Asset { name: "session.js", content_type: JAVASCRIPT, bytes: include_bytes!("../ide/session.js") },
    Asset { name: "ide.js", content_type: JAVASCRIPT, bytes: include_bytes!("../ide/ide.js") },
    Asset { name: "ide.css", content_type: CSS, bytes: include_bytes!("../ide/ide.css") },
    Asset { name: "portico.svg", content_type: SVG, bytes: include_bytes!("../ide/portico.svg") },
];

/// The page with its files' names filled in, and the files by those names.
struct Site {
    page: String,
    files: HashMap<String, &'static Asset>,
}

static SITE: LazyLock<Site> = LazyLock::new(|| {
    let mut page = include_str!("../ide/index.html").to_owned();
    let mut files = HashMap::new();
    for asset in &ASSETS {
        let file = hashed_name(asset);
        page = page.replace(&format!("{{{{{}}}}}", asset.name), &format!("/ide/{file}"));
        files.insert(file, asset);
    }
    Site { page, files }
});

/// The routes `/` and `/ide/{file}`. Merge it only where the IDE is wanted: in production it is off.
pub(crate) fn router<S: Clone + Send + Sync + 'static>() -> Router<S> {
    Router::new().route("/", get(page)).route("/ide/{file}", get(file))
}

async fn page() -> Response {
    with_nonce(&SITE.page)
}

/// This page with a nonce of its own, and the policy by which only what carries it runs.
pub(crate) fn with_nonce(page: &str) -> Response {
    let Ok(nonce) = fresh_nonce() else {
        // The system's random source is gone: a page with a guessable nonce would be worse than none.
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    };
    let headers = [
        (header::CONTENT_TYPE, "text/html; charset=utf-8".to_owned()),
        (header::CONTENT_SECURITY_POLICY, content_security_policy(&nonce)),
        // A kept page would bring a nonce back, and the names of an older binary's files.
        (header::CACHE_CONTROL, "no-store".to_owned()),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff".to_owned()),
        (header::REFERRER_POLICY, "no-referrer".to_owned()),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin".to_owned()),
    ];
    (headers, page.replace(NONCE_MARK, &nonce)).into_response()
}

async fn file(Path(file): Path<String>) -> Response {
    let Some(asset) = SITE.files.get(&file) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static(asset.content_type)),
        (header::CACHE_CONTROL, HeaderValue::from_static("public, max-age=31536000, immutable")),
        (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    ];
    (headers, asset.bytes).into_response()
}

/// `ide.js` becomes `ide-0123456789abcdef.js`: the first 8 bytes of the SHA-256 of what it holds.
fn hashed_name(asset: &Asset) -> String {
    let hash = digest::digest(&digest::SHA256, asset.bytes);
    let hash: String = hash.as_ref().iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    match asset.name.rsplit_once('.') {
        Some((stem, extension)) => format!("{stem}-{hash}.{extension}"),
        None => format!("{}-{hash}", asset.name),
    }
}

/// 128 random bits, as <https://www.w3.org/TR/CSP3/#security-nonces> asks for.
fn fresh_nonce() -> Result<String, aws_lc_rs::error::Unspecified> {
    let mut bytes = [0; 16];
    rand::fill(&mut bytes)?;
    Ok(STANDARD.encode(bytes))
}

/// Styles carry the nonce as well, because GraphiQL's dialogs add a style element; `data:` images are the
/// editor's underlines. `connect-src 'self'` covers WebSockets of the same origin.
fn content_security_policy(nonce: &str) -> String {
    format!(
        "default-src 'none'; script-src 'nonce-{nonce}'; style-src 'self' 'nonce-{nonce}'; \
         img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use axum::http::Request;
    use http_body_util::BodyExt as _;
    use tower::ServiceExt as _;

    use super::*;

    async fn get(path: &str) -> (StatusCode, axum::http::HeaderMap, Vec<u8>) {
        let request = Request::get(path).body(Body::empty()).unwrap();
        let (head, body) = router::<()>().oneshot(request).await.unwrap().into_parts();
        (head.status, head.headers, body.collect().await.unwrap().to_bytes().to_vec())
    }

    async fn get_page() -> (String, String) {
        let (status, headers, body) = get("/").await;
        assert_eq!(status, StatusCode::OK);
        let policy = headers[header::CONTENT_SECURITY_POLICY].to_str().unwrap().to_owned();
        (policy, String::from_utf8(body).unwrap())
    }

    /// The values of every `attribute="..."` in the page.
    fn attributes<'a>(page: &'a str, attribute: &str) -> Vec<&'a str> {
        let start = format!(" {attribute}=\"");
        page.split(&start).skip(1).filter_map(|rest| rest.split('"').next()).collect()
    }

    #[tokio::test]
    async fn every_script_carries_the_nonce_of_the_answers_own_policy() {
        let (policy, page) = get_page().await;
        let nonces = attributes(&page, "nonce");
        assert_eq!(nonces.len(), page.matches("<script").count());
        assert!(
            nonces.iter().all(|nonce| policy.contains(&format!("script-src 'nonce-{nonce}';"))),
            "{policy}"
        );
    }

    #[tokio::test]
    async fn two_answers_never_share_a_nonce() {
        let (first, second) = (get_page().await.1, get_page().await.1);
        assert_ne!(attributes(&first, "nonce")[0], attributes(&second, "nonce")[0]);
    }

    #[tokio::test]
    async fn every_file_that_the_page_names_is_served_to_be_kept_for_ever() {
        let (_, page) = get_page().await;
        let files = [attributes(&page, "src"), attributes(&page, "href")].concat();
        assert!(files.len() > ASSETS.len(), "{files:?}"); // the logo is named twice
        for file in files {
            let (status, headers, body) = get(file).await;
            assert_eq!(status, StatusCode::OK, "{file}");
            assert_eq!(headers[header::CACHE_CONTROL], "public, max-age=31536000, immutable", "{file}");
            assert_eq!(headers[header::X_CONTENT_TYPE_OPTIONS], "nosniff", "{file}");
            assert!(!body.is_empty(), "{file}");
        }
    }

    #[tokio::test]
    async fn the_page_leaves_no_mark_unfilled_and_names_no_other_host() {
        let (_, page) = get_page().await;
        assert!(!page.contains("{{") && !page.contains("//"), "{page}");
    }

    #[tokio::test]
    async fn a_name_without_its_hash_or_with_another_is_not_found() {
        for file in ["/ide/ide.js", "/ide/ide-0000000000000000.js", "/ide/", "/ide/..%2f..%2fCargo.toml"] {
            assert_eq!(get(file).await.0, StatusCode::NOT_FOUND, "{file}");
        }
    }

    #[test]
    fn the_files_stay_under_two_megabytes() {
        let bytes: usize = ASSETS.iter().map(|asset| asset.bytes.len()).sum();
        assert!(bytes < 2_000_000, "{bytes} bytes");
    }
}
