//! Every user's whole answer, compared byte by byte with what it must be, before and after each measurement.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use bytes::Bytes;
use sqlx::{Connection, PgConnection};
use uuid::Uuid;

use crate::{
    client::Client,
    dataset::{Dataset, QUERY, USERS},
    system::Way,
};

/// What each user must be answered.
pub(crate) struct Answers {
    expected: Vec<String>,
    /// The same, one a line, for wrk.
    pub(crate) file: PathBuf,
}

impl Answers {
    /// Of `data`, with the file in `folder`.
    ///
    /// # Errors
    /// When the file can't be written.
    pub(crate) fn of(data: &Dataset, folder: &Path) -> Result<Self> {
        let expected = (0..USERS as usize).map(|user| data.answer(user)).collect::<Result<Vec<_>>>()?;
        let file = folder.join("answers");
        std::fs::write(&file, expected.join("\n"))?;
        Ok(Self { expected, file })
    }

    /// Asks `way` in the name of every user.
    ///
    /// # Errors
    /// When one answer is not the right one.
    pub(crate) async fn check(&self, way: &Way, tokens: &[String]) -> Result<()> {
        self.check_with(way, tokens, QUERY).await
    }

    /// The same, asked by `query`, which must mean the same.
    ///
    /// # Errors
    /// When one answer is not the right one.
    pub(crate) async fn check_with(&self, way: &Way, tokens: &[String], query: &str) -> Result<()> {
        let (mut client, query) =
            (Client::connect(&way.url).await?, Bytes::copy_from_slice(query.as_bytes()));
        for (token, expected) in tokens.iter().zip(&self.expected) {
            let answer = client.post(Some(token), query.clone()).await?;
            if answer.status != 200 || answer.body != expected.as_bytes() {
                let answered = String::from_utf8_lossy(&answer.body);
                bail!(
                    "the {} answers wrongly ({}), so the run is void:\n{answered}\nin place of\n{expected}",
                    way.name,
                    answer.status
                );
            }
        }
        Ok(())
    }
}

/// The mutation that is measured, as the body of a request: an order of two lines.
pub(crate) const CREATE_ORDER: &str = r#"{"query":"mutation($input:CreateOrderInput!){createOrder(input:$input){id status totalAmount items{productName quantity unitPrice}}}","variables":{"input":{"shippingAddress":"1 Long Street, Springfield","notes":"Please ring twice","items":[{"productId":"bench-0","quantity":1},{"productId":"bench-1","quantity":2}]}}}"#;

/// How its answer begins and ends; between them stands the new id.
pub(crate) const CREATED: [&str; 2] = [
    r#"{"data":{"createOrder":{"id":""#,
    r#"","status":"PENDING","totalAmount":"32.02","items":[{"productName":"Product 0","quantity":1,"unitPrice":"10.00"},{"productName":"Product 1","quantity":2,"unitPrice":"11.01"}]}}}"#,
];

/// Places one order and checks the whole answer. Gives the payload of its event as the outbox holds it.
///
/// # Errors
/// When the answer is wrong, or the rows are not there.
pub(crate) async fn create_one(url: &str, token: &str, database: &str) -> Result<String> {
    let mut client = Client::connect(url).await?;
    let answer = client.post(Some(token), Bytes::from_static(CREATE_ORDER.as_bytes())).await?;
    let answer = String::from_utf8_lossy(&answer.body).into_owned();
    let id = answer.strip_prefix(CREATED[0]).and_then(|rest| rest.strip_suffix(CREATED[1]));
    let Some(id) = id.and_then(|id| id.parse::<Uuid>().ok()) else {
        bail!("createOrder is answered wrongly, so the run is void:\n{answer}");
    };
    let mut connection = PgConnection::connect(database).await?;
    let event = sqlx::query_scalar("SELECT data::text FROM outbox WHERE subject = $1");
    let event: String = event.bind(id).fetch_one(&mut connection).await?;
    connection.close().await?;
    Ok(event)
}

/// The rows that stand in the order database: orders, lines and events.
#[derive(Clone, Copy, Debug, PartialEq, Eq, sqlx::FromRow)]
pub(crate) struct Rows {
    orders: i64,
    items: i64,
    events: i64,
}

impl Rows {
    /// As they are now.
    ///
    /// # Errors
    /// When the database does not tell.
    pub(crate) async fn of(database: &str) -> Result<Self> {
        let mut connection = PgConnection::connect(database).await?;
        let rows = sqlx::query_as(
            "SELECT (SELECT count(*) FROM orders) AS orders, (SELECT count(*) FROM order_items) AS items,
                    (SELECT count(*) FROM outbox) AS events",
        );
        let rows = rows.fetch_one(&mut connection).await?;
        connection.close().await?;
        Ok(rows)
    }

    /// Checks that since `before` at least `answers` orders of two lines came, each with its event.
    ///
    /// # Errors
    /// When rows are missing, or there are some that belong to no order.
    pub(crate) fn hold(self, before: Self, answers: u64) -> Result<()> {
        let orders = self.orders - before.orders;
        let whole = self.items - before.items == 2 * orders && self.events - before.events == orders;
        if !whole || orders < i64::try_from(answers)? {
            bail!(
                "{answers} orders were confirmed, and the rows went from {before:?} to {self:?}: the run is void"
            );
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_without_its_lines_or_its_event_voids_the_run_and_so_does_a_lost_one() {
        let before = Rows { orders: 10, items: 20, events: 0 };
        assert!(Rows { orders: 15, items: 30, events: 5 }.hold(before, 5).is_ok());
        assert!(Rows { orders: 15, items: 29, events: 5 }.hold(before, 5).is_err());
        assert!(Rows { orders: 15, items: 30, events: 4 }.hold(before, 5).is_err());
        assert!(Rows { orders: 15, items: 30, events: 5 }.hold(before, 6).is_err());
    }
}
