//! A document is counted and answered or refused.
#![no_main]

use axum::{body::Body, http::Request};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|document: &str| {
    let body = serde_json::json!({ "query": document }).to_string();
    let request = Request::post("/graphql").header("content-type", "application/json");
    portico_fuzz::ask(request.body(Body::from(body)).expect("a request"));
});
