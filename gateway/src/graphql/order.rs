//! Orders and their items.

mod events;
mod input;

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
};

use async_graphql::{Context, Enum, ID, Object};
use futures::future::{BoxFuture, try_join_all};
use proto::{common::v1::Access, order::v1};
use runtime::Refusal;
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::{
    Visit,
    entity::{Entity, Fields, Link, Rows, Told, at_hand},
    json::told_by_name,
    loader::{Fetched, Loader, Source},
    page::{self, DEFAULT_LIMIT, Page},
    payment::{self, Payment},
    product::{self, Product},
    rules::Rules,
    scalars::{Amount, DateTime, Id},
    user::{self, User},
};
use crate::clients::{Calls, answer, required};

pub(super) use events::OrderSubscription;
pub(crate) use input::{CreateOrderInput, OrderFilter};

pub(super) const RULES: Rules = &[
    ("order", Access::SignedIn),
    ("orders", Access::SignedIn),
    ("myOrders", Access::SignedIn),
    ("createOrder", Access::SignedIn),
    ("cancelOrder", Access::SignedIn),
    ("updateOrderStatus", Access::Admin),
    ("deleteOrder", Access::SignedIn),
    ("orderStatusChanged", Access::SignedIn),
];

/// Where an order stands: PENDING, CONFIRMED, SHIPPED, DELIVERED one after the other; CANCELLED from the first two.
#[derive(Enum, Serialize, ToSchema, Clone, Copy, PartialEq, Eq)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(crate) enum OrderStatus {
    /// Placed, not yet paid.
    Pending,
    /// Paid.
    Confirmed,
    /// On its way.
    Shipped,
    /// Arrived.
    Delivered,
    /// Called off; what was paid is given back.
    Cancelled,
}

told_by_name!(OrderStatus);

impl From<OrderStatus> for v1::OrderStatus {
    fn from(status: OrderStatus) -> Self {
        match status {
            OrderStatus::Pending => Self::Pending,
            OrderStatus::Confirmed => Self::Confirmed,
            OrderStatus::Shipped => Self::Shipped,
            OrderStatus::Delivered => Self::Delivered,
            OrderStatus::Cancelled => Self::Cancelled,
        }
    }
}

impl TryFrom<v1::OrderStatus> for OrderStatus {
    type Error = Refusal;

    fn try_from(status: v1::OrderStatus) -> Result<Self, Refusal> {
        match status {
            v1::OrderStatus::Pending => Ok(Self::Pending),
            v1::OrderStatus::Confirmed => Ok(Self::Confirmed),
            v1::OrderStatus::Shipped => Ok(Self::Shipped),
            v1::OrderStatus::Delivered => Ok(Self::Delivered),
            v1::OrderStatus::Cancelled => Ok(Self::Cancelled),
            v1::OrderStatus::Unspecified => {
                Err(Refusal::internal("a service answered an unknown order status"))
            }
        }
    }
}

/// An order.
pub(super) type Order = Entity<OrderFields>;

/// The fields of an order.
pub(super) struct OrderFields(Arc<v1::Order>);

impl From<Arc<v1::Order>> for Order {
    fn from(order: Arc<v1::Order>) -> Self {
        Self(OrderFields(order))
    }
}

impl From<v1::Order> for Order {
    fn from(order: v1::Order) -> Self {
        Arc::new(order).into()
    }
}

/// An order.
#[Object(name = "Order")]
impl OrderFields {
    /// Its id, a UUID.
    fn id(&self) -> Id<'_> {
        Id(&self.0.id)
    }

    /// The id of the user who placed it.
    fn user_id(&self) -> Id<'_> {
        Id(&self.0.user_id)
    }

    /// Who placed it. Null when the account was deleted.
    async fn user(&self, context: &Context<'_>) -> Option<Result<User, Refusal>> {
        user::by_id(Visit::of(context), &self.0.user_id).await.transpose()
    }

    /// Where it stands.
    fn status(&self) -> Result<OrderStatus, Refusal> {
        self.0.status().try_into()
    }

    /// The sum over the items of quantity times unit price.
    fn total_amount(&self) -> Result<Amount, Refusal> {
        Amount::of(self.0.total.as_ref())
    }

    /// The currency of all its prices (ISO 4217), such as "USD".
    fn currency(&self) -> Result<&str, Refusal> {
        Ok(&required(self.0.total.as_ref(), "a total")?.currency)
    }

    /// Where it goes.
    fn shipping_address(&self) -> &str {
        &self.0.shipping_address
    }

    /// What the buyer wants us to know.
    fn notes(&self) -> &str {
        &self.0.notes
    }

    /// What was ordered, in the order in which it was given.
    fn items(&self) -> Rows<OrderItem<'_>> {
        self.0.items.iter().map(|item| Entity(OrderItemFields(item))).collect()
    }

    /// Its payment. Null in the moment after it was placed.
    async fn payment(&self, context: &Context<'_>) -> Option<Result<Payment, Refusal>> {
        payment::by_order(Visit::of(context), &self.0.id).await.transpose()
    }

    /// When it was placed.
    fn created_at(&self) -> Result<DateTime, Refusal> {
        DateTime::of(self.0.created_at)
    }

    /// When it was last changed.
    fn updated_at(&self) -> Result<DateTime, Refusal> {
        DateTime::of(self.0.updated_at)
    }
}

impl Fields for OrderFields {
    at_hand! {
        "id" => id, "userId" => user_id, "status" => status, "totalAmount" => total_amount, "currency" => currency,
        "shippingAddress" => shipping_address, "notes" => notes, "createdAt" => created_at, "updatedAt" => updated_at,
    }

    fn follow<'a>(link: &Link<'a, Self>) -> Option<BoxFuture<'a, Told>> {
        match link.name() {
            "user" => Some(user::followed(link, |order| &order.0.user_id)),
            "payment" => Some(payment::followed(link, |order| &order.0.id)),
            _ => None,
        }
    }
}

/// A line of an order.
type OrderItem<'a> = Entity<OrderItemFields<'a>>;

/// The fields of a line of an order.
pub(super) struct OrderItemFields<'a>(&'a v1::OrderItem);

/// A line of an order; name and price as they were when it was placed.
#[Object(name = "OrderItem")]
impl OrderItemFields<'_> {
    /// The id of the product.
    fn product_id(&self) -> Id<'_> {
        Id(&self.0.product_id)
    }

    /// The product's name when the order was placed.
    fn product_name(&self) -> &str {
        &self.0.product_name
    }

    /// How many.
    fn quantity(&self) -> i32 {
        self.0.quantity
    }

    /// What one cost when the order was placed.
    fn unit_price(&self) -> Result<Amount, Refusal> {
        Amount::of(self.0.unit_price.as_ref())
    }

    /// The product as it is now.
    async fn product(&self, context: &Context<'_>) -> Option<Result<Product, Refusal>> {
        product::by_id(Visit::of(context), &self.0.product_id).await.transpose()
    }
}

impl Fields for OrderItemFields<'_> {
    at_hand! {
        "productId" => product_id, "productName" => product_name, "quantity" => quantity, "unitPrice" => unit_price,
    }

    fn follow<'a>(link: &Link<'a, Self>) -> Option<BoxFuture<'a, Told>> {
        (link.name() == "product").then(|| product::followed(link, |item| &item.0.product_id))
    }
}

/// The loaders of orders.
#[derive(Default)]
pub(super) struct Loaders {
    by_id: Loader<ById>,
    by_user: Loader<ByUser>,
}

impl Loaders {
    pub(super) async fn clear(&self) {
        self.by_id.clear().await;
        self.by_user.clear().await;
    }
}

struct ById;

impl Source for ById {
    const NAME: &'static str = "orders_by_id";

    type Key = Uuid;
    type Value = v1::Order;

    async fn fetch(calls: &Calls, keys: &[Uuid]) -> Fetched<Self> {
        let ids = keys.iter().map(Uuid::to_string).collect();
        let found =
            answer(calls.orders().batch_get_orders(calls.request(v1::BatchGetOrdersRequest { ids }))).await?;
        Ok(found.orders.into_iter().filter_map(|order| Some((order.id.parse().ok()?, order))).collect())
    }
}

/// The newest orders of a user, by the user's id and how many. Each number that a query asks for is a call: a query
/// asks for as many numbers as it has fields with different ones.
struct ByUser;

impl Source for ByUser {
    const NAME: &'static str = "orders_by_user";
    const EDGE: Option<(&'static str, &'static str)> = Some(("User", "orders"));

    type Key = (Uuid, i32);
    type Value = Vec<Arc<v1::Order>>;

    async fn fetch(calls: &Calls, keys: &[Self::Key]) -> Fetched<Self> {
        let limits: BTreeSet<i32> = keys.iter().map(|(_, limit)| *limit).collect();
        let calls = limits.into_iter().map(|limit| {
            let users = keys.iter().filter(move |key| key.1 == limit).map(|(user, _)| user.to_string());
            newest_by_user(calls, users.collect(), limit)
        });
        Ok(try_join_all(calls).await?.into_iter().flatten().collect())
    }
}

async fn newest_by_user(
    calls: &Calls,
    user_ids: Vec<String>,
    limit: i32,
) -> Result<HashMap<(Uuid, i32), Vec<Arc<v1::Order>>>, Refusal> {
    let request = v1::BatchListOrdersByUsersRequest { user_ids, limit };
    let found = answer(calls.orders().batch_list_orders_by_users(calls.request(request))).await?;
    let mut by_user = HashMap::<_, Vec<_>>::new();
    for order in found.orders {
        if let Ok(user) = order.user_id.parse() {
            by_user.entry((user, limit)).or_default().push(Arc::new(order));
        }
    }
    Ok(by_user)
}

/// The order with this id, if there is one that the viewer may see.
pub(super) async fn by_id(visit: &Visit, id: &str) -> Result<Option<Order>, Refusal> {
    visit.viewer()?;
    let Ok(id) = id.parse() else { return Ok(None) };
    Ok(visit.orders.by_id.load(visit.calls(), id).await?.map(Order::from))
}

/// The order of each row, by the id that the row has.
pub(super) fn followed<'a, T: Fields>(link: &Link<'a, T>, id: fn(&T) -> &str) -> BoxFuture<'a, Told> {
    link.to::<ById, OrderFields>(
        |visit| visit.viewer().map(|_| &visit.orders.by_id),
        |row| id(row).parse().ok(),
    )
}

/// The newest orders of a user, of those that the viewer may see.
pub(super) async fn newest_of(visit: &Visit, user: &str, limit: i32) -> Result<Option<Rows<Order>>, Refusal> {
    visit.viewer()?;
    let Ok(user) = user.parse() else { return Ok(None) };
    let orders = visit.orders.by_user.load(visit.calls(), (user, limit)).await?;
    Ok(Some(orders.iter().flat_map(|orders| orders.iter().cloned().map(Order::from)).collect()))
}

/// The fields of `Query` about orders.
#[derive(Default)]
pub(super) struct OrderQuery;

#[Object]
impl OrderQuery {
    /// One order: one's own, or anyone's for an admin. Null when there is none.
    async fn order(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "The order's id.")] id: ID,
    ) -> Option<Result<Order, Refusal>> {
        by_id(Visit::of(context), &id).await.transpose()
    }

    /// All orders that the viewer may see, the newest first.
    async fn orders(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "Which of them.")] filter: Option<OrderFilter>,
        #[graphql(default_with = "Some(DEFAULT_LIMIT)", desc = "How many, 1 to 100.")] limit: Option<i32>,
        #[graphql(desc = "The endCursor of the page before.")] after: Option<String>,
    ) -> Option<Result<Page<Order>, Refusal>> {
        let request = filter.unwrap_or_default().into_request(page::request(context, limit, after));
        Some(list(Visit::of(context).calls(), request).await)
    }

    /// The viewer's own orders, the newest first.
    async fn my_orders(
        &self,
        context: &Context<'_>,
        #[graphql(default_with = "Some(DEFAULT_LIMIT)", desc = "How many, 1 to 100.")] limit: Option<i32>,
        #[graphql(desc = "The endCursor of the page before.")] after: Option<String>,
    ) -> Option<Result<Page<Order>, Refusal>> {
        let visit = Visit::of(context);
        let viewer = match visit.viewer() {
            Ok(viewer) => viewer,
            Err(refusal) => return Some(Err(refusal)),
        };
        let request = v1::ListOrdersRequest {
            user_id: viewer.user_id.to_string(),
            ..OrderFilter::default().into_request(page::request(context, limit, after))
        };
        Some(list(visit.calls(), request).await)
    }

    #[graphql(entity)]
    async fn find_order_by_id(&self, context: &Context<'_>, id: ID) -> Option<Result<Order, Refusal>> {
        by_id(Visit::of(context), &id).await.transpose()
    }
}

async fn list(calls: &Calls, request: v1::ListOrdersRequest) -> Result<Page<Order>, Refusal> {
    let found = answer(calls.orders().list_orders(calls.request(request))).await?;
    Ok(Page::new(found.orders, found.page))
}

/// The fields of `Mutation` about orders.
#[derive(Default)]
pub(super) struct OrderMutation;

#[Object]
impl OrderMutation {
    /// Places an order. All prices are those of the products.
    async fn create_order(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "The order.")] input: CreateOrderInput,
    ) -> Result<Order, Refusal> {
        let calls = Visit::of(context).calls();
        let placed = answer(calls.orders().create_order(calls.request(input.into()))).await?;
        Ok(required(placed.order, "an order")?.into())
    }

    /// Cancels an order that is PENDING or CONFIRMED; what was paid is given back.
    async fn cancel_order(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "The order's id.")] id: ID,
    ) -> Result<Order, Refusal> {
        let calls = Visit::of(context).calls();
        let cancelled =
            answer(calls.orders().cancel_order(calls.request(v1::CancelOrderRequest { id: id.0 }))).await?;
        Ok(required(cancelled.order, "an order")?.into())
    }

    /// Moves an order on. For admins.
    async fn update_order_status(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "The order's id.")] id: ID,
        #[graphql(desc = "Where it is to stand.")] status: OrderStatus,
    ) -> Result<Order, Refusal> {
        let calls = Visit::of(context).calls();
        let request = v1::UpdateOrderStatusRequest { id: id.0, status: v1::OrderStatus::from(status).into() };
        let moved = answer(calls.orders().update_order_status(calls.request(request))).await?;
        Ok(required(moved.order, "an order")?.into())
    }

    /// Deletes an order that is CANCELLED or DELIVERED.
    async fn delete_order(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "The order's id.")] id: ID,
    ) -> Result<bool, Refusal> {
        let calls = Visit::of(context).calls();
        answer(calls.orders().delete_order(calls.request(v1::DeleteOrderRequest { id: id.0 }))).await?;
        Ok(true)
    }
}
