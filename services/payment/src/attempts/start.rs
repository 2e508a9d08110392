//! Step 1: an attempt is written as STARTED, under the client's idempotency key and the payment's row lock.

use chrono::{DateTime, Utc};
use identity::Viewer;
use runtime::{
    idempotency::{Claim, Key},
    in_transaction,
};
use sqlx::PgConnection;
use uuid::Uuid;

use super::{Attempt, Attempts, Kind, RefundRequest, Started, begin_refund, decode};
use crate::{
    error::Error,
    grpc::convert,
    payment::{AttemptId, Payment, PaymentId},
    store,
};

impl Attempts {
    /// Step 1 of a charge.
    ///
    /// # Errors
    /// When the viewer has no such payment, when it can't be charged now, and when the key is in use.
    pub async fn start_charge(
        &self,
        viewer: Viewer,
        id: PaymentId,
        key: Option<&Key>,
    ) -> Result<Started, Error> {
        in_transaction!(self.database.writes, |tx| self.start_charge_in_tx(tx, viewer, id, key).await)
    }

    async fn start_charge_in_tx(
        &self,
        tx: &mut PgConnection,
        viewer: Viewer,
        id: PaymentId,
        key: Option<&Key>,
    ) -> Result<Started, Error> {
        let now = self.clock.now();
        if let Some(answered) = claim_in_tx(tx, &Kind::Charge, key, now).await? {
            return Ok(answered);
        }
        let mut payment = store::lock_in_tx(tx, id, viewer.scope()).await?.ok_or(Error::PaymentNotFound)?;
        let attempt = Attempt {
            id: AttemptId(Uuid::now_v7()),
            payment_id: id,
            kind: Kind::Charge,
            amount: payment.amount,
            reason: String::new(),
            requested_by: Some(viewer.user_id),
            idempotency_key: key.map(|key| key.text().to_owned()),
        };
        payment.begin_charge(attempt.id, now)?;
        self.write_in_tx(tx, attempt, &payment, now).await
    }

    /// Step 1 of a refund. That the viewer is an admin was checked before.
    ///
    /// # Errors
    /// When there is no such payment, when it can't give that much back, and when the key is in use.
    pub async fn start_refund(&self, viewer: Viewer, request: RefundRequest) -> Result<Started, Error> {
        in_transaction!(self.database.writes, |tx| {
            self.start_refund_in_tx(tx, viewer, request.clone()).await
        })
    }

    async fn start_refund_in_tx(
        &self,
        tx: &mut PgConnection,
        viewer: Viewer,
        request: RefundRequest,
    ) -> Result<Started, Error> {
        let RefundRequest { payment_id, amount, reason, key } = request;
        let now = self.clock.now();
        // Which stored answer a repeat reads depends on the operation alone; the transaction id plays no part.
        let refund = Kind::Refund { transaction_id: String::new() };
        if let Some(answered) = claim_in_tx(tx, &refund, key.as_ref(), now).await? {
            return Ok(answered);
        }
        let mut payment =
            store::lock_in_tx(tx, payment_id, viewer.scope()).await?.ok_or(Error::PaymentNotFound)?;
        let minor_units = match amount {
            Some(text) => convert::amount(&text, payment.currency())?.minor_units,
            None => payment.left(),
        };
        let mut attempt = begin_refund(&mut payment, minor_units, reason)?;
        attempt.requested_by = Some(viewer.user_id);
        attempt.idempotency_key = key.map(|key| key.text().to_owned());
        self.write_in_tx(tx, attempt, &payment, now).await
    }

    async fn write_in_tx(
        &self,
        tx: &mut PgConnection,
        attempt: Attempt,
        payment: &Payment,
        now: DateTime<Utc>,
    ) -> Result<Started, Error> {
        store::attempts::insert_in_tx(tx, &attempt, now, now + self.timing.recover_after).await?;
        store::save_in_tx(tx, payment).await?;
        Ok(Started::New(attempt))
    }
}

/// Claims the key of a request; gives the first answer if there was one.
async fn claim_in_tx(
    tx: &mut PgConnection,
    kind: &Kind,
    key: Option<&Key>,
    now: DateTime<Utc>,
) -> Result<Option<Started>, Error> {
    let Some(key) = key else { return Ok(None) };
    match key.claim_in_tx(tx, now).await? {
        Claim::First => Ok(None),
        Claim::Repeat(response) => Ok(Some(Started::Repeat(Box::new(decode(kind, &response)?)))),
    }
}
