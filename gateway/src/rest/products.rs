//! Products: what can be ordered. They are public, and caches may keep them.

use axum::response::Response;
use proto::{common::v1::Access, order::v1};
use runtime::Refusal;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::routes;

use super::{
    answer::{Answer, Failure, Listed},
    ask::Asked,
    page,
    routes::Routes,
};
use crate::{
    clients::{answer, required},
    graphql::{Amount, DateTime},
};

pub(super) fn routes() -> Routes {
    Routes::default().with(Access::Public, routes!(list)).with(Access::Public, routes!(get))
}

/// Something that can be ordered.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct Product {
    /// Chosen by the admin who made it.
    #[schema(example = "prod-1")]
    id: String,
    name: String,
    /// What one costs.
    unit_price: Amount,
    /// The currency of its price (ISO 4217).
    #[schema(example = "USD")]
    currency: String,
    /// Whether it can be ordered and stands in the catalogue.
    active: bool,
    created_at: DateTime,
    updated_at: DateTime,
}

impl TryFrom<v1::Product> for Product {
    type Error = Refusal;

    fn try_from(product: v1::Product) -> Result<Self, Refusal> {
        Ok(Self {
            unit_price: Amount::of(product.unit_price.as_ref())?,
            currency: required(product.unit_price, "a price")?.currency,
            id: product.id,
            name: product.name,
            active: product.active,
            created_at: DateTime::of(product.created_at)?,
            updated_at: DateTime::of(product.updated_at)?,
        })
    }
}

/// Lists the catalogue, by id.
#[utoipa::path(
    get, path = "/products", tag = "products", operation_id = "listProducts",
    params(page::Wanted),
    responses(
        (status = 200, description = "A page of products", body = Listed<Product>),
        (status = 304, description = "The client has it already"),
    ),
)]
async fn list(asked: Asked) -> Result<Response, Failure> {
    let page: page::Wanted = asked.parameters()?;
    let calls = asked.calls();
    let request = v1::ListProductsRequest { page: Some(page.into()) };
    let found = answer(calls.orders().list_products(calls.request(request))).await?;
    let page = Listed::<Product>::of(found.products, found.page)?;
    Ok(asked.keep(page).await)
}

/// One product, withdrawn ones included.
#[utoipa::path(
    get, path = "/products/{id}", tag = "products", operation_id = "getProduct",
    params(("id" = String, Path, description = "The product's id", example = "prod-1")),
    responses(
        (status = 200, description = "The product", body = Answer<Product>),
        (status = 304, description = "The client has it already"),
    ),
)]
async fn get(asked: Asked) -> Result<Response, Failure> {
    asked.without_parameters()?;
    let calls = asked.calls();
    let request = v1::BatchGetProductsRequest { ids: vec![asked.path("id")] };
    let found = answer(calls.orders().batch_get_products(calls.request(request))).await?.products.pop();
    let found = found.ok_or_else(|| Refusal::not_found("product"))?;
    Ok(asked.keep(Answer::of("the product", Product::try_from(found)?)).await)
}
