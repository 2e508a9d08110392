//! Attempts at the provider: steps, each of which commits before the next begins, so that a crash between any two of
//! them is healed by what the database holds.
//!
//! 1. *start*: under the payment's row lock the attempt is written as STARTED, and a refund reserves its amount;
//! 2. *call*: the provider is called outside any transaction, with the attempt's id as its idempotency key;
//! 3. *decide*: under the same lock the result, the events and the answer to the client's idempotency key are written.
//!
//! Step 1 is in `start`; attempts that stayed STARTED are the recoverer's, in `recovery`.

mod recovery;
mod start;

use std::sync::Arc;

use chrono::{DateTime, Utc};
use identity::UserId;
use messaging::{Event, Outbox};
use money::Money;
use prost::Message;
use proto::payment::v1 as api;
use runtime::{
    Clock,
    idempotency::{self, Key},
    in_transaction,
    postgres::Database,
};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::{
    config::Timing,
    error::Error,
    events,
    grpc::convert,
    payment::{AfterCancel, AttemptId, Payment, PaymentId},
    provider::{Outcome, Provider, Undecided},
    store,
};

/// The reason of a refund that follows from the cancel of an order.
const ORDER_CANCELLED: &str = "order_cancelled";

/// What an attempt asks of the provider.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// To take the payment's amount.
    Charge,
    /// To give some of it back.
    Refund {
        /// The provider's id of the charge.
        transaction_id: String,
    },
}

impl Kind {
    /// Its name in the database.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Charge => "CHARGE",
            Self::Refund { .. } => "REFUND",
        }
    }

    /// The operation in whose scope its idempotency key is.
    pub fn operation(&self) -> &'static str {
        match self {
            Self::Charge => PROCESS,
            Self::Refund { .. } => REFUND,
        }
    }
}

/// The operation that charges, as idempotency keys know it.
pub const PROCESS: &str = "processPayment";
/// The operation that refunds, as idempotency keys know it.
pub const REFUND: &str = "refundPayment";

/// An attempt at the provider that was committed as STARTED.
#[derive(Clone, Debug, PartialEq)]
pub struct Attempt {
    /// Its id, and the provider's idempotency key.
    pub id: AttemptId,
    /// The payment that it is about.
    pub payment_id: PaymentId,
    /// What it asks.
    pub kind: Kind,
    /// How much.
    pub amount: Money,
    /// Why a refund is given; empty for a charge.
    pub reason: String,
    /// Who asked for it; `None` for a refund that follows from the cancel of an order.
    pub requested_by: Option<UserId>,
    /// The idempotency key of their request.
    pub idempotency_key: Option<String>,
}

/// A refund that is asked for.
#[derive(Clone, Debug)]
pub struct RefundRequest {
    /// Of which payment.
    pub payment_id: PaymentId,
    /// How much, as decimal text in the payment's currency, which is known once the payment is read; `None` for all
    /// that is left.
    pub amount: Option<String>,
    /// Why.
    pub reason: String,
    /// The client's idempotency key.
    pub key: Option<Key>,
}

/// What came of asking for an attempt.
#[derive(Clone, Debug, PartialEq)]
pub enum Started {
    /// It is committed as STARTED.
    New(Attempt),
    /// The request was answered before, with this payment.
    Repeat(Box<api::Payment>),
}

/// Makes attempts at one provider for the payments of one database. Clones are the same.
#[derive(Clone)]
pub struct Attempts {
    pub(crate) database: Database,
    pub(crate) outbox: Outbox,
    pub(crate) clock: Clock,
    provider: Arc<dyn Provider>,
    timing: Timing,
}

impl Attempts {
    /// Attempts at `provider` for the payments behind `outbox` in `database`.
    pub fn new(
        database: Database,
        outbox: Outbox,
        clock: Clock,
        provider: Arc<dyn Provider>,
        timing: Timing,
    ) -> Self {
        Self { database, outbox, clock, provider, timing }
    }

    /// Whether `token` can be a payment method's token at the provider.
    pub fn accepts(&self, token: &str) -> bool {
        self.provider.accepts(token)
    }

    /// Step 2 of a charge: calls the provider.
    ///
    /// # Errors
    /// When the provider gives no result in time.
    pub async fn charge(&self, attempt: &Attempt, token: &str) -> Result<Outcome, Undecided> {
        self.in_time(self.provider.charge(attempt.id, token, attempt.amount)).await
    }

    /// Step 2 without a token: of a refund, and of an attempt whose call was not answered. However often it is
    /// called, the money moves at most once.
    ///
    /// # Errors
    /// When the provider gives no result in time.
    pub async fn conclude(&self, attempt: &Attempt) -> Result<Outcome, Undecided> {
        self.in_time(match &attempt.kind {
            Kind::Charge => self.provider.settle(attempt.id),
            Kind::Refund { transaction_id } => {
                self.provider.refund(attempt.id, transaction_id, attempt.amount)
            }
        })
        .await
    }

    async fn in_time(
        &self,
        call: impl Future<Output = Result<Outcome, Undecided>>,
    ) -> Result<Outcome, Undecided> {
        tokio::time::timeout(self.timing.provider_timeout, call).await.unwrap_or(Err(Undecided::TimedOut))
    }

    /// Step 3: writes what became of the attempt, unless another did, and gives the payment as it is then.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn decide(&self, attempt: &Attempt, outcome: &Outcome) -> Result<api::Payment, Error> {
        let answer = in_transaction!(self.database.writes, |tx| {
            decide_in_tx(tx, attempt, outcome, self.clock.now()).await
        })?;
        self.outbox.wake();
        Ok(answer)
    }
}

async fn decide_in_tx(
    tx: &mut PgConnection,
    attempt: &Attempt,
    outcome: &Outcome,
    now: DateTime<Utc>,
) -> Result<api::Payment, Error> {
    let mut payment = store::lock_in_tx(tx, attempt.payment_id, None).await?.ok_or(Error::PaymentNotFound)?;
    if !store::attempts::decide_in_tx(tx, attempt.id, outcome, now).await? {
        return Ok(convert::payment(payment));
    }
    let mut told = Vec::from_iter(apply(&mut payment, attempt, outcome, now)?);
    // A refund for a cancelled order that the provider declines is for people to look at: it would be declined
    // again and again.
    let gave_up = attempt.requested_by.is_none() && matches!(outcome, Outcome::Declined { .. });
    if gave_up {
        tracing::error!(attempt = %attempt.id.0, "the refund for a cancelled order was declined");
    } else {
        told.extend(honour_cancel_in_tx(tx, &mut payment, now).await?);
    }
    store::save_in_tx(tx, &payment).await?;
    Outbox::append_in_tx(tx, &told).await?;
    let answer = convert::payment(payment);
    if let (Some(user), Some(key)) = (attempt.requested_by, &attempt.idempotency_key) {
        let response = encode(&attempt.kind, &answer);
        idempotency::store_in_tx(tx, user, attempt.kind.operation(), key, &response).await?;
    }
    Ok(answer)
}

/// Makes the transition that an outcome asks for; gives the event that tells of it. That a refund was declined is told
/// to nobody: it changes nothing for anyone but the admin, who reads the answer.
fn apply(
    payment: &mut Payment,
    attempt: &Attempt,
    outcome: &Outcome,
    now: DateTime<Utc>,
) -> Result<Option<Event>, serde_json::Error> {
    let minor_units = attempt.amount.minor_units;
    match (&attempt.kind, outcome) {
        (Kind::Charge, Outcome::Succeeded { transaction_id, method }) => {
            payment.charged(transaction_id, method, now);
            events::succeeded(payment).map(Some)
        }
        (Kind::Charge, Outcome::Declined { reason }) => {
            payment.declined(reason, now);
            events::failed(payment).map(Some)
        }
        (Kind::Refund { .. }, Outcome::Succeeded { .. }) => {
            payment.refunded(minor_units, now);
            events::refunded(payment, attempt.amount, &attempt.reason).map(Some)
        }
        (Kind::Refund { .. }, Outcome::Declined { reason }) => {
            payment.refund_declined(minor_units, reason, now);
            Ok(None)
        }
    }
}

/// Does what the cancel of its order asks of a payment: cancels it, or begins the refund of all that is left, which
/// the recoverer makes. Gives what is to be told. The caller holds the row's lock and saves the payment.
pub(crate) async fn honour_cancel_in_tx(
    tx: &mut PgConnection,
    payment: &mut Payment,
    now: DateTime<Utc>,
) -> Result<Option<Event>, Error> {
    match payment.after_cancel() {
        AfterCancel::Nothing => Ok(None),
        AfterCancel::Cancel => {
            payment.cancelled(now);
            Ok(Some(events::cancelled(payment, ORDER_CANCELLED)?))
        }
        AfterCancel::Refund(minor_units) => {
            let attempt = begin_refund(payment, minor_units, ORDER_CANCELLED.to_owned())?;
            store::attempts::insert_in_tx(tx, &attempt, now, now).await?;
            Ok(None)
        }
    }
}

/// Reserves a refund and gives its attempt, in nobody's name.
fn begin_refund(payment: &mut Payment, minor_units: i64, reason: String) -> Result<Attempt, Error> {
    payment.begin_refund(minor_units)?;
    let transaction_id = payment.transaction_id.clone().ok_or(Error::NotRefundable)?;
    Ok(Attempt {
        id: AttemptId(Uuid::now_v7()),
        payment_id: payment.id,
        kind: Kind::Refund { transaction_id },
        amount: Money::new(minor_units, payment.currency()),
        reason,
        requested_by: None,
        idempotency_key: None,
    })
}

/// The response that a repeat of the request gets.
fn encode(kind: &Kind, payment: &api::Payment) -> Vec<u8> {
    let payment = Some(payment.clone());
    match kind {
        Kind::Charge => api::ProcessPaymentResponse { payment }.encode_to_vec(),
        Kind::Refund { .. } => api::RefundPaymentResponse { payment }.encode_to_vec(),
    }
}

/// Reads what [`encode`] wrote.
fn decode(kind: &Kind, response: &[u8]) -> Result<api::Payment, Error> {
    let payment = match kind {
        Kind::Charge => api::ProcessPaymentResponse::decode(response).map(|response| response.payment),
        Kind::Refund { .. } => api::RefundPaymentResponse::decode(response).map(|response| response.payment),
    };
    payment.map_err(Error::internal)?.ok_or_else(|| Error::internal("a stored response holds no payment"))
}
