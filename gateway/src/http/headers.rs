//! What every answer carries, whatever part of the gateway gave it: the request's id, what a browser may do with it, and
//! which pages of other sites may read it.

use std::{collections::HashSet, time::Duration};

use axum::{
    Router,
    extract::{Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, Method, header},
    middleware::{Next, from_fn_with_state},
    response::Response,
};
use runtime::trace::is_request_id;
use tower_http::cors::{AllowHeaders, AllowOrigin, CorsLayer};
use uuid::Uuid;

use super::trace;
use crate::config::{Origin, RequestConfig};

/// The header that names a request, in both directions.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// How the client came to what stands before us.
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// Said by every answer that does not say otherwise for itself, as the IDE does: JSON needs nothing of a browser.
const ALWAYS: [(HeaderName, HeaderValue); 5] = [
    (
        header::CONTENT_SECURITY_POLICY,
        HeaderValue::from_static(
            "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
        ),
    ),
    (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    (header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY")),
    (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    // A page of another site can't even have it as an image; CORS is asked apart from this.
    (HeaderName::from_static("cross-origin-resource-policy"), HeaderValue::from_static("same-origin")),
];

/// How long a browser may take a preflight's answer for the next one's; they keep none longer.
const PREFLIGHT_KEPT: Duration = Duration::from_secs(2 * 60 * 60);

/// The headers of answers that pages of listed sites may read.
const EXPOSED: [HeaderName; 9] = [
    REQUEST_ID,
    header::RETRY_AFTER,
    HeaderName::from_static("ratelimit"),
    HeaderName::from_static("ratelimit-policy"),
    header::ETAG,
    header::LOCATION,
    header::ALLOW,
    header::WWW_AUTHENTICATE,
    HeaderName::from_static("x-cache-status"),
];

/// The id under which logs tell of a request, here and in the services. It is an extension of every request.
#[derive(Clone, Debug)]
pub(crate) struct RequestId(HeaderValue);

impl RequestId {
    /// The client's own id of the request when it is well formed, else a new one. It ends up in logs, so it must not be
    /// able to hold anything else.
    fn of(headers: &HeaderMap) -> Self {
        match headers.get(REQUEST_ID).filter(|id| is_request_id(id)) {
            Some(id) => Self(id.clone()),
            None => {
                let mut text = Uuid::encode_buffer();
                let text = Uuid::now_v7().hyphenated().encode_lower(&mut text);
                Self(HeaderValue::from_str(text).unwrap_or_else(|_| HeaderValue::from_static("none")))
            }
        }
    }

    /// Of a request that came through [`dress`].
    pub(crate) fn of_request(request: &Request) -> Self {
        request.extensions().get::<Self>().cloned().unwrap_or_else(|| Self::of(request.headers()))
    }

    /// Its text.
    pub(crate) fn as_str(&self) -> &str {
        // Well formed: ASCII.
        self.0.to_str().unwrap_or_default()
    }
}

/// The origins of other sites whose pages may ask and read.
#[derive(Clone, Debug, Default)]
pub(crate) struct Origins(HashSet<HeaderValue>);

impl Origins {
    pub(crate) fn new(origins: &[Origin]) -> Self {
        Self(origins.iter().filter_map(|origin| HeaderValue::from_str(origin.as_str()).ok()).collect())
    }

    /// Whether this is one of them.
    pub(crate) fn have(&self, origin: &HeaderValue) -> bool {
        self.0.contains(origin)
    }
}

/// Puts what every answer carries around all routes, those that are not there included.
pub(crate) fn dress(router: Router, config: &RequestConfig) -> Router {
    let hsts =
        (config.hsts > 0).then(|| HeaderValue::from_str(&format!("max-age={}", config.hsts)).ok()).flatten();
    let router = match config.cors_origins.as_slice() {
        [] => router,
        origins => router.layer(cors(&Origins::new(origins))),
    };
    router.layer(from_fn_with_state(hsts, answer))
}

/// Without credentials: who asks is said by a token, never by a cookie.
fn cors(origins: &Origins) -> CorsLayer {
    CorsLayer::new()
        .allow_origin(AllowOrigin::list(origins.0.iter().cloned()))
        .allow_methods([Method::GET, Method::POST, Method::PATCH, Method::DELETE])
        .allow_headers(AllowHeaders::mirror_request())
        .expose_headers(EXPOSED)
        .max_age(PREFLIGHT_KEPT)
        .vary([header::ORIGIN])
}

async fn answer(State(hsts): State<Option<HeaderValue>>, mut request: Request, next: Next) -> Response {
    let id = RequestId::of(request.headers());
    let over_tls = request.headers().get(FORWARDED_PROTO).is_some_and(|proto| proto == "https");
    request.extensions_mut().insert(id.clone());
    let span = trace::request(&request, id.0.clone());
    let mut response = span.around(next.run(request)).await;
    trace::answered(span, &response);
    let headers = response.headers_mut();
    headers.insert(REQUEST_ID, id.0);
    for (name, value) in ALWAYS {
        headers.entry(name).or_insert(value);
    }
    // A browser takes no notice of it over plain HTTP (RFC 6797, section 8.1), so who claims TLS fools nobody else.
    if let Some(hsts) = hsts.filter(|_| over_tls) {
        headers.insert(header::STRICT_TRANSPORT_SECURITY, hsts);
    }
    response
}
