//! What has to hold of an order and its payment once nothing is under way any more.

use testkit::Database;

use super::{TOTAL, World, uuid};

/// The money of one payment, as the provider remembers it, in cents.
#[derive(Debug, PartialEq, Eq, sqlx::FromRow)]
struct Moved {
    charges: i64,
    taken: i64,
    given_back: i64,
}

impl World {
    /// The statuses of an order and of its payment.
    pub(crate) async fn statuses(&self, order: &str) -> (String, String) {
        let status = async |database: &Database, statement: &'static str| {
            let status: Option<String> = sqlx::query_scalar(statement)
                .bind(uuid(order))
                .fetch_optional(database.pool())
                .await
                .unwrap();
            status.unwrap_or_else(|| "none".into())
        };
        (
            status(&self.order_database, "SELECT status FROM orders WHERE id = $1").await,
            status(&self.payment_database, "SELECT status FROM payments WHERE order_id = $1").await,
        )
    }

    /// Fails unless order and payment are in these statuses and agree.
    pub(crate) async fn assert_ends(&self, order: &str, as_order: &str, as_payment: &str) {
        assert_eq!(self.statuses(order).await, (as_order.to_owned(), as_payment.to_owned()));
        self.assert_agrees(order).await;
    }

    /// Fails unless the order, its payment, the provider and what was said of them agree.
    pub(crate) async fn assert_agrees(&self, order: &str) {
        let (as_order, as_payment) = self.statuses(order).await;
        let moved = self.moved(order).await;
        let told = self.told(order).await;
        let all = format!("{order}: {as_order}, {as_payment}, {moved:?}, {told:?}");
        let (charges, kept) = match (as_order.as_str(), as_payment.as_str()) {
            ("PENDING", "PENDING" | "none") | ("CANCELLED", "CANCELLED") => (0, 0),
            ("CANCELLED", "REFUNDED") => (1, 0),
            // An admin may have given any part of it back.
            ("CONFIRMED" | "SHIPPED" | "DELIVERED", "SUCCEEDED") => (1, TOTAL),
            ("CONFIRMED" | "SHIPPED" | "DELIVERED", "PARTIALLY_REFUNDED" | "REFUNDED") => {
                (1, TOTAL - moved.given_back)
            }
            _ => panic!("order and payment disagree: {all}"),
        };
        assert_eq!((moved.charges, moved.taken), (charges, charges * TOTAL), "{all}");
        assert_eq!(moved.taken - moved.given_back, kept, "{all}");
        let expected = Told {
            confirmed: i64::from(as_order == "CONFIRMED").max(told.confirmed),
            cancelled: i64::from(as_order == "CANCELLED"),
            paid: charges,
            given_back: moved.given_back,
            payments_cancelled: i64::from(as_payment == "CANCELLED"),
        };
        assert_eq!(told, expected, "{all}");
        assert!(told.confirmed <= charges, "{all}");
        assert_eq!(self.under_way(order).await, 0, "{all}");
    }

    /// How much there is of everything that an event may change.
    pub(crate) async fn footprint(&self) -> Vec<i64> {
        let orders: (i64, i64, i64) = sqlx::query_as(
            "SELECT (SELECT count(*) FROM orders), (SELECT coalesce(sum(version), 0)::bigint FROM orders),
                    (SELECT count(*) FROM outbox)",
        )
        .fetch_one(self.order_database.pool())
        .await
        .unwrap();
        let payments: (i64, i64, i64, i64, i64) = sqlx::query_as(
            "SELECT (SELECT count(*) FROM payments), (SELECT coalesce(sum(version), 0)::bigint FROM payments),
                    (SELECT count(*) FROM outbox), (SELECT count(*) FROM attempts),
                    (SELECT count(*) FROM payments WHERE order_cancelled)",
        )
        .fetch_one(self.payment_database.pool())
        .await
        .unwrap();
        vec![orders.0, orders.1, orders.2, payments.0, payments.1, payments.2, payments.3, payments.4]
    }

    async fn moved(&self, order: &str) -> Moved {
        sqlx::query_as(
            "SELECT count(*) AS charges, coalesce(sum(amount), 0)::bigint AS taken,
                    coalesce(sum((SELECT sum(refund.amount) FROM sandbox_refunds refund
                                  WHERE refund.transaction_id = charge.transaction_id
                                    AND refund.status = 'SUCCEEDED')), 0)::bigint AS given_back
             FROM sandbox_charges charge
             WHERE status = 'SUCCEEDED'
               AND key IN (SELECT attempts.id FROM attempts JOIN payments ON payments.id = payment_id
                           WHERE order_id = $1)",
        )
        .bind(uuid(order))
        .fetch_one(self.payment_database.pool())
        .await
        .unwrap()
    }

    /// Attempts without a result, and money held for refunds.
    async fn under_way(&self, order: &str) -> i64 {
        sqlx::query_scalar(
            "SELECT coalesce(sum(reserved + (SELECT count(*) FROM attempts
                                             WHERE payment_id = payments.id AND status = 'STARTED')), 0)::bigint
             FROM payments
             WHERE order_id = $1",
        )
        .bind(uuid(order))
        .fetch_one(self.payment_database.pool())
        .await
        .unwrap()
    }

    async fn told(&self, order: &str) -> Told {
        let mut told = Told::default();
        let mut sequences = vec![];
        for event in self.said().await.iter().filter(|event| event.data["orderId"] == order) {
            sequences.push((event.subject, event.sequence().unwrap()));
            match event.name().unwrap() {
                "order.status_changed" if event.data["to"] == "ORDER_STATUS_CONFIRMED" => told.confirmed += 1,
                "order.status_changed" if event.data["to"] == "ORDER_STATUS_CANCELLED" => told.cancelled += 1,
                "payment.success" => told.paid += 1,
                "payment.refunded" => told.given_back += cents(&event.data["amount"]),
                "payment.cancelled" => told.payments_cancelled += 1,
                _ => {}
            }
        }
        let events = sequences.len();
        sequences.sort_unstable();
        sequences.dedup();
        assert_eq!(sequences.len(), events, "two events of one aggregate have one sequence");
        told
    }
}

/// What subscribers learn of one order: how often which step was said, and how much was given back.
#[derive(Debug, Default, PartialEq, Eq)]
struct Told {
    confirmed: i64,
    cancelled: i64,
    paid: i64,
    given_back: i64,
    payments_cancelled: i64,
}

fn cents(money: &serde_json::Value) -> i64 {
    money["minorUnits"].as_str().unwrap().parse().unwrap()
}
