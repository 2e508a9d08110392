//! Why a request is not done: one enum, and the one table from it to what a client may read.

use money::ParseError;
use runtime::{Kind, Refusal, postgres};
use tonic::Status;

/// A named refusal, or a failure inside. `line` is the place of a line in the request, from 0.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("there is no such order")]
    OrderNotFound,
    #[error("line {line} asks for a product that does not exist")]
    ProductUnknown { line: usize },
    #[error("line {line} asks for a product that was withdrawn")]
    ProductNotAvailable { line: usize },
    #[error("the price seen in line {line} {why}")]
    PriceInvalid { line: usize, why: ParseError },
    #[error("the price seen in line {line} is not the product's")]
    PriceChanged { line: usize },
    #[error("line {line} is in another currency than the order")]
    CurrencyMismatch { line: usize },
    #[error("the total is too large")]
    TotalTooLarge,
    #[error("the order is past cancelling")]
    NotCancellable,
    #[error("the order is still under way")]
    NotDeletable,
    #[error("the order can't change to this status")]
    StatusNotAllowed,
    /// What was refused by its form, or by the rules that all services share.
    #[error(transparent)]
    Refused(#[from] Refusal),
    #[error("the database failed: {0}")]
    Database(#[from] sqlx::Error),
    #[error("an event has no JSON form: {0}")]
    Event(#[from] serde_json::Error),
    #[error("a stored response can't be read: {0}")]
    StoredResponse(#[from] prost::DecodeError),
}

impl From<runtime::idempotency::ClaimError> for Error {
    fn from(error: runtime::idempotency::ClaimError) -> Self {
        match error {
            runtime::idempotency::ClaimError::Refused(refusal) => Self::Refused(refusal),
            runtime::idempotency::ClaimError::Database(error) => Self::Database(error),
        }
    }
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        let of_line = |line: usize, field: &str| format!("items.{line}.{field}");
        match error {
            Error::OrderNotFound => Refusal::not_found("order"),
            Error::ProductUnknown { line } => Refusal::bad_input(
                "PRODUCT_UNKNOWN",
                of_line(line, "productId"),
                "must be the id of a product",
            ),
            Error::ProductNotAvailable { line } => failed_precondition(
                "PRODUCT_NOT_AVAILABLE",
                of_line(line, "productId"),
                "names a product that can't be ordered any more",
            ),
            Error::PriceInvalid { line, why } => {
                Refusal::bad_input("PRICE_INVALID", of_line(line, "unitPrice"), why)
            }
            Error::PriceChanged { line } => failed_precondition(
                "PRICE_CHANGED",
                of_line(line, "unitPrice"),
                "is not the product's price; look at it again",
            ),
            Error::CurrencyMismatch { line } => Refusal::bad_input(
                "CURRENCY_MISMATCH",
                of_line(line, "productId"),
                "must be a product in the currency of the order",
            ),
            Error::TotalTooLarge => {
                Refusal::bad_input("TOTAL_TOO_LARGE", "items", "must not come to more than can be counted")
            }
            Error::NotCancellable => Refusal::new(
                Kind::FailedPrecondition,
                "ORDER_NOT_CANCELLABLE",
                "only an order that is PENDING or CONFIRMED can be cancelled",
            ),
            Error::NotDeletable => Refusal::new(
                Kind::FailedPrecondition,
                "ORDER_NOT_DELETABLE",
                "only an order that is CANCELLED or DELIVERED can be deleted",
            ),
            Error::StatusNotAllowed => Refusal::new(
                Kind::FailedPrecondition,
                "ORDER_STATUS_NOT_ALLOWED",
                "the order can't change from its status to this one",
            ),
            Error::Refused(refusal) => refusal,
            Error::Database(error) => postgres::refusal(&error),
            inside @ (Error::Event(_) | Error::StoredResponse(_)) => Refusal::internal(inside),
        }
    }
}

impl From<Error> for Status {
    fn from(error: Error) -> Self {
        Refusal::from(error).into()
    }
}

/// A refusal of input that was right once: the world moved on, and the field shows where.
fn failed_precondition(reason: &'static str, field: String, rule: &str) -> Refusal {
    Refusal { kind: Kind::FailedPrecondition, ..Refusal::bad_input(reason, field, rule) }
}
