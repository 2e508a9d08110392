//! The data that every measurement reads: the same in Postgres and in memory, and known beforehand, so that every
//! answer can be compared with what it must be.
//!
//! Nothing here is random. [`USERS`] users have [`ORDERS_EACH`] orders each, of two lines; three of four are paid.

use std::collections::HashMap;

use pbjson_types::Timestamp;
use proto::{
    common::v1::Money,
    order::v1::{Order, OrderItem, OrderStatus, Product},
    payment::v1::{Payment, PaymentStatus},
    user::v1::{Role, User},
};
use uuid::Uuid;

use crate::answer;

/// How many users there are, each with a token of their own.
pub(crate) const USERS: u32 = 1_000;
/// How many orders each has: more than the query shows, so that there is a next page.
pub(crate) const ORDERS_EACH: u32 = 12;
/// How many orders the query shows.
pub(crate) const SHOWN: usize = 10;
/// How many products there are.
pub(crate) const PRODUCTS: u32 = 20;

/// The query that is measured, as the body of a request.
pub(crate) const QUERY: &str = r#"{"query":"{orders(limit:10){data{id status totalAmount user{id email fullName} payment{id status amount}}}}"}"#;

/// UUIDv7 of the year 2024, older than any that a service makes. The number is the order of time.
const USER_IDS: u128 = 0x0192_0000_0000_7000_8000_0000_0000_0000;
const ORDER_IDS: u128 = 0x0192_0000_0001_7000_8000_0000_0000_0000;
const PAYMENT_IDS: u128 = 0x0192_0000_0002_7000_8000_0000_0000_0000;
/// When the first user was made, in seconds since 1970; everything else follows a second after the other.
const BEGIN: i64 = 1_767_225_600;

/// A status of an order, that of its payment, and how it was paid if it was.
const FATES: [(OrderStatus, PaymentStatus); 4] = [
    (OrderStatus::Confirmed, PaymentStatus::Succeeded),
    (OrderStatus::Shipped, PaymentStatus::Succeeded),
    (OrderStatus::Pending, PaymentStatus::Pending),
    (OrderStatus::Delivered, PaymentStatus::Succeeded),
];

/// All of it, as the services' own messages.
pub(crate) struct Dataset {
    /// By their number.
    pub(crate) users: Vec<User>,
    /// Of each user, the newest first.
    pub(crate) orders: Vec<Vec<Order>>,
    /// By the id of their order.
    pub(crate) payments: HashMap<String, Payment>,
    /// What can be ordered.
    pub(crate) products: Vec<Product>,
}

impl Dataset {
    /// Makes it.
    pub(crate) fn new() -> Self {
        let users: Vec<_> = (0..USERS).map(user).collect();
        let products: Vec<_> = (0..PRODUCTS).map(product).collect();
        let of_user = |user: u32| (0..ORDERS_EACH).rev().map(|nth| order(user, nth, &products)).collect();
        let orders: Vec<Vec<_>> = (0..USERS).map(of_user).collect();
        let payments =
            orders.iter().flatten().enumerate().map(|(n, order)| (order.id.clone(), payment(n, order)));
        let payments = payments.collect();
        Self { users, orders, payments, products }
    }

    /// What [`QUERY`] must answer to the user of this number, to the letter.
    ///
    /// # Errors
    /// When the data can't be written as an answer.
    pub(crate) fn answer(&self, user: usize) -> anyhow::Result<String> {
        let orders = &self.orders[user][..SHOWN];
        let payments = orders.iter().filter_map(|order| self.payments.get(&order.id));
        let payments: Vec<_> = payments.cloned().collect();
        let bytes = answer::write(orders, &self.users[user..=user], &payments)?;
        Ok(String::from_utf8(bytes)?)
    }
}

/// The id of the user of this number.
pub(crate) fn user_id(n: u32) -> Uuid {
    Uuid::from_u128(USER_IDS + u128::from(n))
}

/// The address under which the user of this number logs in.
pub(crate) fn email(n: u32) -> String {
    format!("user{n}@bench.example")
}

fn user(n: u32) -> User {
    User {
        id: user_id(n).to_string(),
        email: email(n),
        first_name: format!("Given{n}"),
        last_name: format!("Family{n}"),
        role: Role::Customer.into(),
        active: true,
        created_at: Some(at(i64::from(n))),
        updated_at: Some(at(i64::from(n))),
    }
}

fn product(n: u32) -> Product {
    Product {
        id: format!("bench-{n}"),
        name: format!("Product {n}"),
        unit_price: usd(1_000 + i64::from(n) * 101),
        active: true,
        created_at: Some(at(0)),
        updated_at: Some(at(0)),
    }
}

fn order(user: u32, nth: u32, products: &[Product]) -> Order {
    let number = nth * USERS + user;
    let items: Vec<_> = [number % PRODUCTS, (number + 7) % PRODUCTS]
        .into_iter()
        .zip(1..)
        .map(|(product, quantity)| item(&products[product as usize], quantity))
        .collect();
    let total = items.iter().map(|item| i64::from(item.quantity) * minor_units(item)).sum();
    let made = Some(at(i64::from(USERS + number)));
    Order {
        id: Uuid::from_u128(ORDER_IDS + u128::from(number)).to_string(),
        user_id: user_id(user).to_string(),
        status: FATES[nth as usize % FATES.len()].0.into(),
        total: usd(total),
        shipping_address: format!("{number} Long Street, Springfield"),
        notes: String::new(),
        items,
        created_at: made,
        updated_at: made,
    }
}

fn item(product: &Product, quantity: i32) -> OrderItem {
    OrderItem {
        product_id: product.id.clone(),
        product_name: product.name.clone(),
        quantity,
        unit_price: product.unit_price.clone(),
    }
}

/// The payment of an order, the `n`th of all.
fn payment(n: usize, order: &Order) -> Payment {
    let fate = FATES.iter().find(|(status, _)| *status == order.status());
    let status = fate.map_or(PaymentStatus::Pending, |(_, status)| *status);
    let paid = status == PaymentStatus::Succeeded;
    Payment {
        id: Uuid::from_u128(PAYMENT_IDS + n as u128).to_string(),
        order_id: order.id.clone(),
        user_id: order.user_id.clone(),
        amount: order.total.clone(),
        refunded: usd(0),
        status: status.into(),
        method: if paid { "visa".into() } else { String::new() },
        transaction_id: if paid { format!("bench-{n}") } else { String::new() },
        paid_at: paid.then_some(order.created_at).flatten(),
        created_at: order.created_at,
        updated_at: order.created_at,
        ..Payment::default()
    }
}

fn minor_units(item: &OrderItem) -> i64 {
    item.unit_price.as_ref().map_or(0, |price| price.minor_units)
}

fn usd(minor_units: i64) -> Option<Money> {
    Some(Money { minor_units, currency: "USD".into() })
}

fn at(second: i64) -> Timestamp {
    Timestamp { seconds: BEGIN + second, nanos: 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_users_answer_shows_their_own_newest_orders_in_the_order_asked_for() {
        let data = Dataset::new();
        let answer: serde_json::Value = serde_json::from_str(&data.answer(7).unwrap()).unwrap();
        let rows = answer["data"]["orders"]["data"].as_array().unwrap();
        assert_eq!(rows.len(), SHOWN);
        assert!(rows.iter().all(|row| row["user"]["email"] == "user7@bench.example"));
        assert!(rows.is_sorted_by(|a, b| a["id"].as_str() > b["id"].as_str()));
        assert_ne!(data.answer(7).unwrap(), data.answer(8).unwrap());
    }

    #[test]
    fn an_order_costs_what_its_lines_cost_and_its_payment_as_much() {
        let data = Dataset::new();
        for order in data.orders.iter().flatten() {
            let lines = order.items.iter().map(|item| i64::from(item.quantity) * minor_units(item)).sum();
            assert_eq!(order.total, usd(lines));
            assert_eq!(data.payments[&order.id].amount, order.total);
        }
    }
}
