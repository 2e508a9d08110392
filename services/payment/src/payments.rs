//! The use cases: each read is one statement, each change goes through the payment's row lock.

use chrono::{DateTime, Utc};
use identity::{UserId, Viewer};
use messaging::Outbox;
use money::Money;
use proto::{common::v1::PageInfo, payment::v1 as api};
use runtime::{Clock, idempotency::Key, in_transaction, page::Page, postgres::Database, trace::carried};
use sqlx::{PgConnection, PgPool};
use uuid::Uuid;

use crate::{
    attempts::{Attempts, RefundRequest, Started, honour_cancel_in_tx},
    config::Timing,
    error::Error,
    events,
    payment::{OrderId, Payment, PaymentId, Status},
    store,
};

/// The most payments that expire in one transaction, to hold no locks for long.
const EXPIRED_AT_ONCE: i64 = 200;
/// The reason of a cancel because the window is over.
const EXPIRED: &str = "expired";

/// Which payments a list shows.
#[derive(Clone, Copy, Debug, Default)]
pub struct Filter {
    /// Whose; `None` for all that the viewer may see.
    pub user: Option<UserId>,
    /// In which status; `None` for all.
    pub status: Option<Status>,
}

/// The payments of one database. Clones are the same.
#[derive(Clone)]
pub struct Payments {
    database: Database,
    outbox: Outbox,
    clock: Clock,
    attempts: Attempts,
    timing: Timing,
}

impl Payments {
    /// The payments behind `attempts`.
    pub fn new(attempts: Attempts, timing: Timing) -> Self {
        let (database, outbox, clock) =
            (attempts.database.clone(), attempts.outbox.clone(), attempts.clock.clone());
        Self { database, outbox, clock, attempts, timing }
    }

    /// The payment that an order's event made.
    ///
    /// # Errors
    /// ORDER_NOT_READY: not yet, no such order, or not the viewer's; the three answer alike.
    pub async fn of_order(&self, viewer: Viewer, order: OrderId) -> Result<Payment, Error> {
        self.of_orders(viewer, &[order.0]).await?.pop().ok_or(Error::OrderNotReady)
    }

    /// One payment.
    ///
    /// # Errors
    /// When the viewer may see no such payment.
    pub async fn get(&self, viewer: Viewer, id: PaymentId) -> Result<Payment, Error> {
        self.batch(viewer, &[id.0]).await?.pop().ok_or(Error::PaymentNotFound)
    }

    /// Those of the payments that exist and that the viewer may see, in no order.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn batch(&self, viewer: Viewer, ids: &[Uuid]) -> Result<Vec<Payment>, Error> {
        let mut db = self.database.reads.acquire().await?;
        Ok(store::by_ids(&mut db, ids, viewer.scope()).await?)
    }

    /// The payments of those of the orders that have one that the viewer may see, in no order.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn of_orders(&self, viewer: Viewer, orders: &[Uuid]) -> Result<Vec<Payment>, Error> {
        let mut db = self.database.reads.acquire().await?;
        Ok(store::by_orders(&mut db, orders, viewer.scope()).await?)
    }

    /// A page of the payments that the viewer may see, newest first. It is empty where `filter` names another user.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn list(
        &self,
        viewer: Viewer,
        filter: Filter,
        page: Page<Uuid>,
    ) -> Result<(Vec<Payment>, PageInfo), Error> {
        if filter.user.is_some_and(|user| !viewer.may_access(user)) {
            let total = page.include_total.then_some(0);
            return Ok((vec![], PageInfo { has_more: false, end_cursor: String::new(), total }));
        }
        let owner = viewer.scope().or(filter.user);
        let pool = if owner == Some(viewer.user_id) { &self.database.reads } else { &self.database.lists };
        let mut db = pool.acquire().await?;
        let mut payments = store::list(&mut db, owner, filter.status, page.after, page.fetch()).await?;
        let total =
            if page.include_total { Some(store::count(&mut db, owner, filter.status).await?) } else { None };
        let info = page.finish(&mut payments, total, |payment| payment.id.0);
        Ok((payments, info))
    }

    /// Charges a payment by a token of the provider. A declined charge is an answer, not an error: the payment is
    /// PENDING and has its reason. What was begun goes on when the client goes away.
    ///
    /// # Errors
    /// When the token is unknown, when the payment can't be charged now, and when the provider gives no result in
    /// time.
    pub async fn process(
        &self,
        viewer: Viewer,
        id: PaymentId,
        token: String,
        key: Option<Key>,
    ) -> Result<api::Payment, Error> {
        let attempts = self.attempts.clone();
        to_its_end(async move {
            match attempts.start_charge(viewer, id, key.as_ref()).await? {
                Started::Repeat(payment) => Ok(*payment),
                Started::New(attempt) => {
                    let outcome = attempts.charge(&attempt, &token).await?;
                    attempts.decide(&attempt, &outcome).await
                }
            }
        })
        .await
    }

    /// Gives money back. What was begun goes on when the client goes away.
    ///
    /// # Errors
    /// When there is no such payment, when it can't give that much back, and when the provider gives no result in
    /// time.
    pub async fn refund(&self, viewer: Viewer, request: RefundRequest) -> Result<api::Payment, Error> {
        let attempts = self.attempts.clone();
        to_its_end(async move {
            match attempts.start_refund(viewer, request).await? {
                Started::Repeat(payment) => Ok(*payment),
                Started::New(attempt) => {
                    let outcome = attempts.conclude(&attempt).await?;
                    attempts.decide(&attempt, &outcome).await
                }
            }
        })
        .await
    }

    /// Makes the payment of an order that was placed, unless it has one.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn order_created_in_tx(
        &self,
        tx: &mut PgConnection,
        order: OrderId,
        user: UserId,
        total: Money,
    ) -> Result<(), sqlx::Error> {
        let now = self.clock.now();
        let payment = Payment {
            id: PaymentId(Uuid::now_v7()),
            order_id: order,
            user_id: user,
            amount: total,
            refunded: 0,
            reserved: 0,
            status: Status::Pending,
            method: None,
            transaction_id: None,
            failure_reason: None,
            paid_at: None,
            window_ends_at: now + self.timing.window,
            charging: None,
            order_cancelled: false,
            version: 1,
            created_at: now,
            updated_at: now,
        };
        store::insert_in_tx(tx, &payment).await?;
        Ok(())
    }

    /// Cancels the payment of an order that was cancelled, or gives back what it took; at once, or once the charge
    /// under way is decided. An order that has none yet gets its payment here, and that is cancelled: then the event
    /// that the order was placed, should it ever come, has nothing left to make.
    ///
    /// # Errors
    /// When the database fails. [`Error::OrderNotReady`] when a payment must be made and `total` is not told, as in
    /// events of earlier versions.
    pub async fn order_cancelled_in_tx(
        &self,
        tx: &mut PgConnection,
        order: OrderId,
        user: UserId,
        total: Option<Money>,
    ) -> Result<(), Error> {
        if let Some(total) = total {
            self.order_created_in_tx(tx, order, user, total).await?;
        }
        let mut payment = store::lock_of_order_in_tx(tx, order).await?.ok_or(Error::OrderNotReady)?;
        if payment.order_cancelled {
            return Ok(());
        }
        payment.order_cancelled = true;
        let told = honour_cancel_in_tx(tx, &mut payment, self.clock.now()).await?;
        store::save_in_tx(tx, &payment).await?;
        Outbox::append_in_tx(tx, told.as_slice()).await?;
        Ok(())
    }

    /// Cancels payments whose window was over at `now`, and gives how many; a charge that is under way is waited for.
    /// Several replicas may do this at the same time.
    ///
    /// # Errors
    /// When the database fails. What is left then is found the next time.
    pub async fn expire_once(&self, now: DateTime<Utc>) -> Result<usize, Error> {
        let expired = in_transaction!(self.database.writes, |tx| expire_in_tx(tx, now).await)?;
        if expired > 0 {
            self.outbox.wake();
        }
        Ok(expired)
    }

    /// The attempts at the provider.
    pub fn attempts(&self) -> &Attempts {
        &self.attempts
    }

    /// Wakes the relay, after a commit.
    pub(crate) fn wake(&self) {
        self.outbox.wake();
    }

    /// The database.
    pub(crate) fn pool(&self) -> &PgPool {
        self.database.writes.raw()
    }
}

async fn expire_in_tx(tx: &mut PgConnection, now: DateTime<Utc>) -> Result<usize, Error> {
    let expired = store::expire_in_tx(tx, now, EXPIRED_AT_ONCE).await?;
    let told: Result<Vec<_>, _> = expired.iter().map(|payment| events::cancelled(payment, EXPIRED)).collect();
    Outbox::append_in_tx(tx, &told?).await?;
    Ok(expired.len())
}

/// Runs `work` to its end, even if the caller is dropped because the client went away.
async fn to_its_end<T: Send + 'static>(
    work: impl Future<Output = Result<T, Error>> + Send + 'static,
) -> Result<T, Error> {
    tokio::spawn(carried(work)).await.unwrap_or_else(|panic| Err(Error::internal(panic)))
}
