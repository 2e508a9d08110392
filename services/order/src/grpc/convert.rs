//! Between messages and types: what comes in is held against the rules of its form, field by field, and what goes out
//! is moved, not copied.

use std::ops::RangeInclusive;

use identity::UserId;
use money::{Currency, Money};
use proto::{common::v1 as common, order::v1 as pb};
use runtime::{Refusal, page};
use uuid::Uuid;

use crate::{
    SeedProduct,
    error::Error,
    order::{Item, LineDraft, Order, OrderDraft, OrderId, Status},
    product::{self, Product, ProductDraft, ProductId},
    store::OrderFilter,
};

const MAX_ITEMS: usize = 100;
const QUANTITIES: RangeInclusive<i32> = 1..=10_000;
const ADDRESS_LENGTH: RangeInclusive<usize> = 1..=500;
const NOTES_LENGTH: RangeInclusive<usize> = 0..=2_000;
const NAME_LENGTH: RangeInclusive<usize> = 1..=200;

/// The id of an order. Text that is none answers as an order that does not exist.
pub(crate) fn order_id(text: &str) -> Result<OrderId, Error> {
    text.parse().map_err(|_| Error::OrderNotFound)
}

/// An order as it is asked for.
///
/// # Errors
/// Names the first field that breaks a rule.
pub(crate) fn order_draft(request: pb::CreateOrderRequest) -> Result<OrderDraft, Error> {
    let shipping_address = lines_of_text(request.shipping_address, &ADDRESS_LENGTH).ok_or_else(|| {
        let rule = "must have 1 to 500 characters and no control characters";
        Refusal::bad_input("SHIPPING_ADDRESS_INVALID", "shippingAddress", rule)
    })?;
    let notes = lines_of_text(request.notes, &NOTES_LENGTH).ok_or_else(|| {
        Refusal::bad_input(
            "NOTES_INVALID",
            "notes",
            "must have at most 2000 characters and no control characters",
        )
    })?;
    let currency = if request.currency.is_empty() { None } else { Some(currency(&request.currency)?) };
    if request.items.is_empty() {
        return Err(Refusal::bad_input("ITEMS_EMPTY", "items", "must not be empty").into());
    }
    if request.items.len() > MAX_ITEMS {
        return Err(Refusal::bad_input("TOO_MANY_ITEMS", "items", "must be at most 100").into());
    }
    let lines = request.items.into_iter().enumerate().map(line_draft).collect::<Result<_, _>>()?;
    Ok(OrderDraft { shipping_address, notes, currency, lines })
}

fn line_draft((line, item): (usize, pb::NewOrderItem)) -> Result<LineDraft, Error> {
    if !QUANTITIES.contains(&item.quantity) {
        let field = format!("items.{line}.quantity");
        return Err(Refusal::bad_input("QUANTITY_OUT_OF_RANGE", field, "must be from 1 to 10000").into());
    }
    // What can't be the id of a product names none.
    let product_id = item.product_id.try_into().map_err(|_| Error::ProductUnknown { line })?;
    Ok(LineDraft { product_id, quantity: item.quantity, seen_price: item.unit_price })
}

/// Which orders are asked for.
pub(crate) fn order_filter(request: &pb::ListOrdersRequest) -> Result<OrderFilter, Refusal> {
    let user = match request.user_id.as_str() {
        "" => None,
        // What is no id belongs to nobody, as the nil one does.
        text => Some(text.parse().unwrap_or(UserId(Uuid::nil()))),
    };
    let status = if request.status == 0 { None } else { Some(next_status(request.status)?) };
    Ok(OrderFilter { user, status })
}

/// A status that is named; the unspecified one is none.
pub(crate) fn next_status(number: i32) -> Result<Status, Refusal> {
    match pb::OrderStatus::try_from(number) {
        Ok(pb::OrderStatus::Pending) => Ok(Status::Pending),
        Ok(pb::OrderStatus::Confirmed) => Ok(Status::Confirmed),
        Ok(pb::OrderStatus::Shipped) => Ok(Status::Shipped),
        Ok(pb::OrderStatus::Delivered) => Ok(Status::Delivered),
        Ok(pb::OrderStatus::Cancelled) => Ok(Status::Cancelled),
        Ok(pb::OrderStatus::Unspecified) | Err(_) => {
            Err(Refusal::bad_input("ORDER_STATUS_INVALID", "status", "must be a status of an order"))
        }
    }
}

/// How many rows of each key a batch asks for; the same rule as for a page.
pub(crate) fn limit(limit: i32) -> Result<i64, Refusal> {
    let page = common::PageRequest { limit, ..Default::default() };
    Ok(page::Page::<Uuid>::parse(Some(page))?.limit)
}

/// A product as an admin wants it to be.
///
/// # Errors
/// Names the first field that breaks a rule.
pub(crate) fn product_draft(request: pb::UpsertProductRequest) -> Result<ProductDraft, Refusal> {
    let price = request.unit_price.unwrap_or_default();
    let unit_price = Money::new(price.minor_units, currency(&price.currency)?);
    if unit_price.minor_units < 0 {
        return Err(Refusal::bad_input("PRICE_INVALID", "unitPrice", "must not be negative"));
    }
    named_product(request.id, request.name, unit_price, request.active)
}

/// A product that a new system begins with.
///
/// # Errors
/// As [`product_draft`].
pub(crate) fn seed_product(seed: &SeedProduct<'_>) -> Result<ProductDraft, Refusal> {
    let unit_price = Money::parse(seed.unit_price, currency(seed.currency)?)
        .map_err(|why| Refusal::bad_input("PRICE_INVALID", "unitPrice", why))?;
    named_product(seed.id.to_owned(), seed.name.to_owned(), unit_price, None)
}

fn named_product(
    id: String,
    name: String,
    unit_price: Money,
    active: Option<bool>,
) -> Result<ProductDraft, Refusal> {
    let id = ProductId::try_from(id).map_err(|_| {
        let rule = "must be 1 to 64 letters, digits, '.', '_' or '-', and begin with a letter or digit";
        Refusal::bad_input("PRODUCT_ID_INVALID", "id", rule)
    })?;
    let fits = NAME_LENGTH.contains(&name.chars().count()) && !name.trim().is_empty();
    if !fits || name.chars().any(char::is_control) {
        let rule = "must have 1 to 200 characters and no control characters";
        return Err(Refusal::bad_input("PRODUCT_NAME_INVALID", "name", rule));
    }
    Ok(ProductDraft { id, name, unit_price, active })
}

fn currency(code: &str) -> Result<Currency, Refusal> {
    product::currency(code).ok_or_else(|| {
        Refusal::bad_input("CURRENCY_UNKNOWN", "currency", "must be an ISO 4217 code such as USD")
    })
}

/// Text of one or more lines, of a length in characters; `None` when it is something else. Blanks alone are no text
/// where there must be some.
fn lines_of_text(text: String, length: &RangeInclusive<usize>) -> Option<String> {
    let is_text = |c: char| !c.is_control() || matches!(c, '\n' | '\r' | '\t');
    let enough = *length.start() == 0 || !text.trim().is_empty();
    (enough && length.contains(&text.chars().count()) && text.chars().all(is_text)).then_some(text)
}

/// As it travels.
pub(crate) fn money(money: Money) -> common::Money {
    common::Money { minor_units: money.minor_units, currency: money.currency.code().to_owned() }
}

/// As they travel.
pub(crate) fn orders(orders: Vec<Order>) -> Vec<pb::Order> {
    orders.into_iter().map(Into::into).collect()
}

/// As they travel.
pub(crate) fn products(products: Vec<Product>) -> Vec<pb::Product> {
    products.into_iter().map(Into::into).collect()
}

impl From<Status> for pb::OrderStatus {
    fn from(status: Status) -> Self {
        match status {
            Status::Pending => Self::Pending,
            Status::Confirmed => Self::Confirmed,
            Status::Shipped => Self::Shipped,
            Status::Delivered => Self::Delivered,
            Status::Cancelled => Self::Cancelled,
        }
    }
}

impl From<Order> for pb::Order {
    fn from(order: Order) -> Self {
        Self {
            id: order.id.to_string(),
            user_id: order.user_id.to_string(),
            status: pb::OrderStatus::from(order.status).into(),
            total: Some(money(order.total)),
            shipping_address: order.shipping_address,
            notes: order.notes,
            items: order.items.into_iter().map(Into::into).collect(),
            created_at: Some(order.created_at.into()),
            updated_at: Some(order.updated_at.into()),
        }
    }
}

impl From<Item> for pb::OrderItem {
    fn from(item: Item) -> Self {
        Self {
            product_id: item.product_id.into_string(),
            product_name: item.product_name,
            quantity: item.quantity,
            unit_price: Some(money(item.unit_price)),
        }
    }
}

impl From<Product> for pb::Product {
    fn from(product: Product) -> Self {
        Self {
            id: product.id.into_string(),
            name: product.name,
            unit_price: Some(money(product.unit_price)),
            active: product.active,
            created_at: Some(product.created_at.into()),
            updated_at: Some(product.updated_at.into()),
        }
    }
}
