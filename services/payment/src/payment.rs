//! The payment: its states and what leads from one to the next. No I/O.
//!
//! Whoever calls a transition holds the lock of the payment's row, saves the payment and appends the event that tells
//! of the transition, in one transaction. `version` counts the transitions that a reader can see.

use chrono::{DateTime, Utc};
use identity::UserId;
use money::{Currency, Money};
use uuid::Uuid;

use crate::error::Error;

/// The id of a payment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PaymentId(pub Uuid);

/// The id of an order, which the order service gave.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct OrderId(pub Uuid);

/// The id of an attempt at the provider, and the provider's idempotency key for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct AttemptId(pub Uuid);

/// Where a payment stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, sqlx::Type)]
#[sqlx(type_name = "text", rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Status {
    /// It waits to be paid; a declined attempt leaves it here.
    Pending,
    /// It was paid.
    Succeeded,
    /// A part of it was given back.
    PartiallyRefunded,
    /// All of it was given back.
    Refunded,
    /// It can no longer be paid.
    Cancelled,
}

/// The payment of an order.
#[derive(Clone, Debug, PartialEq)]
pub struct Payment {
    /// Its id, a UUIDv7.
    pub id: PaymentId,
    /// The order that it pays; an order has one payment.
    pub order_id: OrderId,
    /// Whose order it is.
    pub user_id: UserId,
    /// What is to be paid.
    pub amount: Money,
    /// What was given back, in minor units of the same currency, like the next.
    pub refunded: i64,
    /// What refunds that are under way may still give back.
    pub reserved: i64,
    /// Where it stands.
    pub status: Status,
    /// How it was paid, such as "visa".
    pub method: Option<String>,
    /// The provider's id of the charge.
    pub transaction_id: Option<String>,
    /// Why the last attempt failed.
    pub failure_reason: Option<String>,
    /// When it was paid.
    pub paid_at: Option<DateTime<Utc>>,
    /// Until when it can be paid.
    pub window_ends_at: DateTime<Utc>,
    /// The charge that is under way; cancelling and expiring wait for its result.
    pub charging: Option<AttemptId>,
    /// Whether the order was cancelled: no money is kept for it.
    pub order_cancelled: bool,
    /// How often it changed for its readers; the sequence of its events.
    pub version: i64,
    /// When the order's event arrived.
    pub created_at: DateTime<Utc>,
    /// When it last changed.
    pub updated_at: DateTime<Utc>,
}

/// What the cancel of its order asks of a payment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AfterCancel {
    /// Nothing now: it is cancelled or refunded already, or its charge must be decided first.
    Nothing,
    /// To be cancelled.
    Cancel,
    /// To give this much back, in minor units.
    Refund(i64),
}

impl Payment {
    /// The currency of all its amounts.
    pub fn currency(&self) -> Currency {
        self.amount.currency
    }

    /// What can still be given back, in minor units.
    pub fn left(&self) -> i64 {
        self.amount.minor_units - self.refunded - self.reserved
    }

    fn is_paid(&self) -> bool {
        matches!(self.status, Status::Succeeded | Status::PartiallyRefunded | Status::Refunded)
    }

    /// Begins a charge.
    ///
    /// # Errors
    /// Unless it is PENDING, inside its window, and no other charge is under way.
    pub fn begin_charge(&mut self, attempt: AttemptId, now: DateTime<Utc>) -> Result<(), Error> {
        match self.status {
            Status::Cancelled => return Err(Error::Cancelled),
            Status::Pending => {}
            _ => return Err(Error::AlreadyPaid),
        }
        if self.charging.is_some() {
            return Err(Error::InProgress);
        }
        if now >= self.window_ends_at {
            return Err(Error::WindowOver);
        }
        self.charging = Some(attempt);
        Ok(())
    }

    /// The charge under way succeeded: it is paid.
    pub fn charged(&mut self, transaction_id: &str, method: &str, now: DateTime<Utc>) {
        self.charging = None;
        self.status = Status::Succeeded;
        self.transaction_id = Some(transaction_id.to_owned());
        self.method = Some(method.to_owned());
        self.failure_reason = None;
        self.paid_at = Some(now);
        self.changed(now);
    }

    /// The charge under way was declined: it stays PENDING, and can be tried again.
    pub fn declined(&mut self, reason: &str, now: DateTime<Utc>) {
        self.charging = None;
        self.failure_reason = Some(reason.to_owned());
        self.changed(now);
    }

    /// Begins a refund: reserves its amount, so that refunds at the same time never add up to too much.
    ///
    /// # Errors
    /// When it was not paid, when nothing is left, and when less is left than `minor_units`.
    pub fn begin_refund(&mut self, minor_units: i64) -> Result<(), Error> {
        if !matches!(self.status, Status::Succeeded | Status::PartiallyRefunded)
            || self.amount.minor_units == 0
        {
            return Err(Error::NotRefundable);
        }
        if minor_units <= 0 || minor_units > self.left() {
            return Err(Error::RefundTooLarge);
        }
        self.reserved += minor_units;
        Ok(())
    }

    /// A refund under way of `minor_units` succeeded.
    pub fn refunded(&mut self, minor_units: i64, now: DateTime<Utc>) {
        self.reserved -= minor_units;
        self.refunded += minor_units;
        let all = self.refunded == self.amount.minor_units;
        self.status = if all { Status::Refunded } else { Status::PartiallyRefunded };
        self.failure_reason = None;
        self.changed(now);
    }

    /// A refund under way of `minor_units` was declined: what it reserved is free again.
    pub fn refund_declined(&mut self, minor_units: i64, reason: &str, now: DateTime<Utc>) {
        self.reserved -= minor_units;
        self.failure_reason = Some(reason.to_owned());
        self.changed(now);
    }

    /// What has to happen now if its order was cancelled.
    pub fn after_cancel(&self) -> AfterCancel {
        match self.status {
            _ if !self.order_cancelled => AfterCancel::Nothing,
            Status::Pending if self.charging.is_none() => AfterCancel::Cancel,
            _ if self.is_paid() && self.left() > 0 => AfterCancel::Refund(self.left()),
            _ => AfterCancel::Nothing,
        }
    }

    /// Ends a payment that waits to be paid and has no charge under way, which [`Payment::after_cancel`] tells.
    pub fn cancelled(&mut self, now: DateTime<Utc>) {
        self.status = Status::Cancelled;
        self.changed(now);
    }

    fn changed(&mut self, now: DateTime<Utc>) {
        self.version += 1;
        self.updated_at = now;
    }
}

#[cfg(test)]
mod tests;
