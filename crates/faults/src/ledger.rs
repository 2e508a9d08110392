//! What the databases hold in the end, read whole and compared in memory: each service has a database of its own, and what
//! has to agree stands in different ones.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use anyhow::Result;
use messaging::topology::QUEUES;
use sqlx::{Connection, FromRow, PgConnection};
use uuid::Uuid;

use crate::backends::Backends;

/// A row of an outbox.
#[derive(Clone, Debug, FromRow)]
pub(crate) struct EventRow {
    /// Its id.
    pub(crate) id: Uuid,
    /// Whose outbox it is.
    pub(crate) source: String,
    /// What happened: `order.created`.
    pub(crate) name: String,
    /// The aggregate.
    pub(crate) subject: Uuid,
    /// The aggregate's version.
    pub(crate) sequence: i64,
    /// Whether it is marked as told.
    pub(crate) published: bool,
    /// Its payload.
    pub(crate) data: serde_json::Value,
}

/// An order.
#[derive(Clone, Debug, FromRow)]
pub(crate) struct OrderRow {
    /// Its id.
    pub(crate) id: Uuid,
    /// Who placed it.
    pub(crate) user_id: Uuid,
    /// Where it stands.
    pub(crate) status: String,
    /// What it costs, in cents.
    pub(crate) total: i64,
    /// How often it changed.
    pub(crate) version: i64,
}

/// A payment.
#[derive(Clone, Debug, FromRow)]
pub(crate) struct PaymentRow {
    /// Its id.
    pub(crate) id: Uuid,
    /// The order that it pays.
    pub(crate) order_id: Uuid,
    /// Where it stands.
    pub(crate) status: String,
    /// What is to be paid.
    pub(crate) amount: i64,
    /// What was given back.
    pub(crate) refunded: i64,
    /// The provider's id of the charge.
    pub(crate) transaction_id: Option<String>,
}

/// What was asked of the provider.
#[derive(Clone, Debug, FromRow)]
pub(crate) struct AttemptRow {
    /// Its id, and its key at the provider.
    pub(crate) id: Uuid,
    /// For which payment.
    pub(crate) payment_id: Uuid,
    /// `CHARGE` or `REFUND`.
    pub(crate) kind: String,
    /// What we think became of it.
    pub(crate) status: String,
}

/// Money that the provider took or gave back.
#[derive(Clone, Debug, FromRow)]
pub(crate) struct MovedRow {
    /// The attempt.
    pub(crate) key: Uuid,
    /// `CHARGE` or `REFUND`.
    pub(crate) kind: String,
    /// How much.
    pub(crate) amount: i64,
    /// The provider's id of the charge.
    pub(crate) transaction_id: String,
}

/// All of it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ledger {
    /// The outboxes of all services.
    pub(crate) events: Vec<EventRow>,
    /// The events that each consumer has handled.
    pub(crate) inboxes: BTreeMap<String, BTreeSet<Uuid>>,
    /// Consumer and event of each dead letter in a database.
    pub(crate) dead_letters: Vec<(String, Uuid)>,
    /// The ids of all accounts.
    pub(crate) users: BTreeSet<Uuid>,
    /// By id.
    pub(crate) orders: HashMap<Uuid, OrderRow>,
    /// In no order.
    pub(crate) payments: Vec<PaymentRow>,
    /// By id.
    pub(crate) attempts: HashMap<Uuid, AttemptRow>,
    /// What the provider did.
    pub(crate) moved: Vec<MovedRow>,
}

impl Ledger {
    /// Reads it.
    ///
    /// # Errors
    /// When a database fails.
    pub(crate) async fn read(backends: &Backends) -> Result<Self> {
        let mut ledger = Self::default();
        for queue in QUEUES {
            ledger.inboxes.entry(queue.consumer.to_owned()).or_default();
        }
        for service in ["user", "order", "payment"] {
            let mut database = PgConnection::connect(backends.database(service)).await?;
            ledger.read_messaging(&mut database, service).await?;
            match service {
                "user" => ledger.read_users(&mut database).await?,
                "order" => ledger.read_orders(&mut database).await?,
                _ => ledger.read_payments(&mut database).await?,
            }
            database.close().await?;
        }
        Ok(ledger)
    }

    async fn read_messaging(&mut self, database: &mut PgConnection, service: &str) -> Result<()> {
        let events = sqlx::query_as(
            "SELECT id, $1 AS source, name, subject, sequence, published_at IS NOT NULL AS published, data
             FROM outbox
             ORDER BY position",
        );
        self.events.extend(events.bind(service).fetch_all(&mut *database).await?);
        let handled = sqlx::query_as("SELECT consumer, event_id FROM inbox").fetch_all(&mut *database);
        for (consumer, event) in handled.await? {
            let consumer: String = consumer;
            self.inboxes.entry(consumer).or_default().insert(event);
        }
        let dead = sqlx::query_as("SELECT consumer, event_id FROM dead_letters").fetch_all(database);
        self.dead_letters.extend(dead.await?);
        Ok(())
    }

    async fn read_users(&mut self, database: &mut PgConnection) -> Result<()> {
        let users = sqlx::query_scalar("SELECT id FROM users").fetch_all(database).await?;
        self.users = users.into_iter().collect();
        Ok(())
    }

    async fn read_orders(&mut self, database: &mut PgConnection) -> Result<()> {
        let orders = sqlx::query_as("SELECT id, user_id, status, total, version FROM orders");
        let orders: Vec<OrderRow> = orders.fetch_all(database).await?;
        self.orders = orders.into_iter().map(|order| (order.id, order)).collect();
        Ok(())
    }

    async fn read_payments(&mut self, database: &mut PgConnection) -> Result<()> {
        let payments = "SELECT id, order_id, status, amount, refunded, transaction_id FROM payments";
        self.payments = sqlx::query_as(payments).fetch_all(&mut *database).await?;
        let attempts = sqlx::query_as("SELECT id, payment_id, kind, status FROM attempts");
        let attempts: Vec<AttemptRow> = attempts.fetch_all(&mut *database).await?;
        self.attempts = attempts.into_iter().map(|attempt| (attempt.id, attempt)).collect();
        let moved = sqlx::query_as(
            "SELECT key, 'CHARGE' AS kind, amount, transaction_id FROM sandbox_charges WHERE status = 'SUCCEEDED'
             UNION ALL
             SELECT key, 'REFUND', amount, transaction_id FROM sandbox_refunds WHERE status = 'SUCCEEDED'",
        );
        self.moved = moved.fetch_all(database).await?;
        Ok(())
    }

    /// The events of these names.
    pub(crate) fn events_named<'a>(&'a self, names: &'a [&str]) -> impl Iterator<Item = &'a EventRow> {
        self.events.iter().filter(|event| names.contains(&event.name.as_str()))
    }

    /// How many events of this name each aggregate has.
    pub(crate) fn count_by_subject(&self, name: &str) -> HashMap<Uuid, usize> {
        let mut counts = HashMap::new();
        for event in self.events_named(&[name]) {
            *counts.entry(event.subject).or_default() += 1;
        }
        counts
    }
}
