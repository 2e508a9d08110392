//! Payments of orders.

mod events;
mod input;

use std::sync::Arc;

use async_graphql::{Context, Enum, ID, Object};
use futures::future::BoxFuture;
use proto::{common::v1::Access, payment::v1};
use runtime::Refusal;
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::{
    Visit,
    entity::{Entity, Fields, Link, Told, at_hand},
    json::told_by_name,
    loader::{Fetched, Loader, Source},
    order::{self, Order},
    page::{self, DEFAULT_LIMIT, Page},
    rules::Rules,
    scalars::{Amount, DateTime, Id},
    user::{self, User},
};
use crate::clients::{Calls, answer, required};

pub(super) use events::PaymentSubscription;
pub(crate) use input::PaymentFilter;
use input::{CreatePaymentInput, ProcessPaymentInput, RefundPaymentInput};

pub(super) const RULES: Rules = &[
    ("payment", Access::SignedIn),
    ("paymentByOrder", Access::SignedIn),
    ("payments", Access::SignedIn),
    ("myPayments", Access::SignedIn),
    ("createPayment", Access::SignedIn),
    ("processPayment", Access::SignedIn),
    ("refundPayment", Access::Admin),
    ("paymentUpdated", Access::SignedIn),
];

/// Where a payment stands: PENDING, SUCCEEDED, PARTIALLY_REFUNDED, REFUNDED one after the other; CANCELLED from the
/// first.
#[derive(Enum, Serialize, ToSchema, Clone, Copy, PartialEq, Eq)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(crate) enum PaymentStatus {
    /// Not yet paid.
    Pending,
    /// Paid.
    Succeeded,
    /// A part was given back.
    PartiallyRefunded,
    /// All was given back.
    Refunded,
    /// Called off, or not paid in time.
    Cancelled,
}

told_by_name!(PaymentStatus);

impl From<PaymentStatus> for v1::PaymentStatus {
    fn from(status: PaymentStatus) -> Self {
        match status {
            PaymentStatus::Pending => Self::Pending,
            PaymentStatus::Succeeded => Self::Succeeded,
            PaymentStatus::PartiallyRefunded => Self::PartiallyRefunded,
            PaymentStatus::Refunded => Self::Refunded,
            PaymentStatus::Cancelled => Self::Cancelled,
        }
    }
}

impl TryFrom<v1::PaymentStatus> for PaymentStatus {
    type Error = Refusal;

    fn try_from(status: v1::PaymentStatus) -> Result<Self, Refusal> {
        match status {
            v1::PaymentStatus::Pending => Ok(Self::Pending),
            v1::PaymentStatus::Succeeded => Ok(Self::Succeeded),
            v1::PaymentStatus::PartiallyRefunded => Ok(Self::PartiallyRefunded),
            v1::PaymentStatus::Refunded => Ok(Self::Refunded),
            v1::PaymentStatus::Cancelled => Ok(Self::Cancelled),
            v1::PaymentStatus::Unspecified => {
                Err(Refusal::internal("a service answered an unknown payment status"))
            }
        }
    }
}

/// The payment of an order.
pub(super) type Payment = Entity<PaymentFields>;

/// The fields of a payment.
pub(super) struct PaymentFields(Arc<v1::Payment>);

impl From<Arc<v1::Payment>> for Payment {
    fn from(payment: Arc<v1::Payment>) -> Self {
        Self(PaymentFields(payment))
    }
}

impl From<v1::Payment> for Payment {
    fn from(payment: v1::Payment) -> Self {
        Arc::new(payment).into()
    }
}

/// A text that is empty until there is one.
fn text(text: &str) -> Option<&str> {
    Some(text).filter(|text| !text.is_empty())
}

/// The payment of an order.
#[Object(name = "Payment")]
impl PaymentFields {
    /// Its id, a UUID.
    fn id(&self) -> Id<'_> {
        Id(&self.0.id)
    }

    /// The id of the order that it pays.
    fn order_id(&self) -> Id<'_> {
        Id(&self.0.order_id)
    }

    /// The order that it pays. Null when the order was deleted.
    async fn order(&self, context: &Context<'_>) -> Option<Result<Order, Refusal>> {
        order::by_id(Visit::of(context), &self.0.order_id).await.transpose()
    }

    /// The id of the user who pays.
    fn user_id(&self) -> Id<'_> {
        Id(&self.0.user_id)
    }

    /// Who pays. Null when the account was deleted.
    async fn user(&self, context: &Context<'_>) -> Option<Result<User, Refusal>> {
        user::by_id(Visit::of(context), &self.0.user_id).await.transpose()
    }

    /// What is to be paid: the order's total.
    fn amount(&self) -> Result<Amount, Refusal> {
        Amount::of(self.0.amount.as_ref())
    }

    /// What was given back so far.
    fn refunded(&self) -> Result<Amount, Refusal> {
        Amount::of(self.0.refunded.as_ref())
    }

    /// The currency of its amounts (ISO 4217), such as "USD".
    fn currency(&self) -> Result<&str, Refusal> {
        Ok(&required(self.0.amount.as_ref(), "an amount")?.currency)
    }

    /// Where it stands.
    fn status(&self) -> Result<PaymentStatus, Refusal> {
        self.0.status().try_into()
    }

    /// How it was paid, such as "visa"; null until it was.
    fn method(&self) -> Option<&str> {
        text(&self.0.method)
    }

    /// The provider's id of the charge; null until it was paid.
    fn transaction_id(&self) -> Option<&str> {
        text(&self.0.transaction_id)
    }

    /// Why the last attempt failed, such as "card_declined"; null if none did.
    fn failure_reason(&self) -> Option<&str> {
        text(&self.0.failure_reason)
    }

    /// When it was paid; null until it was.
    fn paid_at(&self) -> Option<Result<DateTime, Refusal>> {
        DateTime::maybe(self.0.paid_at).transpose()
    }

    /// When it was made.
    fn created_at(&self) -> Result<DateTime, Refusal> {
        DateTime::of(self.0.created_at)
    }

    /// When it was last changed.
    fn updated_at(&self) -> Result<DateTime, Refusal> {
        DateTime::of(self.0.updated_at)
    }
}

impl Fields for PaymentFields {
    at_hand! {
        "id" => id, "orderId" => order_id, "userId" => user_id, "amount" => amount, "refunded" => refunded,
        "currency" => currency, "status" => status, "method" => method, "transactionId" => transaction_id,
        "failureReason" => failure_reason, "paidAt" => paid_at, "createdAt" => created_at, "updatedAt" => updated_at,
    }

    fn follow<'a>(link: &Link<'a, Self>) -> Option<BoxFuture<'a, Told>> {
        match link.name() {
            "order" => Some(order::followed(link, |payment| &payment.0.order_id)),
            "user" => Some(user::followed(link, |payment| &payment.0.user_id)),
            _ => None,
        }
    }
}

/// The loaders of payments.
#[derive(Default)]
pub(super) struct Loaders {
    by_id: Loader<ById>,
    by_order: Loader<ByOrder>,
}

impl Loaders {
    pub(super) async fn clear(&self) {
        self.by_id.clear().await;
        self.by_order.clear().await;
    }
}

struct ById;

impl Source for ById {
    const NAME: &'static str = "payments_by_id";

    type Key = Uuid;
    type Value = v1::Payment;

    async fn fetch(calls: &Calls, keys: &[Uuid]) -> Fetched<Self> {
        let request = v1::BatchGetPaymentsRequest { ids: keys.iter().map(Uuid::to_string).collect() };
        let found = answer(calls.payments().batch_get_payments(calls.request(request))).await?;
        Ok(found
            .payments
            .into_iter()
            .filter_map(|payment| Some((payment.id.parse().ok()?, payment)))
            .collect())
    }
}

struct ByOrder;

impl Source for ByOrder {
    const NAME: &'static str = "payments_by_order";

    type Key = Uuid;
    type Value = v1::Payment;

    async fn fetch(calls: &Calls, keys: &[Uuid]) -> Fetched<Self> {
        let request =
            v1::BatchGetPaymentsByOrdersRequest { order_ids: keys.iter().map(Uuid::to_string).collect() };
        let found = answer(calls.payments().batch_get_payments_by_orders(calls.request(request))).await?;
        Ok(found
            .payments
            .into_iter()
            .filter_map(|payment| Some((payment.order_id.parse().ok()?, payment)))
            .collect())
    }
}

/// The payment with this id, if there is one that the viewer may see.
async fn by_id(visit: &Visit, id: &str) -> Result<Option<Payment>, Refusal> {
    visit.viewer()?;
    let Ok(id) = id.parse() else { return Ok(None) };
    Ok(visit.payments.by_id.load(visit.calls(), id).await?.map(Payment::from))
}

/// The payment of this order, if there is one that the viewer may see.
pub(super) async fn by_order(visit: &Visit, order: &str) -> Result<Option<Payment>, Refusal> {
    visit.viewer()?;
    let Ok(order) = order.parse() else { return Ok(None) };
    Ok(visit.payments.by_order.load(visit.calls(), order).await?.map(Payment::from))
}

/// The payment of the order of each row, by the order's id.
pub(super) fn followed<'a, T: Fields>(link: &Link<'a, T>, order: fn(&T) -> &str) -> BoxFuture<'a, Told> {
    link.to::<ByOrder, PaymentFields>(
        |visit| visit.viewer().map(|_| &visit.payments.by_order),
        |row| order(row).parse().ok(),
    )
}

/// The fields of `Query` about payments.
#[derive(Default)]
pub(super) struct PaymentQuery;

#[Object]
impl PaymentQuery {
    /// One payment: one's own, or anyone's for an admin. Null when there is none.
    async fn payment(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "The payment's id.")] id: ID,
    ) -> Option<Result<Payment, Refusal>> {
        by_id(Visit::of(context), &id).await.transpose()
    }

    /// The payment of an order: one's own, or anyone's for an admin. Null when there is none.
    async fn payment_by_order(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "The order's id.")] order_id: ID,
    ) -> Option<Result<Payment, Refusal>> {
        by_order(Visit::of(context), &order_id).await.transpose()
    }

    /// All payments that the viewer may see, the newest first.
    async fn payments(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "Which of them.")] filter: Option<PaymentFilter>,
        #[graphql(default_with = "Some(DEFAULT_LIMIT)", desc = "How many, 1 to 100.")] limit: Option<i32>,
        #[graphql(desc = "The endCursor of the page before.")] after: Option<String>,
    ) -> Option<Result<Page<Payment>, Refusal>> {
        let request = filter.unwrap_or_default().into_request(page::request(context, limit, after));
        Some(list(Visit::of(context).calls(), request).await)
    }

    /// The viewer's own payments, the newest first.
    async fn my_payments(
        &self,
        context: &Context<'_>,
        #[graphql(default_with = "Some(DEFAULT_LIMIT)", desc = "How many, 1 to 100.")] limit: Option<i32>,
        #[graphql(desc = "The endCursor of the page before.")] after: Option<String>,
    ) -> Option<Result<Page<Payment>, Refusal>> {
        let visit = Visit::of(context);
        let viewer = match visit.viewer() {
            Ok(viewer) => viewer,
            Err(refusal) => return Some(Err(refusal)),
        };
        let request = v1::ListPaymentsRequest {
            user_id: viewer.user_id.to_string(),
            ..PaymentFilter::default().into_request(page::request(context, limit, after))
        };
        Some(list(visit.calls(), request).await)
    }

    #[graphql(entity)]
    async fn find_payment_by_id(&self, context: &Context<'_>, id: ID) -> Option<Result<Payment, Refusal>> {
        by_id(Visit::of(context), &id).await.transpose()
    }
}

async fn list(calls: &Calls, request: v1::ListPaymentsRequest) -> Result<Page<Payment>, Refusal> {
    let found = answer(calls.payments().list_payments(calls.request(request))).await?;
    Ok(Page::new(found.payments, found.page))
}

/// The fields of `Mutation` about payments.
#[derive(Default)]
pub(super) struct PaymentMutation;

#[Object]
impl PaymentMutation {
    /// The payment of an order. It is made when the order is placed, and may come a moment later.
    async fn create_payment(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "For which order.")] input: CreatePaymentInput,
    ) -> Result<Payment, Refusal> {
        let calls = Visit::of(context).calls();
        let made = answer(calls.payments().create_payment(calls.request(input.into()))).await?;
        Ok(required(made.payment, "a payment")?.into())
    }

    /// Pays. A declined attempt leaves the payment PENDING with its reason, and can be tried again.
    async fn process_payment(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "How.")] input: ProcessPaymentInput,
    ) -> Result<Payment, Refusal> {
        let calls = Visit::of(context).calls();
        let paid = answer(calls.payments().process_payment(calls.request(input.into()))).await?;
        Ok(required(paid.payment, "a payment")?.into())
    }

    /// Gives money back, in full or in part, never more than was paid. For admins.
    async fn refund_payment(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "What is given back.")] input: RefundPaymentInput,
    ) -> Result<Payment, Refusal> {
        let calls = Visit::of(context).calls();
        let refunded = answer(calls.payments().refund_payment(calls.request(input.into()))).await?;
        Ok(required(refunded.payment, "a payment")?.into())
    }
}
