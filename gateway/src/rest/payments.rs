//! Payments of orders.

use async_graphql::InputObject;
use proto::{common::v1::Access, payment::v1};
use runtime::Refusal;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::routes;

use super::{
    answer::{Answer, Failure, Listed, Outcome},
    ask::{Asked, Repeatable},
    page,
    routes::Routes,
};
use crate::{
    clients::{Calls, answer, required},
    graphql::{Amount, DateTime, Decimal, PaymentFilter, PaymentStatus},
};

pub(super) fn routes() -> Routes {
    Routes::default()
        .with(Access::SignedIn, routes!(list))
        .with(Access::SignedIn, routes!(list_mine))
        .with(Access::SignedIn, routes!(get))
        .with(Access::SignedIn, routes!(get_by_order))
        .with(Access::SignedIn, routes!(process))
        .with(Access::Admin, routes!(refund))
}

/// The payment of an order.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct Payment {
    #[schema(format = "uuid")]
    id: String,
    /// The order that it pays.
    #[schema(format = "uuid")]
    order_id: String,
    /// Who pays.
    #[schema(format = "uuid")]
    user_id: String,
    /// What is to be paid: the order's total.
    amount: Amount,
    /// What was given back so far.
    refunded: Amount,
    /// The currency of its amounts (ISO 4217).
    #[schema(example = "USD")]
    currency: String,
    status: PaymentStatus,
    /// How it was paid; null until it was.
    #[schema(required, example = "visa")]
    method: Option<String>,
    /// The provider's id of the charge; null until it was paid.
    #[schema(required)]
    transaction_id: Option<String>,
    /// Why the last attempt failed; null if none did.
    #[schema(required, example = "card_declined")]
    failure_reason: Option<String>,
    /// When it was paid; null until it was.
    #[schema(required)]
    paid_at: Option<DateTime>,
    created_at: DateTime,
    updated_at: DateTime,
}

impl TryFrom<v1::Payment> for Payment {
    type Error = Refusal;

    fn try_from(payment: v1::Payment) -> Result<Self, Refusal> {
        let text = |text: String| Some(text).filter(|text| !text.is_empty());
        Ok(Self {
            status: payment.status().try_into()?,
            amount: Amount::of(payment.amount.as_ref())?,
            refunded: Amount::of(payment.refunded.as_ref())?,
            currency: required(payment.amount, "an amount")?.currency,
            id: payment.id,
            order_id: payment.order_id,
            user_id: payment.user_id,
            method: text(payment.method),
            transaction_id: text(payment.transaction_id),
            failure_reason: text(payment.failure_reason),
            paid_at: DateTime::maybe(payment.paid_at)?,
            created_at: DateTime::of(payment.created_at)?,
            updated_at: DateTime::of(payment.updated_at)?,
        })
    }
}

/// Which page of which payments.
#[derive(InputObject)]
#[graphql(name = "PaymentListParameters")]
pub(super) struct List {
    #[graphql(flatten)]
    page: page::Wanted,
    #[graphql(flatten)]
    filter: PaymentFilter,
}

/// Lists the payments that the viewer may see, the newest first.
#[utoipa::path(
    get, path = "/payments", tag = "payments", operation_id = "listPayments",
    params(PaymentFilter, page::Wanted),
    responses((status = 200, description = "A page of payments", body = Listed<Payment>)),
)]
async fn list(asked: Asked) -> Result<Listed<Payment>, Failure> {
    let List { page, filter } = asked.parameters()?;
    page_of(asked.calls(), filter.into_request(page.into())).await
}

/// Lists the viewer's own payments, the newest first.
#[utoipa::path(
    get, path = "/payments/my-payments", tag = "payments", operation_id = "listMyPayments",
    params(page::Wanted),
    responses((status = 200, description = "A page of payments", body = Listed<Payment>)),
)]
async fn list_mine(asked: Asked) -> Result<Listed<Payment>, Failure> {
    let page: page::Wanted = asked.parameters()?;
    let mut request = PaymentFilter::default().into_request(page.into());
    request.user_id = asked.viewer()?.user_id.to_string();
    page_of(asked.calls(), request).await
}

async fn page_of(calls: &Calls, request: v1::ListPaymentsRequest) -> Result<Listed<Payment>, Failure> {
    let found = answer(calls.payments().list_payments(calls.request(request))).await?;
    Listed::of(found.payments, found.page)
}

/// One payment: one's own, or anyone's for an admin.
#[utoipa::path(
    get, path = "/payments/{id}", tag = "payments", operation_id = "getPayment",
    params(("id" = String, Path, description = "The payment's id")),
    responses((status = 200, description = "The payment", body = Answer<Payment>)),
)]
async fn get(asked: Asked) -> Outcome<Payment> {
    asked.without_parameters()?;
    let calls = asked.calls();
    let request = v1::BatchGetPaymentsRequest { ids: vec![asked.path("id")] };
    let found = answer(calls.payments().batch_get_payments(calls.request(request))).await?;
    one(found.payments)
}

/// The payment of an order: one's own, or anyone's for an admin. It comes a moment after the order.
#[utoipa::path(
    get, path = "/payments/order/{orderId}", tag = "payments", operation_id = "getPaymentByOrder",
    params(("orderId" = String, Path, description = "The order's id")),
    responses((status = 200, description = "The payment", body = Answer<Payment>)),
)]
async fn get_by_order(asked: Asked) -> Outcome<Payment> {
    asked.without_parameters()?;
    let calls = asked.calls();
    let request = v1::BatchGetPaymentsByOrdersRequest { order_ids: vec![asked.path("orderId")] };
    let found = answer(calls.payments().batch_get_payments_by_orders(calls.request(request))).await?;
    one(found.payments)
}

fn one(mut found: Vec<v1::Payment>) -> Outcome<Payment> {
    let found = found.pop().ok_or_else(|| Refusal::not_found("payment"))?;
    Ok(Answer::of("the payment", found.try_into()?))
}

/// How a payment is paid.
#[derive(InputObject, ToSchema)]
#[graphql(name = "ProcessInput")]
#[schema(as = ProcessInput, rename_all = "camelCase")]
pub(super) struct ProcessInput {
    /// The provider's token of a payment method.
    #[schema(example = "tok_visa")]
    token: String,
    /// The same as the header, for who can't set one.
    #[schema(max_length = 128)]
    idempotency_key: Option<String>,
}

/// Pays. A declined attempt leaves the payment PENDING with its reason, and can be tried again.
#[utoipa::path(
    post, path = "/payments/{id}/process", tag = "payments", operation_id = "processPayment",
    params(("id" = String, Path, description = "The payment's id"), Repeatable), request_body = ProcessInput,
    responses((status = 200, description = "The payment", body = Answer<Payment>)),
)]
async fn process(mut asked: Asked) -> Outcome<Payment> {
    let ProcessInput { token, idempotency_key } = asked.input().await?;
    let idempotency_key = asked.key(idempotency_key.unwrap_or_default())?;
    let request = v1::ProcessPaymentRequest { payment_id: asked.path("id"), token, idempotency_key };
    let calls = asked.calls();
    let paid = answer(calls.payments().process_payment(calls.request(request))).await?;
    Ok(Answer::of("the attempt was made", required(paid.payment, "a payment")?.try_into()?))
}

/// What is given back.
#[derive(InputObject, ToSchema)]
#[graphql(name = "RefundInput")]
#[schema(as = RefundInput, rename_all = "camelCase")]
pub(super) struct RefundInput {
    /// How much, in the payment's currency; when absent, all that is left.
    amount: Option<Decimal>,
    /// Why, for the books.
    reason: Option<String>,
    /// The same as the header, for who can't set one.
    #[schema(max_length = 128)]
    idempotency_key: Option<String>,
}

/// Gives money back, in full or in part, never more than was paid. For admins.
#[utoipa::path(
    post, path = "/payments/{id}/refund", tag = "payments", operation_id = "refundPayment",
    params(("id" = String, Path, description = "The payment's id"), Repeatable), request_body = RefundInput,
    responses((status = 200, description = "The payment", body = Answer<Payment>)),
)]
async fn refund(mut asked: Asked) -> Outcome<Payment> {
    let RefundInput { amount, reason, idempotency_key } = asked.input().await?;
    let request = v1::RefundPaymentRequest {
        payment_id: asked.path("id"),
        amount: amount.map(|amount| amount.0),
        reason: reason.unwrap_or_default(),
        idempotency_key: asked.key(idempotency_key.unwrap_or_default())?,
    };
    let calls = asked.calls();
    let refunded = answer(calls.payments().refund_payment(calls.request(request))).await?;
    Ok(Answer::of("the money was given back", required(refunded.payment, "a payment")?.try_into()?))
}
