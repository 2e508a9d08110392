//! Between the messages and the types: texts are read here, each with the field and the reason of what is wrong.

use identity::UserId;
use money::{Currency, Money};
use proto::{common::v1 as common, payment::v1 as api};
use runtime::Refusal;
use uuid::Uuid;

use crate::{
    error::Error,
    payment::{OrderId, Payment, PaymentId, Status},
    payments::Filter,
};

/// The longest reason of a refund, in characters.
const LONGEST_REASON: usize = 500;

/// Reads a payment's id. One that is no UUID is that of no payment.
pub(crate) fn payment_id(text: &str) -> Result<PaymentId, Error> {
    text.parse().map(PaymentId).map_err(|_| Error::PaymentNotFound)
}

/// Reads an order's id. One that is no UUID is that of no order.
pub(crate) fn order_id(text: &str) -> Result<OrderId, Error> {
    text.parse().map(OrderId).map_err(|_| Error::OrderNotReady)
}

/// Reads which payments a list shows. A user's id that is no UUID is that of a user without payments.
pub(crate) fn filter(user: &str, status: i32) -> Result<Filter, Refusal> {
    let user = (!user.is_empty()).then(|| UserId(user.parse().unwrap_or(Uuid::nil())));
    Ok(Filter { user, status: read_status(status)? })
}

fn read_status(number: i32) -> Result<Option<Status>, Refusal> {
    let status = api::PaymentStatus::try_from(number)
        .map_err(|_| Refusal::bad_input("STATUS_UNKNOWN", "status", "must be a status of payments"))?;
    Ok(match status {
        api::PaymentStatus::Unspecified => None,
        api::PaymentStatus::Pending => Some(Status::Pending),
        api::PaymentStatus::Succeeded => Some(Status::Succeeded),
        api::PaymentStatus::PartiallyRefunded => Some(Status::PartiallyRefunded),
        api::PaymentStatus::Refunded => Some(Status::Refunded),
        api::PaymentStatus::Cancelled => Some(Status::Cancelled),
    })
}

/// Reads the amount of a refund: exact decimal text, more than zero.
pub(crate) fn amount(text: &str, currency: Currency) -> Result<Money, Refusal> {
    let amount =
        Money::parse(text, currency).map_err(|rule| Refusal::bad_input("AMOUNT_INVALID", "amount", rule))?;
    if amount.minor_units == 0 {
        return Err(Refusal::bad_input("AMOUNT_INVALID", "amount", "must be more than zero"));
    }
    Ok(amount)
}

/// Reads the reason of a refund: text in any script, without control characters but for line ends and tabs.
pub(crate) fn reason(text: String) -> Result<String, Refusal> {
    let forbidden = |c: char| c.is_control() && !matches!(c, '\n' | '\r' | '\t');
    if text.chars().count() > LONGEST_REASON || text.chars().any(forbidden) {
        let rule = "must be at most 500 characters, without control characters";
        return Err(Refusal::bad_input("REASON_INVALID", "reason", rule));
    }
    Ok(text)
}

/// An amount as messages carry it.
pub(crate) fn money(money: Money) -> common::Money {
    common::Money { minor_units: money.minor_units, currency: money.currency.code().to_owned() }
}

/// Payments as messages carry them.
pub(crate) fn payments(payments: Vec<Payment>) -> Vec<api::Payment> {
    payments.into_iter().map(payment).collect()
}

/// A payment as messages carry it.
pub(crate) fn payment(payment: Payment) -> api::Payment {
    api::Payment {
        id: payment.id.0.to_string(),
        order_id: payment.order_id.0.to_string(),
        user_id: payment.user_id.to_string(),
        amount: Some(money(payment.amount)),
        refunded: Some(money(Money::new(payment.refunded, payment.currency()))),
        status: status(payment.status).into(),
        method: payment.method.unwrap_or_default(),
        transaction_id: payment.transaction_id.unwrap_or_default(),
        failure_reason: payment.failure_reason.unwrap_or_default(),
        paid_at: payment.paid_at.map(Into::into),
        created_at: Some(payment.created_at.into()),
        updated_at: Some(payment.updated_at.into()),
    }
}

fn status(status: Status) -> api::PaymentStatus {
    match status {
        Status::Pending => api::PaymentStatus::Pending,
        Status::Succeeded => api::PaymentStatus::Succeeded,
        Status::PartiallyRefunded => api::PaymentStatus::PartiallyRefunded,
        Status::Refunded => api::PaymentStatus::Refunded,
        Status::Cancelled => api::PaymentStatus::Cancelled,
    }
}
