//! REST at `/api/v1`, for clients that have no GraphQL: the same services, rules and limits as the graph.
//!
//! One file for each entity holds its types, its handlers and the rule of each route. A request passes the [`stages`],
//! then its route's rule, then its handler, which reads what it carries as the graph reads its inputs, and calls the
//! services. The document of [`mod@openapi`] is made out of the same types and routes.

mod answer;
mod ask;
mod openapi;
mod orders;
mod page;
mod payments;
mod products;
mod routes;
mod scalars;
mod stages;
mod try_it;
mod users;

use std::sync::Arc;

use axum::{Router, middleware::from_fn_with_state};

use crate::http::Edge;
use routes::Routes;

pub use openapi::document as openapi;

/// Where it is.
const ROOT: &str = "/api/v1";

/// The routes of all entities.
fn routes() -> Routes {
    Routes::default()
        .and(users::routes())
        .and(products::routes())
        .and(orders::routes())
        .and(payments::routes())
}

/// The paths of all routes, as the router has them.
pub(crate) fn paths() -> Vec<String> {
    routes().into_document().paths.paths.into_keys().map(|path| format!("{ROOT}{path}")).collect()
}

/// REST, whole. `shows_page` adds the document and a page to try it.
pub(crate) fn router(edge: Arc<Edge>, shows_page: bool) -> Router {
    let router = routes()
        .into_router()
        .fallback(stages::unknown_path)
        .method_not_allowed_fallback(stages::unknown_method)
        .layer(from_fn_with_state(edge.clone(), stages::pass))
        .with_state(edge);
    let router = Router::new().nest(ROOT, router);
    if shows_page { router.merge(try_it::router()) } else { router }
}
