//! A request is read and answered or refused: as the body of a POST, as the parameters of a GET, and by REST.
#![no_main]

use axum::{body::Body, http::Request};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    for path in ["/graphql", "/api/v1/users/login"] {
        let request = Request::post(path).header("content-type", "application/json");
        portico_fuzz::ask(request.body(Body::from(bytes.to_vec())).expect("a request"));
    }
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    for path in ["/graphql", "/api/v1/products"] {
        // What is no URL does not come this far.
        if let Ok(request) = Request::get(format!("{path}?{text}")).body(Body::empty()) {
            portico_fuzz::ask(request);
        }
    }
});
