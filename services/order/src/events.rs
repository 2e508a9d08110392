//! What the service says of its orders, and what it does when something became of a payment.

use futures::future::{BoxFuture, FutureExt};
use messaging::{CloudEvent, Consumer, Event, Failure, Outbox};
use proto::{
    DomainEvent,
    order::v1::{OrderCreated, OrderDeleted, OrderStatusChanged},
    payment::v1::{PaymentCancelled, PaymentSucceeded},
};
use runtime::Clock;
use serde::de::DeserializeOwned;
use sqlx::{PgConnection, PgPool};

use crate::{
    error::Error,
    grpc::convert::money,
    order::{By, Order, OrderId, Status},
    orders, store,
};

/// The reason of a `payment.cancelled` whose time to pay ran out; the other one is that the order was cancelled.
const EXPIRED: &str = "expired";

/// `order.created`
pub(crate) fn created(order: &Order) -> Result<Event, serde_json::Error> {
    let message = OrderCreated {
        order_id: order.id.to_string(),
        user_id: order.user_id.to_string(),
        total: Some(money(order.total)),
        items: order.items.iter().cloned().map(Into::into).collect(),
        created_at: Some(order.created_at.into()),
    };
    event(order, &message)
}

/// `order.status_changed`, for an order that had the status `from` before.
pub(crate) fn status_changed(order: &Order, from: Status) -> Result<Event, serde_json::Error> {
    let message = OrderStatusChanged {
        order_id: order.id.to_string(),
        user_id: order.user_id.to_string(),
        from: proto::order::v1::OrderStatus::from(from).into(),
        to: proto::order::v1::OrderStatus::from(order.status).into(),
    };
    event(order, &message)
}

/// `order.deleted`
pub(crate) fn deleted(order: &Order) -> Result<Event, serde_json::Error> {
    let message = OrderDeleted { order_id: order.id.to_string(), user_id: order.user_id.to_string() };
    event(order, &message)
}

fn event(order: &Order, message: &impl DomainEvent) -> Result<Event, serde_json::Error> {
    Event::of(message, order.id.0, order.version, order.updated_at)
}

/// What a payment means for its order: one that succeeded confirms it, one that expired cancels it. The order's status
/// decides, so a repeat does nothing, and neither does a success that comes after the order was cancelled: the
/// payment service gives that money back.
pub(crate) struct PaymentOutcomes {
    pool: PgPool,
    outbox: Outbox,
    clock: Clock,
}

impl PaymentOutcomes {
    pub(crate) fn new(pool: PgPool, outbox: Outbox, clock: Clock) -> Self {
        Self { pool, outbox, clock }
    }

    async fn apply(&self, tx: &mut PgConnection, event: &CloudEvent) -> Result<(), Failure> {
        match event.name() {
            Some(PaymentSucceeded::NAME) => {
                let paid: PaymentSucceeded = payload(event)?;
                self.settle(tx, &paid.order_id, Status::Confirmed).await
            }
            Some(PaymentCancelled::NAME) => {
                let cancelled: PaymentCancelled = payload(event)?;
                if cancelled.reason != EXPIRED {
                    return Ok(());
                }
                self.settle(tx, &cancelled.order_id, Status::Cancelled).await
            }
            _ => Err(Failure::Reject("no consumer here asked for this event".into())),
        }
    }

    /// Gives the order its status if the saga may still do that.
    async fn settle(&self, tx: &mut PgConnection, order_id: &str, next: Status) -> Result<(), Failure> {
        let id: OrderId = order_id.parse().map_err(|_| Failure::Reject("its order_id is no UUID".into()))?;
        let Some(mut order) = store::lock_order_in_tx(tx, id, None).await? else {
            // Deleted, so it had been cancelled or delivered before: nothing is left to decide.
            tracing::info!(order = %id, "a payment was decided after its order was deleted");
            return Ok(());
        };
        let changed = orders::change_status_in_tx(tx, &mut order, next, By::Saga, self.clock.now()).await;
        changed.map(drop).map_err(|error| match error {
            Error::Database(error) => error.into(),
            error => Failure::Reject(error.to_string()),
        })
    }
}

fn payload<T: DeserializeOwned>(event: &CloudEvent) -> Result<T, Failure> {
    T::deserialize(&event.data)
        .map_err(|error| Failure::Reject(format!("its payload can't be read: {error}")))
}

impl Consumer for PaymentOutcomes {
    fn name(&self) -> &'static str {
        "order.payment_outcomes"
    }

    fn events(&self) -> &'static [&'static str] {
        &[PaymentSucceeded::NAME, PaymentCancelled::NAME]
    }

    fn pool(&self) -> &PgPool {
        &self.pool
    }

    fn handle<'a>(
        &'a self,
        tx: &'a mut PgConnection,
        event: &'a CloudEvent,
    ) -> BoxFuture<'a, Result<(), Failure>> {
        self.apply(tx, event).boxed()
    }

    fn committed(&self) {
        self.outbox.wake();
    }
}
