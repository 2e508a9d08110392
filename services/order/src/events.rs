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
        total: Some(money(order.total)),
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

/// What a payment means for its order: one that succeeds confirms it, one that is cancelled, for whatever reason, cancels
/// it. The order's status decides, so a repeat does nothing, and neither does a success that comes after the order was
/// cancelled: the payment service gives that money back.
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
        let (order_id, next, paid) = match event.name() {
            Some(PaymentSucceeded::NAME) => {
                let paid: PaymentSucceeded = payload(event)?;
                subject(event, &paid.payment_id)?;
                (paid.order_id, Status::Confirmed, paid.amount)
            }
            Some(PaymentCancelled::NAME) => {
                let cancelled: PaymentCancelled = payload(event)?;
                subject(event, &cancelled.payment_id)?;
                (cancelled.order_id, Status::Cancelled, None)
            }
            _ => return Err(Failure::Reject("no consumer here asked for this event".into())),
        };
        let id: OrderId = order_id.parse().map_err(|_| Failure::Reject("orderId is no UUID".into()))?;
        let Some(mut order) = store::lock_order_in_tx(tx, id, None).await? else {
            // Deleted, so it had been cancelled or delivered before: nothing is left to decide.
            tracing::info!(order = %id, "a payment was decided after its order was deleted");
            return Ok(());
        };
        if next == Status::Confirmed && paid != Some(money(order.total)) {
            return Err(Failure::Reject("amount is not the order's total".into()));
        }
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

/// The payload must name the payment that the event is about.
fn subject(event: &CloudEvent, payment_id: &str) -> Result<(), Failure> {
    if payment_id.parse() == Ok(event.subject) {
        Ok(())
    } else {
        Err(Failure::Reject("paymentId is not the event's subject".into()))
    }
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
