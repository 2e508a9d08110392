//! Routes and who may use them. A route cannot be added without its rule, which stands in the document too.

use std::sync::Arc;

use axum::{
    Router,
    extract::Request,
    middleware::{Next, from_fn},
    response::{IntoResponse, Response},
};
use proto::common::v1::Access;
use utoipa_axum::router::{OpenApiRouter, UtoipaMethodRouter};

use super::{answer::Failure, openapi, stages::Asking};
use crate::{graphql::admits, http::Edge};

/// Routes below the root of REST.
#[derive(Default)]
pub(super) struct Routes(OpenApiRouter<Arc<Edge>>);

impl Routes {
    /// Adds a route for those whom `access` admits; nobody else reaches its handler.
    pub(super) fn with(
        self,
        access: Access,
        (schemas, mut paths, methods): UtoipaMethodRouter<Arc<Edge>>,
    ) -> Self {
        openapi::complete(&mut paths, access);
        let methods = methods.route_layer(from_fn(move |request, next| hold(access, request, next)));
        Self(self.0.routes((schemas, paths, methods)))
    }

    /// These and others.
    pub(super) fn and(self, others: Self) -> Self {
        Self(self.0.merge(others.0))
    }

    pub(super) fn into_router(self) -> Router<Arc<Edge>> {
        self.0.into()
    }

    pub(super) fn into_document(self) -> utoipa::openapi::OpenApi {
        self.0.into_openapi()
    }
}

/// Holds the caller against the rule of the route.
async fn hold(access: Access, request: Request, next: Next) -> Response {
    let viewer = request.extensions().get::<Asking>().and_then(|asking| asking.caller.viewer);
    match admits(access, viewer) {
        Ok(()) => next.run(request).await,
        Err(refusal) => Failure::from(refusal).into_response(),
    }
}
