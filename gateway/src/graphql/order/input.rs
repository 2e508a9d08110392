//! What clients say about orders.

use async_graphql::{ID, InputObject};
use proto::{common::v1::PageRequest, order::v1};
use utoipa::{IntoParams, ToSchema};

use super::OrderStatus;
use crate::graphql::scalars::Decimal;

/// Which orders are wanted; what is left out does not matter.
#[derive(InputObject, IntoParams, Default)]
#[into_params(parameter_in = Query, rename_all = "camelCase")]
pub(crate) struct OrderFilter {
    /// Only those of this user.
    #[param(value_type = Option<String>, nullable = false)]
    user_id: Option<ID>,
    /// Only those that stand there.
    #[param(inline, nullable = false)]
    status: Option<OrderStatus>,
}

impl OrderFilter {
    /// A page of these.
    pub(crate) fn into_request(self, page: PageRequest) -> v1::ListOrdersRequest {
        v1::ListOrdersRequest {
            page: Some(page),
            user_id: self.user_id.map(|id| id.0).unwrap_or_default(),
            status: self.status.map_or(v1::OrderStatus::Unspecified, Into::into).into(),
        }
    }
}

/// A line that is ordered.
#[derive(InputObject, ToSchema)]
#[schema(rename_all = "camelCase")]
struct CreateOrderItemInput {
    /// The id of the product.
    #[schema(value_type = String, example = "prod-1")]
    product_id: ID,
    /// Not used: the name is that of the product.
    product_name: Option<String>,
    /// How many, 1 to 10,000.
    #[schema(minimum = 1, maximum = 10_000)]
    quantity: i32,
    /// The price that the buyer saw; when the product costs something else by now, the order is refused.
    unit_price: Option<Decimal>,
}

/// An order that is placed.
#[derive(InputObject, ToSchema)]
#[schema(rename_all = "camelCase")]
pub(crate) struct CreateOrderInput {
    /// Where it goes, 1 to 500 characters.
    #[schema(min_length = 1, max_length = 500)]
    shipping_address: String,
    /// What the buyer wants us to know, up to 2,000 characters.
    #[schema(max_length = 2_000)]
    notes: Option<String>,
    /// The currency of all products (ISO 4217); when absent, that of the products.
    currency: Option<String>,
    /// A text of the client's own making, up to 128 characters: a repeat with the same one places no second order.
    #[schema(max_length = 128)]
    idempotency_key: Option<String>,
    /// What is ordered, 1 to 100 lines.
    #[schema(min_items = 1, max_items = 100)]
    items: Vec<CreateOrderItemInput>,
}

impl From<CreateOrderInput> for v1::CreateOrderRequest {
    fn from(input: CreateOrderInput) -> Self {
        let items = input.items.into_iter().map(|item| v1::NewOrderItem {
            product_id: item.product_id.0,
            quantity: item.quantity,
            unit_price: item.unit_price.map(|price| price.0),
        });
        Self {
            shipping_address: input.shipping_address,
            notes: input.notes.unwrap_or_default(),
            currency: input.currency.unwrap_or_default(),
            items: items.collect(),
            idempotency_key: input.idempotency_key.unwrap_or_default(),
        }
    }
}
