//! What clients say about payments.

use async_graphql::{ID, InputObject};
use proto::{common::v1::PageRequest, payment::v1};
use utoipa::IntoParams;

use super::PaymentStatus;
use crate::graphql::scalars::Decimal;

/// Which payments are wanted; what is left out does not matter.
#[derive(InputObject, IntoParams, Default)]
#[into_params(parameter_in = Query, rename_all = "camelCase")]
pub(crate) struct PaymentFilter {
    /// Only those of this user.
    #[param(value_type = Option<String>, nullable = false)]
    user_id: Option<ID>,
    /// Only those that stand there.
    #[param(inline, nullable = false)]
    status: Option<PaymentStatus>,
}

impl PaymentFilter {
    /// A page of these.
    pub(crate) fn into_request(self, page: PageRequest) -> v1::ListPaymentsRequest {
        v1::ListPaymentsRequest {
            page: Some(page),
            user_id: self.user_id.map(|id| id.0).unwrap_or_default(),
            status: self.status.map_or(v1::PaymentStatus::Unspecified, Into::into).into(),
        }
    }
}

/// For which order the payment is wanted.
#[derive(InputObject)]
pub(super) struct CreatePaymentInput {
    /// The order's id.
    order_id: ID,
    /// A text of the client's own making, up to 128 characters. An order has one payment with or without it.
    idempotency_key: Option<String>,
}

impl From<CreatePaymentInput> for v1::CreatePaymentRequest {
    fn from(input: CreatePaymentInput) -> Self {
        Self { order_id: input.order_id.0, idempotency_key: input.idempotency_key.unwrap_or_default() }
    }
}

/// How a payment is paid.
#[derive(InputObject)]
pub(super) struct ProcessPaymentInput {
    /// The payment's id.
    payment_id: ID,
    /// The provider's token of a payment method, such as "tok_visa" of the sandbox.
    token: String,
    /// A text of the client's own making, up to 128 characters: a repeat with the same one pays no second time.
    idempotency_key: Option<String>,
}

impl From<ProcessPaymentInput> for v1::ProcessPaymentRequest {
    fn from(input: ProcessPaymentInput) -> Self {
        Self {
            payment_id: input.payment_id.0,
            token: input.token,
            idempotency_key: input.idempotency_key.unwrap_or_default(),
        }
    }
}

/// What is given back.
#[derive(InputObject)]
pub(super) struct RefundPaymentInput {
    /// The payment's id.
    payment_id: ID,
    /// How much, in the payment's currency; when absent, all that is left.
    amount: Option<Decimal>,
    /// Why, for the books.
    reason: Option<String>,
    /// A text of the client's own making, up to 128 characters: a repeat with the same one gives nothing back again.
    idempotency_key: Option<String>,
}

impl From<RefundPaymentInput> for v1::RefundPaymentRequest {
    fn from(input: RefundPaymentInput) -> Self {
        Self {
            payment_id: input.payment_id.0,
            amount: input.amount.map(|amount| amount.0),
            reason: input.reason.unwrap_or_default(),
            idempotency_key: input.idempotency_key.unwrap_or_default(),
        }
    }
}
