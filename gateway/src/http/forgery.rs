//! What a page of another site can have a visitor's browser send without asking us first.
//!
//! That is a POST of a form or of plain text, which [`read`](super::read) does not take, and any GET, by an image, a
//! script, a link or `fetch`. A GET changes nothing, no cookie says who asks, and the page can't read the answer; but it
//! would have the visitor's address ask, inside the visitor's network. So a GET is refused where the browser says that
//! it is for a page of a site that is not listed. What is no browser says nothing of the kind, and is let in.
//!
//! A POST of JSON needs no look here: a browser asks by a preflight first.

use axum::http::{HeaderMap, HeaderName, Method, StatusCode, header, request::Parts};
use runtime::{Kind, Refusal};

use super::{headers::Origins, respond::Refused};

/// In which relation the page stands to us, told by browsers of 2023 and later, over TLS and on localhost
/// (<https://www.w3.org/TR/fetch-metadata/#sec-fetch-site-header>).
const FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Refuses what a page of a site that is not one of `origins` had a browser send.
pub(crate) fn check(origins: &Origins, head: &Parts) -> Result<(), Refused> {
    if head.method != Method::GET || is_wanted(origins, &head.headers) {
        return Ok(());
    }
    let message = "a page of another site asks for this, and its origin is not listed";
    let refusal = Refusal::new(Kind::Forbidden, "CROSS_SITE_REQUEST", message);
    Err(Refused::by_http(StatusCode::FORBIDDEN, refusal))
}

fn is_wanted(origins: &Origins, headers: &HeaderMap) -> bool {
    let origin = headers.get(header::ORIGIN);
    let listed = || origin.is_some_and(|origin| origins.have(origin));
    match headers.get(FETCH_SITE) {
        // "none": the visitor's own doing, such as a bookmark.
        Some(site) => site == "same-origin" || site == "none" || listed(),
        None => origin.is_none() || listed() || is_own(headers),
    }
}

/// Whether the page comes from the host that was asked. The scheme is not compared: what stands before us ends TLS.
fn is_own(headers: &HeaderMap) -> bool {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let place = text(header::ORIGIN).and_then(|origin| origin.split_once("://"));
    place.is_some_and(|(_, place)| text(header::HOST).is_some_and(|host| host.eq_ignore_ascii_case(place)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_taken(method: Method, headers: &[(&'static str, &str)]) -> bool {
        let mut request = axum::http::Request::builder().method(method).uri("/graphql");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let origins = Origins::new(&["https://shop.example".parse().unwrap()]);
        check(&origins, &request.body(()).unwrap().into_parts().0).is_ok()
    }

    #[test]
    fn a_get_that_a_page_of_another_site_caused_is_refused() {
        for headers in [
            &[("sec-fetch-site", "cross-site")][..],
            &[("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "no-cors"), ("sec-fetch-dest", "image")],
            &[("sec-fetch-site", "same-site")],
            &[("sec-fetch-site", "cross-site"), ("origin", "https://evil.example")],
            &[("sec-fetch-site", "cross-site"), ("origin", "null")],
            &[("origin", "https://evil.example"), ("host", "portico.example")],
            &[("origin", "https://shop.example.evil.example")],
            &[("origin", "null")],
            &[("origin", "https://portico.example:8443"), ("host", "portico.example")],
        ] {
            assert!(!is_taken(Method::GET, headers), "{headers:?}");
        }
    }

    #[test]
    fn a_get_of_our_own_page_of_a_listed_site_or_of_no_browser_is_taken() {
        for headers in [
            &[][..],
            &[("sec-fetch-mode", "cors")],
            &[("sec-fetch-site", "same-origin")],
            &[("sec-fetch-site", "none"), ("sec-fetch-mode", "navigate")],
            &[("sec-fetch-site", "cross-site"), ("origin", "https://shop.example")],
            &[("origin", "https://shop.example"), ("host", "portico.example")],
            &[("origin", "http://portico.example:8080"), ("host", "Portico.example:8080")],
        ] {
            assert!(is_taken(Method::GET, headers), "{headers:?}");
        }
    }

    #[test]
    fn a_post_is_judged_by_its_media_type_alone() {
        assert!(is_taken(
            Method::POST,
            &[("sec-fetch-site", "cross-site"), ("origin", "https://evil.example")]
        ));
    }
}
