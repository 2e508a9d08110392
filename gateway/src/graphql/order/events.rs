//! What happens to orders, as it happens.

use std::sync::Arc;

use async_graphql::{Context, ID, Object, Subscription};
use futures::{Stream, StreamExt};
use proto::{DomainEvent, order::v1};
use runtime::Refusal;
use serde::Deserialize;

use super::{Order, OrderStatus, by_id};
use crate::{
    events::{Event, Wanted},
    graphql::{DateTime, Visit},
};

/// An order that stands somewhere else than before.
struct OrderStatusChanged {
    event: Arc<Event>,
    change: v1::OrderStatusChanged,
}

impl OrderStatusChanged {
    fn read(event: Arc<Event>) -> Result<Self, Refusal> {
        let change = v1::OrderStatusChanged::deserialize(&event.cloud.data).map_err(Refusal::internal)?;
        Ok(Self { event, change })
    }
}

/// An order that stands somewhere else than before.
#[Object]
impl OrderStatusChanged {
    /// The id of the event, a UUID: `after` takes it.
    async fn event_id(&self) -> ID {
        self.event.cloud.id.into()
    }

    /// When it happened.
    async fn time(&self) -> DateTime {
        self.event.cloud.time.into()
    }

    /// The order's id.
    async fn order_id(&self) -> ID {
        ID(self.change.order_id.clone())
    }

    /// Where it stood.
    async fn from(&self) -> Result<OrderStatus, Refusal> {
        self.change.from().try_into()
    }

    /// Where it stood then.
    async fn to(&self) -> Result<OrderStatus, Refusal> {
        self.change.to().try_into()
    }

    /// The order as it is now, which may be further on. Null when it was deleted.
    async fn order(&self, context: &Context<'_>) -> Option<Result<Order, Refusal>> {
        by_id(Visit::of(context), &self.change.order_id).await.transpose()
    }
}

/// The fields of `Subscription` about orders.
#[derive(Default)]
pub(in crate::graphql) struct OrderSubscription;

#[Subscription]
impl OrderSubscription {
    /// Each change of where an order stands: of one's own orders, or of anyone's for an admin.
    async fn order_status_changed(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "Only changes of this order.")] order_id: Option<ID>,
        #[graphql(desc = "The event after which to begin; by default, now.")] after: Option<ID>,
    ) -> Result<impl Stream<Item = Result<OrderStatusChanged, Refusal>>, Refusal> {
        let wanted =
            Wanted::of(&[v1::OrderStatusChanged::NAME]).about(order_id.as_ref())?.after(after.as_ref())?;
        Ok(Visit::of(context).events(wanted)?.map(OrderStatusChanged::read))
    }
}
