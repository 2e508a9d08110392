//! A database with an outbox, consumers that write down what they do, and ways to wait for what the relay did.

use std::{sync::Arc, time::Duration};

use chrono::Utc;
use messaging::{Broker, Bus, Consumer, Event, Outbox, Retries, relay};
use runtime::Stop;
use serde_json::json;
use sqlx::PgPool;
use testkit::Database;
use tokio::task::JoinHandle;
use uuid::Uuid;

use crate::recorder::{Recorder, make_effects};

/// One database for the outbox and for the consumers.
pub(crate) struct World {
    database: Database,
    pub(crate) outbox: Outbox,
}

impl World {
    pub(crate) async fn new() -> Self {
        let database = Database::new("order").await;
        make_effects(database.pool()).await;
        let outbox = Outbox::new(database.pool().clone(), "order");
        Self { database, outbox }
    }

    pub(crate) fn pool(&self) -> &PgPool {
        self.database.pool()
    }

    /// A consumer of `order.created` that always succeeds.
    pub(crate) fn consumer(&self, name: &'static str) -> Recorder {
        Recorder::new(name, self.pool())
    }

    /// Commits events in one transaction, without waking anyone.
    pub(crate) async fn say(&self, events: &[Event]) {
        let mut tx = self.pool().begin().await.unwrap();
        Outbox::append_in_tx(&mut tx, events).await.unwrap();
        tx.commit().await.unwrap();
    }

    /// Runs a relay on this outbox until it is dropped.
    pub(crate) fn run(&self, broker: &Broker) -> Running {
        let stop = Stop::new();
        let task = tokio::spawn(relay::run(self.outbox.clone(), broker.clone(), stop.clone()));
        Running { stop, task }
    }

    /// The sequences of the effects on `subject`, in the order in which they committed.
    pub(crate) async fn effects_on(&self, subject: Uuid) -> Vec<i64> {
        sqlx::query_scalar("SELECT sequence FROM effects WHERE subject = $1 ORDER BY number")
            .bind(subject)
            .fetch_all(self.pool())
            .await
            .unwrap()
    }

    pub(crate) async fn effects(&self) -> i64 {
        self.count("SELECT count(*) FROM effects").await
    }

    pub(crate) async fn waiting(&self) -> i64 {
        self.count("SELECT count(*) FROM outbox WHERE published_at IS NULL").await
    }

    pub(crate) async fn count(&self, statement: &'static str) -> i64 {
        sqlx::query_scalar(statement).fetch_one(self.pool()).await.unwrap()
    }

    pub(crate) async fn execute(&self, statement: &'static str) {
        sqlx::query(statement).execute(self.pool()).await.unwrap();
    }

    /// (consumer, reason) of each dead letter.
    pub(crate) async fn dead_letters(&self) -> Vec<(String, String)> {
        sqlx::query_as("SELECT consumer, reason FROM dead_letters ORDER BY died_at")
            .fetch_all(self.pool())
            .await
            .unwrap()
    }

    /// What a crash between the consumer's commit and the mark leaves behind.
    pub(crate) async fn unmark(&self) {
        self.execute("UPDATE outbox SET published_at = NULL").await;
    }
}

/// A relay that runs.
pub(crate) struct Running {
    pub(crate) stop: Stop,
    pub(crate) task: JoinHandle<()>,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// The `sequence`-th event of an aggregate.
pub(crate) fn event(subject: Uuid, sequence: i64) -> Event {
    named("order.created", subject, sequence)
}

pub(crate) fn named(name: &'static str, subject: Uuid, sequence: i64) -> Event {
    let data = json!({ "sequence": sequence });
    Event { id: Uuid::now_v7(), name, subject, sequence, time: Utc::now(), data }
}

/// A bus whose retries take milliseconds; three failed tries are enough.
pub(crate) fn hasty(consumers: Vec<Arc<dyn Consumer>>) -> Broker {
    let retries = Retries { tries: 3, first: Duration::from_millis(5), longest: Duration::from_millis(20) };
    Bus::new(consumers).retrying(retries).into()
}
