//! The JSON of the measured answer, written by hand: what a programmer without a graph would write.

use std::collections::HashMap;

use iso_currency::Currency;
use proto::{
    order::v1::{Order, OrderStatus},
    payment::v1::{Payment, PaymentStatus},
    user::v1::User,
};
use serde::{Serialize, Serializer};

#[derive(Serialize)]
struct Answer<'a> {
    data: Data<'a>,
}

#[derive(Serialize)]
struct Data<'a> {
    orders: Orders<'a>,
}

#[derive(Serialize)]
struct Orders<'a> {
    data: Vec<Row<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Row<'a> {
    id: &'a str,
    status: &'static str,
    total_amount: Option<Amount>,
    user: Option<Person<'a>>,
    payment: Option<Paid<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Person<'a> {
    id: &'a str,
    email: &'a str,
    full_name: String,
}

#[derive(Serialize)]
struct Paid<'a> {
    id: &'a str,
    status: &'static str,
    amount: Option<Amount>,
}

/// Money as decimal text.
struct Amount(money::Money);

impl Serialize for Amount {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

/// Writes `orders` with those of `users` and `payments` that belong to them.
///
/// # Errors
/// When the data can't be written as JSON.
pub(crate) fn write(orders: &[Order], users: &[User], payments: &[Payment]) -> serde_json::Result<Vec<u8>> {
    let users: HashMap<&str, &User> = users.iter().map(|user| (user.id.as_str(), user)).collect();
    let payments: HashMap<&str, &Payment> =
        payments.iter().map(|paid| (paid.order_id.as_str(), paid)).collect();
    let rows = orders.iter().map(|order| Row {
        id: &order.id,
        status: order_status(order.status()),
        total_amount: amount(order.total.as_ref()),
        user: users.get(order.user_id.as_str()).map(|user| Person {
            id: &user.id,
            email: &user.email,
            full_name: format!("{} {}", user.first_name, user.last_name),
        }),
        payment: payments.get(order.id.as_str()).map(|paid| Paid {
            id: &paid.id,
            status: payment_status(paid.status()),
            amount: amount(paid.amount.as_ref()),
        }),
    });
    serde_json::to_vec(&Answer { data: Data { orders: Orders { data: rows.collect() } } })
}

fn amount(money: Option<&proto::common::v1::Money>) -> Option<Amount> {
    let money = money?;
    Some(Amount(money::Money::new(money.minor_units, Currency::from_code(&money.currency)?)))
}

fn order_status(status: OrderStatus) -> &'static str {
    status.as_str_name().trim_start_matches("ORDER_STATUS_")
}

fn payment_status(status: PaymentStatus) -> &'static str {
    status.as_str_name().trim_start_matches("PAYMENT_STATUS_")
}
