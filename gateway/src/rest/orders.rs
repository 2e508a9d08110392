//! Orders and their items.

use async_graphql::InputObject;
use proto::{common::v1::Access, order::v1};
use runtime::Refusal;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::routes;

use super::{
    answer::{Answer, Failure, Listed, Nothing, Outcome},
    ask::{Asked, Repeatable},
    page,
    routes::Routes,
};
use crate::{
    clients::{Calls, answer, required},
    graphql::{Amount, CreateOrderInput, DateTime, OrderFilter, OrderStatus},
};

pub(super) fn routes() -> Routes {
    Routes::default()
        .with(Access::SignedIn, routes!(create))
        .with(Access::SignedIn, routes!(list))
        .with(Access::SignedIn, routes!(list_mine))
        .with(Access::SignedIn, routes!(get))
        .with(Access::Admin, routes!(update_status))
        .with(Access::SignedIn, routes!(cancel))
        .with(Access::SignedIn, routes!(delete))
}

/// An order.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct Order {
    #[schema(format = "uuid")]
    id: String,
    /// Who placed it.
    #[schema(format = "uuid")]
    user_id: String,
    status: OrderStatus,
    /// The sum over the items of quantity times unit price.
    total_amount: Amount,
    /// The currency of all its prices (ISO 4217).
    #[schema(example = "USD")]
    currency: String,
    shipping_address: String,
    /// What the buyer wants us to know.
    notes: String,
    /// What was ordered, in the order in which it was given.
    items: Vec<OrderItem>,
    created_at: DateTime,
    updated_at: DateTime,
}

/// A line of an order; name and price as they were when it was placed.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct OrderItem {
    product_id: String,
    product_name: String,
    quantity: i32,
    unit_price: Amount,
}

impl TryFrom<v1::Order> for Order {
    type Error = Refusal;

    fn try_from(order: v1::Order) -> Result<Self, Refusal> {
        Ok(Self {
            status: order.status().try_into()?,
            total_amount: Amount::of(order.total.as_ref())?,
            currency: required(order.total, "a total")?.currency,
            id: order.id,
            user_id: order.user_id,
            shipping_address: order.shipping_address,
            notes: order.notes,
            items: order.items.into_iter().map(OrderItem::try_from).collect::<Result<_, _>>()?,
            created_at: DateTime::of(order.created_at)?,
            updated_at: DateTime::of(order.updated_at)?,
        })
    }
}

impl TryFrom<v1::OrderItem> for OrderItem {
    type Error = Refusal;

    fn try_from(item: v1::OrderItem) -> Result<Self, Refusal> {
        Ok(Self {
            unit_price: Amount::of(item.unit_price.as_ref())?,
            product_id: item.product_id,
            product_name: item.product_name,
            quantity: item.quantity,
        })
    }
}

fn order(order: Option<v1::Order>) -> Result<Order, Refusal> {
    required(order, "an order")?.try_into()
}

/// Places an order. All prices are those of the products.
#[utoipa::path(
    post, path = "/orders", tag = "orders", operation_id = "createOrder",
    params(Repeatable), request_body = CreateOrderInput,
    responses((status = 201, description = "The order", body = Answer<Order>)),
)]
async fn create(mut asked: Asked) -> Outcome<Order> {
    let input: CreateOrderInput = asked.input().await?;
    let mut request = v1::CreateOrderRequest::from(input);
    request.idempotency_key = asked.key(request.idempotency_key)?;
    let calls = asked.calls();
    let placed = answer(calls.orders().create_order(calls.request(request))).await?;
    Ok(Answer::made("the order was placed", order(placed.order)?))
}

/// Which page of which orders.
#[derive(InputObject)]
#[graphql(name = "OrderListParameters")]
pub(super) struct List {
    #[graphql(flatten)]
    page: page::Wanted,
    #[graphql(flatten)]
    filter: OrderFilter,
}

/// Lists the orders that the viewer may see, the newest first.
#[utoipa::path(
    get, path = "/orders", tag = "orders", operation_id = "listOrders",
    params(OrderFilter, page::Wanted),
    responses((status = 200, description = "A page of orders", body = Listed<Order>)),
)]
async fn list(asked: Asked) -> Result<Listed<Order>, Failure> {
    let List { page, filter } = asked.parameters()?;
    page_of(asked.calls(), filter.into_request(page.into())).await
}

/// Lists the viewer's own orders, the newest first.
#[utoipa::path(
    get, path = "/orders/my-orders", tag = "orders", operation_id = "listMyOrders",
    params(page::Wanted),
    responses((status = 200, description = "A page of orders", body = Listed<Order>)),
)]
async fn list_mine(asked: Asked) -> Result<Listed<Order>, Failure> {
    let page: page::Wanted = asked.parameters()?;
    let mut request = OrderFilter::default().into_request(page.into());
    request.user_id = asked.viewer()?.user_id.to_string();
    page_of(asked.calls(), request).await
}

async fn page_of(calls: &Calls, request: v1::ListOrdersRequest) -> Result<Listed<Order>, Failure> {
    let found = answer(calls.orders().list_orders(calls.request(request))).await?;
    Listed::of(found.orders, found.page)
}

/// One order: one's own, or anyone's for an admin.
#[utoipa::path(
    get, path = "/orders/{id}", tag = "orders", operation_id = "getOrder",
    params(("id" = String, Path, description = "The order's id")),
    responses((status = 200, description = "The order", body = Answer<Order>)),
)]
async fn get(asked: Asked) -> Outcome<Order> {
    asked.without_parameters()?;
    let calls = asked.calls();
    let request = v1::BatchGetOrdersRequest { ids: vec![asked.path("id")] };
    let found = answer(calls.orders().batch_get_orders(calls.request(request))).await?.orders.pop();
    let found = found.ok_or_else(|| Refusal::not_found("order"))?;
    Ok(Answer::of("the order", found.try_into()?))
}

/// Where an order is to stand.
#[derive(InputObject, ToSchema)]
#[graphql(name = "OrderStatusInput")]
#[schema(as = OrderStatusInput)]
pub(super) struct StatusInput {
    status: OrderStatus,
}

/// Moves an order on. For admins.
#[utoipa::path(
    patch, path = "/orders/{id}/status", tag = "orders", operation_id = "updateOrderStatus",
    params(("id" = String, Path, description = "The order's id")), request_body = StatusInput,
    responses((status = 200, description = "The order", body = Answer<Order>)),
)]
async fn update_status(mut asked: Asked) -> Outcome<Order> {
    let StatusInput { status } = asked.input().await?;
    let request =
        v1::UpdateOrderStatusRequest { id: asked.path("id"), status: v1::OrderStatus::from(status).into() };
    let calls = asked.calls();
    let moved = answer(calls.orders().update_order_status(calls.request(request))).await?;
    Ok(Answer::of("the order was moved on", order(moved.order)?))
}

/// Cancels an order that is PENDING or CONFIRMED; what was paid is given back.
#[utoipa::path(
    post, path = "/orders/{id}/cancel", tag = "orders", operation_id = "cancelOrder",
    params(("id" = String, Path, description = "The order's id")),
    responses((status = 200, description = "The order", body = Answer<Order>)),
)]
async fn cancel(asked: Asked) -> Outcome<Order> {
    asked.without_parameters()?;
    let calls = asked.calls();
    let request = v1::CancelOrderRequest { id: asked.path("id") };
    let cancelled = answer(calls.orders().cancel_order(calls.request(request))).await?;
    Ok(Answer::of("the order was cancelled", order(cancelled.order)?))
}

/// Deletes an order that is CANCELLED or DELIVERED.
#[utoipa::path(
    delete, path = "/orders/{id}", tag = "orders", operation_id = "deleteOrder",
    params(("id" = String, Path, description = "The order's id")),
    responses((status = 200, description = "It is gone", body = Answer<Nothing>)),
)]
async fn delete(asked: Asked) -> Outcome<Nothing> {
    asked.without_parameters()?;
    let calls = asked.calls();
    let request = v1::DeleteOrderRequest { id: asked.path("id") };
    answer(calls.orders().delete_order(calls.request(request))).await?;
    Ok(Answer::done("the order was deleted"))
}
