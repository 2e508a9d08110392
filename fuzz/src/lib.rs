//! A whole gateway whose services nobody reaches, for targets that send it requests.

use std::sync::LazyLock;

use axum::{Router, body::Body, http::Request};
use gateway::{App, Clients, Config};
use messaging::{Broker, Bus};
use runtime::{Clock, Sessions};
use tokio::runtime::{Builder, Runtime};
use tower::ServiceExt;

static RUNTIME: LazyLock<Runtime> =
    LazyLock::new(|| Builder::new_current_thread().enable_all().build().expect("a runtime"));

static GATEWAY: LazyLock<Router> = LazyLock::new(|| {
    let settings = [
        "gateway",
        "--environment",
        "development",
        "--rate-limits",
        "off",
        "--rpc-timeout",
        "0.1",
        "--user-grpc-url",
        "http://127.0.0.1:1",
        "--order-grpc-url",
        "http://127.0.0.1:1",
        "--payment-grpc-url",
        "http://127.0.0.1:1",
    ];
    let config: Config = runtime::config::parse(settings).expect("settings");
    let clients = Clients::connect(&config).expect("URLs");
    let sessions = Sessions::new(&config.tokens, Clock::system());
    App::build(config, clients, sessions, Broker::from(Bus::new(vec![]))).router()
});

/// Sends the request and holds what is promised of every answer: it comes, and it is no fault of ours.
pub fn ask(request: Request<Body>) {
    let _inside = RUNTIME.enter();
    let answer = RUNTIME.block_on(GATEWAY.clone().oneshot(request)).expect("an answer");
    assert_ne!(answer.status().as_u16(), 500);
}
