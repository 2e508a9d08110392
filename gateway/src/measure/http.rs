//! HTTP requests by route, method and status.

use std::{
    collections::HashMap,
    sync::{LazyLock, OnceLock},
    time::Duration,
};

use axum::http::{Method, StatusCode};
use metrics::Histogram;

/// The methods that are told apart; the conventions name the others so.
pub(super) const METHODS: [&str; 8] = ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "_OTHER"];
/// The statuses that we answer with.
const STATUSES: [u16; 23] = [
    101, 200, 201, 204, 304, 400, 401, 403, 404, 405, 406, 409, 410, 413, 415, 422, 426, 429, 431, 500, 502,
    503, 504,
];
const OTHER: &str = "_OTHER";

/// Where the graph is; its alias is counted with it.
const GRAPH: &str = "/graphql";

static GRAPHQL: LazyLock<Route> = LazyLock::new(|| Route::new(GRAPH.to_owned()));
/// By the path as the router has it.
static REST: LazyLock<HashMap<String, Route>> = LazyLock::new(|| {
    let routes = crate::rest::paths().into_iter();
    routes.chain([OTHER.to_owned()]).map(|path| (path.clone(), Route::new(path))).collect()
});

/// The values of the label `http_route`.
pub(super) fn routes() -> Vec<String> {
    [GRAPH, OTHER].map(str::to_owned).into_iter().chain(crate::rest::paths()).collect()
}

/// The values of the label `http_response_status_code`.
pub(super) fn statuses() -> Vec<String> {
    STATUSES.iter().map(u16::to_string).chain([OTHER.to_owned()]).collect()
}

/// Counts and times a request to the graph.
pub(crate) fn graphql(method: &Method, status: StatusCode, took: Duration) {
    GRAPHQL.record(method, status, took);
}

/// Counts and times a request to the route of REST that the router has as `path`, if it found any.
pub(crate) fn rest(path: Option<&str>, method: &Method, status: StatusCode, took: Duration) {
    if let Some(route) = path.and_then(|path| REST.get(path)).or_else(|| REST.get(OTHER)) {
        route.record(method, status, took);
    }
}

/// A route, with a handle for each method and status, made when it is first used.
struct Route {
    path: String,
    handles: [[OnceLock<Histogram>; STATUSES.len() + 1]; METHODS.len()],
}

impl Route {
    fn new(path: String) -> Self {
        Self { path, handles: Default::default() }
    }

    fn record(&self, method: &Method, status: StatusCode, took: Duration) {
        let method = METHODS.iter().position(|name| *name == method.as_str()).unwrap_or(METHODS.len() - 1);
        let status = STATUSES.binary_search(&status.as_u16()).unwrap_or(STATUSES.len());
        let handle = self.handles[method][status].get_or_init(|| {
            metrics::histogram!(
                "http_server_request_duration_seconds",
                "http_request_method" => METHODS[method],
                "http_route" => self.path.clone(),
                "http_response_status_code" => STATUSES.get(status).map_or(OTHER.to_owned(), u16::to_string)
            )
        });
        handle.record(took.as_secs_f64());
    }
}
