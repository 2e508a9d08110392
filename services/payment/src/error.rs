//! Everything that the payment service refuses, each with its stable reason, and what fails inside.

use std::{error::Error as StdError, time::Duration};

use runtime::{
    Kind, Refusal,
    idempotency::ClaimError,
    postgres::{self, violated_constraint},
};
use tonic::Status;

use crate::provider::Undecided;

/// How long to wait before asking again for what takes a moment.
const SOON: Duration = Duration::from_secs(1);

/// Why a request was not carried out.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is none, or none that the viewer may see.
    #[error("there is no such payment")]
    PaymentNotFound,
    /// The order's payment is not made yet; or there is no such order; or it is not the viewer's.
    #[error("the order has no payment yet; try again in a moment")]
    OrderNotReady,
    /// It was paid before.
    #[error("the payment was already paid")]
    AlreadyPaid,
    /// It was cancelled, with its order or because it was not paid in time.
    #[error("the payment was cancelled")]
    Cancelled,
    /// The time in which it could be paid is over.
    #[error("the time to pay is over")]
    WindowOver,
    /// A charge is under way.
    #[error("the payment is being charged")]
    InProgress,
    /// There is nothing to give back: it was not paid, or all of it was given back.
    #[error("the payment has nothing to give back")]
    NotRefundable,
    /// More than is left, counting what other refunds are about to give back.
    #[error("the refund is more than what is left of the payment")]
    RefundTooLarge,
    /// It is no token of the provider.
    #[error("the token is unknown")]
    TokenUnknown,
    /// The provider gave no result; the recoverer will learn it.
    #[error(transparent)]
    Undecided(#[from] Undecided),
    /// The input breaks a rule, or its idempotency key is in use.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The database failed.
    #[error("the database failed: {0}")]
    Database(#[source] sqlx::Error),
    /// A fault of ours.
    #[error("internal error: {0}")]
    Internal(#[source] Box<dyn StdError + Send + Sync>),
}

impl Error {
    /// A fault of ours, of this cause.
    pub fn internal(source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self::Internal(source.into())
    }
}

/// The one place where a broken constraint becomes a refusal. The checks under the row lock come first; these hold
/// when a check is missing.
impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Self {
        match violated_constraint(&error) {
            Some("attempts_one_charge") => Self::InProgress,
            Some("attempts_paid_once") => Self::AlreadyPaid,
            Some("payments_refunds_within_amount") => Self::RefundTooLarge,
            _ => Self::Database(error),
        }
    }
}

impl From<serde_json::Error> for Error {
    fn from(error: serde_json::Error) -> Self {
        Self::internal(error)
    }
}

impl From<ClaimError> for Error {
    fn from(error: ClaimError) -> Self {
        match error {
            ClaimError::Refused(refusal) => Self::Refused(refusal),
            ClaimError::Database(error) => error.into(),
        }
    }
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        let (kind, reason) = match error {
            Error::PaymentNotFound => return Self::not_found("payment"),
            Error::TokenUnknown => {
                return Self::bad_input(
                    "TOKEN_UNKNOWN",
                    "token",
                    "must be a payment method's token at the provider",
                );
            }
            Error::Refused(refusal) => return refusal,
            Error::Database(error) => return postgres::refusal(&error),
            Error::Internal(source) => return Self::internal(source),
            Error::OrderNotReady => (Kind::FailedPrecondition, "ORDER_NOT_READY"),
            Error::AlreadyPaid => (Kind::FailedPrecondition, "PAYMENT_ALREADY_PAID"),
            Error::Cancelled => (Kind::FailedPrecondition, "PAYMENT_CANCELLED"),
            Error::WindowOver => (Kind::FailedPrecondition, "PAYMENT_WINDOW_OVER"),
            Error::InProgress => (Kind::Conflict, "PAYMENT_IN_PROGRESS"),
            Error::NotRefundable => (Kind::FailedPrecondition, "PAYMENT_NOT_REFUNDABLE"),
            Error::RefundTooLarge => (Kind::FailedPrecondition, "REFUND_EXCEEDS_PAYMENT"),
            Error::Undecided(Undecided::TimedOut) => (Kind::Timeout, "PAYMENT_UNDECIDED"),
            Error::Undecided(Undecided::Unreachable) => (Kind::Unavailable, "PAYMENT_PROVIDER_UNAVAILABLE"),
        };
        let refusal = Self::new(kind, reason, error.to_string());
        match error {
            Error::OrderNotReady | Error::InProgress => refusal.retry_after(SOON),
            _ => refusal,
        }
    }
}

impl From<Error> for Status {
    fn from(error: Error) -> Self {
        Refusal::from(error).into()
    }
}
