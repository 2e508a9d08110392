//! An order: its types, how it is priced, and which status follows which. No I/O.

use std::{collections::HashMap, fmt, str::FromStr};

use chrono::{DateTime, Utc};
use identity::UserId;
use money::{Currency, Money};
use uuid::Uuid;

use crate::{
    error::Error,
    product::{Product, ProductId},
};

/// The id of an order: a UUIDv7, so that the order of the ids is that of the times.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct OrderId(pub(crate) Uuid);

impl FromStr for OrderId {
    type Err = uuid::Error;

    fn from_str(text: &str) -> Result<Self, uuid::Error> {
        text.parse().map(Self)
    }
}

impl fmt::Display for OrderId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Where an order stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, sqlx::Type)]
#[sqlx(type_name = "text", rename_all = "SCREAMING_SNAKE_CASE")]
pub(crate) enum Status {
    /// Placed, not yet paid.
    Pending,
    /// Paid.
    Confirmed,
    Shipped,
    Delivered,
    Cancelled,
}

/// On whose behalf a status changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum By {
    /// What became of the order's payment.
    Saga,
    /// An admin.
    Admin,
    /// The customer whose order it is.
    Owner,
}

/// Every change of status that there is, and who may make it.
const TRANSITIONS: [(Status, Status, &[By]); 5] = [
    (Status::Pending, Status::Confirmed, &[By::Saga]),
    (Status::Confirmed, Status::Shipped, &[By::Admin]),
    (Status::Shipped, Status::Delivered, &[By::Admin]),
    (Status::Pending, Status::Cancelled, &[By::Saga, By::Admin, By::Owner]),
    (Status::Confirmed, Status::Cancelled, &[By::Admin, By::Owner]),
];

impl Status {
    /// Whether an order in this status may get the status `next` from `by`.
    pub(crate) fn may_become(self, next: Self, by: By) -> bool {
        TRANSITIONS.iter().any(|(from, to, who)| (*from, *to) == (self, next) && who.contains(&by))
    }

    /// Whether an order in this status is over, so that it can be deleted.
    pub(crate) fn is_over(self) -> bool {
        matches!(self, Self::Cancelled | Self::Delivered)
    }
}

/// An order.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Order {
    pub(crate) id: OrderId,
    pub(crate) user_id: UserId,
    pub(crate) status: Status,
    /// The sum over the items of quantity times unit price; its currency is that of every item.
    pub(crate) total: Money,
    pub(crate) shipping_address: String,
    pub(crate) notes: String,
    /// In the order in which they were given; at least one.
    pub(crate) items: Vec<Item>,
    /// Grows by one with each change: the sequence of its events.
    pub(crate) version: i64,
    pub(crate) created_at: DateTime<Utc>,
    pub(crate) updated_at: DateTime<Utc>,
}

/// A line of an order; name and price as they were when it was placed.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Item {
    pub(crate) product_id: ProductId,
    pub(crate) product_name: String,
    pub(crate) quantity: i32,
    pub(crate) unit_price: Money,
}

/// An order as it is asked for.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct OrderDraft {
    pub(crate) shipping_address: String,
    pub(crate) notes: String,
    /// `None` for that of the products.
    pub(crate) currency: Option<Currency>,
    pub(crate) lines: Vec<LineDraft>,
}

/// A line as it is asked for.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct LineDraft {
    pub(crate) product_id: ProductId,
    /// From 1 to 10,000.
    pub(crate) quantity: i32,
    /// The price that the buyer saw, as decimal text: only the product knows how many decimals it may have.
    pub(crate) seen_price: Option<String>,
}

impl Order {
    /// The order that `buyer` places at `now`, priced from `products` alone.
    ///
    /// # Errors
    /// The first line that names no product, a withdrawn one or one in another currency, or that carries a price other
    /// than the product's; and a total that does not fit into 64 bits.
    pub(crate) fn place(
        draft: OrderDraft,
        buyer: UserId,
        products: &HashMap<ProductId, Product>,
        now: DateTime<Utc>,
    ) -> Result<Self, Error> {
        let mut items = Vec::with_capacity(draft.lines.len());
        for (line, asked) in draft.lines.into_iter().enumerate() {
            let product = products.get(&asked.product_id).ok_or(Error::ProductUnknown { line })?;
            items.push(Item::priced(asked, product, line)?);
        }
        let currency = match (draft.currency, items.first()) {
            (Some(asked), _) => asked,
            (None, Some(first)) => first.unit_price.currency,
            (None, None) => return Err(Error::ProductUnknown { line: 0 }),
        };
        if let Some(line) = items.iter().position(|item| item.unit_price.currency != currency) {
            return Err(Error::CurrencyMismatch { line });
        }
        Ok(Self {
            id: OrderId(Uuid::now_v7()),
            user_id: buyer,
            status: Status::Pending,
            total: Money::new(sum(&items).ok_or(Error::TotalTooLarge)?, currency),
            shipping_address: draft.shipping_address,
            notes: draft.notes,
            items,
            version: 1,
            created_at: now,
            updated_at: now,
        })
    }

    /// Gives the order the status `next`; says whether `by` may do that. If not, nothing changed.
    pub(crate) fn change_status(&mut self, next: Status, by: By, now: DateTime<Utc>) -> bool {
        let allowed = self.status.may_become(next, by);
        if allowed {
            self.status = next;
            self.touch(now);
        }
        allowed
    }

    /// Counts a change.
    pub(crate) fn touch(&mut self, now: DateTime<Utc>) {
        self.version += 1;
        self.updated_at = now;
    }
}

impl Item {
    /// The line at the product's price, unless the buyer saw another.
    fn priced(asked: LineDraft, product: &Product, line: usize) -> Result<Self, Error> {
        if !product.active {
            return Err(Error::ProductNotAvailable { line });
        }
        if let Some(seen) = asked.seen_price {
            let seen = Money::parse(&seen, product.unit_price.currency)
                .map_err(|why| Error::PriceInvalid { line, why })?;
            if seen != product.unit_price {
                return Err(Error::PriceChanged { line });
            }
        }
        Ok(Self {
            product_id: asked.product_id,
            product_name: product.name.clone(),
            quantity: asked.quantity,
            unit_price: product.unit_price,
        })
    }
}

/// The sum in minor units; `None` when it does not fit.
fn sum(items: &[Item]) -> Option<i64> {
    items.iter().try_fold(0_i64, |sum, item| {
        sum.checked_add(item.unit_price.minor_units.checked_mul(i64::from(item.quantity))?)
    })
}

#[cfg(test)]
mod tests;
