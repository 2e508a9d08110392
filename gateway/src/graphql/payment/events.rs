//! What happens to payments, as it happens.

use std::sync::Arc;

use async_graphql::{Context, Enum, ID, Object, Subscription};
use futures::{Stream, StreamExt};
use proto::{DomainEvent, payment::v1};
use runtime::Refusal;
use serde::Deserialize;

use super::{Payment, by_id};
use crate::{
    events::{Event, Wanted},
    graphql::{DateTime, Visit},
};

/// What happened to a payment.
#[derive(Enum, Clone, Copy, PartialEq, Eq)]
enum PaymentUpdateKind {
    /// It was paid.
    Succeeded,
    /// An attempt failed; it can be tried again.
    Failed,
    /// Money was given back, all or a part.
    Refunded,
    /// It was called off, or not paid in time.
    Cancelled,
}

/// The names of the events, and what each means.
const KINDS: [(&str, PaymentUpdateKind); 4] = [
    (v1::PaymentSucceeded::NAME, PaymentUpdateKind::Succeeded),
    (v1::PaymentFailed::NAME, PaymentUpdateKind::Failed),
    (v1::PaymentRefunded::NAME, PaymentUpdateKind::Refunded),
    (v1::PaymentCancelled::NAME, PaymentUpdateKind::Cancelled),
];

/// What all events of payments have in common, in its JSON form.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Subject {
    payment_id: String,
    order_id: String,
}

/// A payment to which something happened.
struct PaymentUpdated {
    event: Arc<Event>,
    kind: PaymentUpdateKind,
    subject: Subject,
}

impl PaymentUpdated {
    fn read(event: Arc<Event>) -> Result<Self, Refusal> {
        let kind = KINDS.iter().find(|(name, _)| event.cloud.name() == Some(name));
        let (_, kind) = *kind.ok_or_else(|| Refusal::internal("an event of no payment"))?;
        let subject = Subject::deserialize(&event.cloud.data).map_err(Refusal::internal)?;
        Ok(Self { event, kind, subject })
    }
}

/// A payment to which something happened.
#[Object]
impl PaymentUpdated {
    /// The id of the event, a UUID: `after` takes it.
    async fn event_id(&self) -> ID {
        self.event.cloud.id.into()
    }

    /// When it happened.
    async fn time(&self) -> DateTime {
        self.event.cloud.time.into()
    }

    /// What happened.
    async fn kind(&self) -> PaymentUpdateKind {
        self.kind
    }

    /// The payment's id.
    async fn payment_id(&self) -> ID {
        ID(self.subject.payment_id.clone())
    }

    /// The id of the order that it pays.
    async fn order_id(&self) -> ID {
        ID(self.subject.order_id.clone())
    }

    /// The payment as it is now, which may be further on.
    async fn payment(&self, context: &Context<'_>) -> Option<Result<Payment, Refusal>> {
        by_id(Visit::of(context), &self.subject.payment_id).await.transpose()
    }
}

/// The fields of `Subscription` about payments.
#[derive(Default)]
pub(in crate::graphql) struct PaymentSubscription;

#[Subscription]
impl PaymentSubscription {
    /// What happens to payments: to one's own, or to anyone's for an admin.
    async fn payment_updated(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "Only the payment of this order.")] order_id: Option<ID>,
        #[graphql(desc = "The event after which to begin; by default, now.")] after: Option<ID>,
    ) -> Result<impl Stream<Item = Result<PaymentUpdated, Refusal>>, Refusal> {
        let names = KINDS.map(|(name, _)| name);
        let wanted = Wanted::of(&names).about(order_id.as_ref())?.after(after.as_ref())?;
        Ok(Visit::of(context).events(wanted)?.map(PaymentUpdated::read))
    }
}
