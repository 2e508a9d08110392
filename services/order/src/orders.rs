//! What is done with orders. Each change is one transaction, which also holds the outbox row that tells of it.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use identity::{UserId, Viewer};
use messaging::Outbox;
use prost::Message;
use proto::order::v1::CreateOrderResponse;
use runtime::{
    Clock,
    idempotency::{Claim, Key},
    in_transaction,
    page::Page,
    postgres::Database,
};
use sqlx::PgConnection;

use crate::{
    error::Error,
    events,
    order::{By, Order, OrderDraft, OrderId, Status},
    product::{Product, ProductId},
    store::{self, OrderFilter},
};

/// The use cases of orders.
#[derive(Clone)]
pub(crate) struct Orders {
    database: Database,
    outbox: Outbox,
    clock: Clock,
}

impl Orders {
    pub(crate) fn new(database: Database, outbox: Outbox, clock: Clock) -> Self {
        Self { database, outbox, clock }
    }

    /// Places an order for `buyer`: two statements, of which the second writes everything and so needs no transaction
    /// around it. With an idempotency key there is one, and three statements more: a repeat under the same key gets the
    /// first response as it was.
    pub(crate) async fn create(
        &self,
        buyer: UserId,
        draft: OrderDraft,
        key: Option<Key>,
    ) -> Result<CreateOrderResponse, Error> {
        let response = match key {
            None => {
                let mut db = self.database.writes.acquire().await?;
                place(&mut db, buyer, &draft, self.clock.now()).await?
            }
            Some(key) => {
                let now = self.clock.now();
                in_transaction!(self.database.writes, |tx| {
                    place_once_in_tx(tx, buyer, &draft, &key, now).await
                })?
            }
        };
        self.outbox.wake();
        Ok(response)
    }

    /// One order; another's is not found.
    pub(crate) async fn get(&self, viewer: &Viewer, id: OrderId) -> Result<Order, Error> {
        store::order(&mut *self.database.reads.acquire().await?, id, viewer.scope())
            .await?
            .ok_or(Error::OrderNotFound)
    }

    /// Those of the orders that exist and that the viewer may see, in no order.
    pub(crate) async fn batch(&self, viewer: &Viewer, ids: &[OrderId]) -> Result<Vec<Order>, Error> {
        Ok(store::orders(&mut *self.database.reads.acquire().await?, ids, viewer.scope()).await?)
    }

    /// A page, newest first, with one order more than the page has if there is one; and the total if it is asked for.
    /// Of another's orders a customer sees an empty list.
    pub(crate) async fn list(
        &self,
        viewer: &Viewer,
        mut filter: OrderFilter,
        page: &Page<OrderId>,
    ) -> Result<(Vec<Order>, Option<i64>), Error> {
        if filter.user.is_some_and(|user| !viewer.may_access(user)) {
            return Ok((vec![], page.include_total.then_some(0)));
        }
        filter.user = filter.user.or(viewer.scope());
        let pool =
            if filter.user == Some(viewer.user_id) { &self.database.reads } else { &self.database.lists };
        let mut db = pool.acquire().await?;
        let orders = store::page_of_orders(&mut db, filter, page).await?;
        let total = if page.include_total { Some(store::count_orders(&mut db, filter).await?) } else { None };
        Ok((orders, total))
    }

    /// The newest `limit` orders of each of those users whose orders the viewer may see, grouped by user.
    pub(crate) async fn newest_of_each(
        &self,
        viewer: &Viewer,
        mut users: Vec<UserId>,
        limit: i64,
    ) -> Result<Vec<Order>, Error> {
        users.retain(|user| viewer.may_access(*user));
        users.sort_unstable();
        users.dedup();
        if users.is_empty() {
            return Ok(vec![]);
        }
        Ok(store::newest_orders_of_each(&mut *self.database.reads.acquire().await?, &users, limit).await?)
    }

    /// Gives an order another status on behalf of an admin.
    pub(crate) async fn update_status(&self, id: OrderId, next: Status) -> Result<Order, Error> {
        self.change(None, id, next, By::Admin, Error::StatusNotAllowed).await
    }

    /// Cancels an order of the viewer's, or any for an admin.
    pub(crate) async fn cancel(&self, viewer: &Viewer, id: OrderId) -> Result<Order, Error> {
        let by = if viewer.is_admin() { By::Admin } else { By::Owner };
        self.change(viewer.scope(), id, Status::Cancelled, by, Error::NotCancellable).await
    }

    /// Deletes an order that is over.
    pub(crate) async fn delete(&self, viewer: &Viewer, id: OrderId) -> Result<(), Error> {
        let now = self.clock.now();
        in_transaction!(self.database.writes, |tx| delete_in_tx(tx, viewer, id, now).await)?;
        self.outbox.wake();
        Ok(())
    }

    async fn change(
        &self,
        scope: Option<UserId>,
        id: OrderId,
        next: Status,
        by: By,
        refusal: Error,
    ) -> Result<Order, Error> {
        let order =
            in_transaction!(self.database.writes, |tx| self.change_in_tx(tx, scope, id, next, by).await)?;
        let order = order.ok_or(refusal)?;
        self.outbox.wake();
        Ok(order)
    }

    /// `None` where the order can't change like this.
    async fn change_in_tx(
        &self,
        tx: &mut PgConnection,
        scope: Option<UserId>,
        id: OrderId,
        next: Status,
        by: By,
    ) -> Result<Option<Order>, Error> {
        let mut order = store::lock_order_in_tx(tx, id, scope).await?.ok_or(Error::OrderNotFound)?;
        let changed = change_status_in_tx(tx, &mut order, next, by, self.clock.now()).await?;
        Ok(changed.then_some(order))
    }
}

async fn place_once_in_tx(
    tx: &mut PgConnection,
    buyer: UserId,
    draft: &OrderDraft,
    key: &Key,
    now: DateTime<Utc>,
) -> Result<CreateOrderResponse, Error> {
    if let Claim::Repeat(response) = key.claim_in_tx(tx, now).await? {
        return Ok(CreateOrderResponse::decode(response.as_slice())?);
    }
    let response = place(tx, buyer, draft, now).await?;
    key.store_in_tx(tx, &response.encode_to_vec()).await?;
    Ok(response)
}

async fn place(
    db: &mut PgConnection,
    buyer: UserId,
    draft: &OrderDraft,
    now: DateTime<Utc>,
) -> Result<CreateOrderResponse, Error> {
    let asked: Vec<_> = draft.lines.iter().map(|line| line.product_id.as_str()).collect();
    let products = store::products(db, &asked).await?;
    let products: HashMap<ProductId, Product> = products.into_iter().map(|p| (p.id.clone(), p)).collect();
    let order = Order::place(draft.clone(), buyer, &products, now)?;
    store::insert_order(db, &order, &events::created(&order)?).await?;
    Ok(CreateOrderResponse { order: Some(order.into()) })
}

async fn delete_in_tx(
    tx: &mut PgConnection,
    viewer: &Viewer,
    id: OrderId,
    now: DateTime<Utc>,
) -> Result<(), Error> {
    let mut order = store::lock_order_in_tx(tx, id, viewer.scope()).await?.ok_or(Error::OrderNotFound)?;
    if !order.status.is_over() {
        return Err(Error::NotDeletable);
    }
    order.touch(now);
    store::delete_order_in_tx(tx, &order).await?;
    Ok(Outbox::append_in_tx(tx, &[events::deleted(&order)?]).await?)
}

/// Gives an order that the caller has locked the status `next`, and says so in the outbox. Whether `by` may do that
/// is the answer; if not, nothing is written.
pub(crate) async fn change_status_in_tx(
    tx: &mut PgConnection,
    order: &mut Order,
    next: Status,
    by: By,
    now: DateTime<Utc>,
) -> Result<bool, Error> {
    let from = order.status;
    if !order.change_status(next, by, now) {
        return Ok(false);
    }
    store::update_status_in_tx(tx, order).await?;
    Outbox::append_in_tx(tx, &[events::status_changed(order, from)?]).await?;
    Ok(true)
}
