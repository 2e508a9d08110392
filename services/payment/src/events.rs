//! Events, out and in: what the service says of payments, and what it does when something happens to an order.

use chrono::{DateTime, Utc};
use futures::{FutureExt, future::BoxFuture};
use identity::UserId;
use messaging::{CloudEvent, Consumer, Event, Failure};
use money::{Currency, Money};
use proto::{
    DomainEvent,
    common::v1 as common,
    order::v1::{OrderCreated, OrderStatus, OrderStatusChanged},
    payment::v1 as api,
};
use serde::Deserialize;
use sqlx::{PgConnection, PgPool};

use crate::{
    grpc::convert,
    payment::{OrderId, Payment},
    payments::Payments,
};

/// Says that a payment was paid.
pub(crate) fn succeeded(payment: &Payment) -> Result<Event, serde_json::Error> {
    let data = api::PaymentSucceeded {
        payment_id: payment.id.0.to_string(),
        order_id: payment.order_id.0.to_string(),
        user_id: payment.user_id.to_string(),
        amount: Some(convert::money(payment.amount)),
        transaction_id: payment.transaction_id.clone().unwrap_or_default(),
        paid_at: payment.paid_at.map(DateTime::<Utc>::into),
    };
    event(payment, &data)
}

/// Says that a charge was declined.
pub(crate) fn failed(payment: &Payment) -> Result<Event, serde_json::Error> {
    let data = api::PaymentFailed {
        payment_id: payment.id.0.to_string(),
        order_id: payment.order_id.0.to_string(),
        user_id: payment.user_id.to_string(),
        amount: Some(convert::money(payment.amount)),
        failure_reason: payment.failure_reason.clone().unwrap_or_default(),
    };
    event(payment, &data)
}

/// Says that `amount` was given back.
pub(crate) fn refunded(payment: &Payment, amount: Money, reason: &str) -> Result<Event, serde_json::Error> {
    let data = api::PaymentRefunded {
        payment_id: payment.id.0.to_string(),
        order_id: payment.order_id.0.to_string(),
        user_id: payment.user_id.to_string(),
        amount: Some(convert::money(amount)),
        refunded: Some(convert::money(Money::new(payment.refunded, payment.currency()))),
        reason: reason.to_owned(),
    };
    event(payment, &data)
}

/// Says that a payment can no longer be paid.
pub(crate) fn cancelled(payment: &Payment, reason: &str) -> Result<Event, serde_json::Error> {
    let data = api::PaymentCancelled {
        payment_id: payment.id.0.to_string(),
        order_id: payment.order_id.0.to_string(),
        user_id: payment.user_id.to_string(),
        reason: reason.to_owned(),
    };
    event(payment, &data)
}

fn event(payment: &Payment, data: &impl DomainEvent) -> Result<Event, serde_json::Error> {
    Event::of(data, payment.id.0, payment.version, payment.updated_at)
}

/// `order.created`: makes the order's payment.
pub struct OnOrderCreated(pub Payments);

impl Consumer for OnOrderCreated {
    fn name(&self) -> &'static str {
        "payment.order_created"
    }

    fn events(&self) -> &'static [&'static str] {
        &[OrderCreated::NAME]
    }

    fn pool(&self) -> &PgPool {
        self.0.pool()
    }

    fn handle<'a>(
        &'a self,
        tx: &'a mut PgConnection,
        event: &'a CloudEvent,
    ) -> BoxFuture<'a, Result<(), Failure>> {
        async move {
            let created: OrderCreated = read(event)?;
            let order = order_of(event, &created.order_id)?;
            let user = user(&created.user_id)?;
            let total = known(created.total, "total").and_then(amount)?;
            Ok(self.0.order_created_in_tx(tx, order, user, total).await?)
        }
        .boxed()
    }

    fn committed(&self) {
        self.0.wake();
    }
}

/// `order.status_changed` to CANCELLED: cancels the order's payment, or gives its money back. It tells all that
/// `order.created` does, so neither has to come before the other.
pub struct OnOrderStatusChanged(pub Payments);

impl Consumer for OnOrderStatusChanged {
    fn name(&self) -> &'static str {
        "payment.order_status_changed"
    }

    fn events(&self) -> &'static [&'static str] {
        &[OrderStatusChanged::NAME]
    }

    fn pool(&self) -> &PgPool {
        self.0.pool()
    }

    fn handle<'a>(
        &'a self,
        tx: &'a mut PgConnection,
        event: &'a CloudEvent,
    ) -> BoxFuture<'a, Result<(), Failure>> {
        async move {
            let changed: OrderStatusChanged = read(event)?;
            let order = order_of(event, &changed.order_id)?;
            let user = user(&changed.user_id)?;
            let total = changed.total.map(amount).transpose()?;
            let to = OrderStatus::try_from(changed.to).ok().filter(|to| *to != OrderStatus::Unspecified);
            if known(to, "to")? != OrderStatus::Cancelled {
                return Ok(());
            }
            // Whatever the reason, it may be gone later.
            let cancelled = self.0.order_cancelled_in_tx(tx, order, user, total).await;
            cancelled.map_err(|error| Failure::Retry(error.to_string()))
        }
        .boxed()
    }

    fn committed(&self) {
        self.0.wake();
    }
}

/// Reads the payload of an event.
fn read<'a, T: Deserialize<'a>>(event: &'a CloudEvent) -> Result<T, Failure> {
    T::deserialize(&event.data).map_err(|error| Failure::Reject(error.to_string()))
}

/// The order that an event is about, which both its payload and its envelope name.
fn order_of(event: &CloudEvent, order_id: &str) -> Result<OrderId, Failure> {
    let order = known(order_id.parse().ok(), "orderId")?;
    if order == event.subject {
        Ok(OrderId(order))
    } else {
        Err(Failure::Reject("orderId is not the event's subject".into()))
    }
}

fn user(user_id: &str) -> Result<UserId, Failure> {
    known(user_id.parse().ok(), "userId").map(UserId)
}

fn amount(total: common::Money) -> Result<Money, Failure> {
    let currency = Currency::from_code(&total.currency).filter(|_| total.minor_units >= 0);
    known(currency, "total").map(|currency| Money::new(total.minor_units, currency))
}

fn known<T>(value: Option<T>, field: &str) -> Result<T, Failure> {
    value.ok_or_else(|| Failure::Reject(format!("{field} is missing or malformed")))
}
