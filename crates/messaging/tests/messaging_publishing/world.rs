//! An outbox, a virtual host, relays between them, and ways to wait for what they did.

use chrono::Utc;
use messaging::{Broker, BrokerConfig, Event, Outbox, RabbitMq, relay};
use runtime::Stop;
use serde_json::json;
use sqlx::PgPool;
use testkit::Database;
use tokio::task::JoinHandle;
use uuid::Uuid;

use crate::witness::Witness;

pub(crate) struct World {
    database: Database,
    pub(crate) vhost: testkit::Broker,
    pub(crate) outbox: Outbox,
}

impl World {
    pub(crate) async fn new() -> Self {
        let (database, vhost) = tokio::join!(Database::new("order"), testkit::Broker::new());
        let outbox = Outbox::new(database.pool().clone(), "order");
        Self { database, vhost, outbox }
    }

    pub(crate) fn pool(&self) -> &PgPool {
        self.database.pool()
    }

    /// One who hears all events of these names from now on.
    pub(crate) async fn witness(&self, names: &[&str]) -> Witness {
        Witness::new(&self.vhost.url(), names).await
    }

    /// Commits events in one transaction, without waking anyone.
    pub(crate) async fn say(&self, events: &[Event]) {
        let mut tx = self.pool().begin().await.unwrap();
        Outbox::append_in_tx(&mut tx, events).await.unwrap();
        tx.commit().await.unwrap();
    }

    /// Runs a relay on this outbox until it is dropped, as a process of its own would.
    pub(crate) fn run(&self) -> Running {
        self.run_to(&self.vhost.url())
    }

    /// The same, to the RabbitMQ at `url`.
    pub(crate) fn run_to(&self, url: &str) -> Running {
        let outbox = Outbox::new(self.pool().clone(), "order");
        let stop = Stop::new();
        let task = tokio::spawn(relay::run(outbox.clone(), broker(url), stop.clone()));
        Running { outbox, stop, task }
    }

    pub(crate) async fn waiting(&self) -> i64 {
        sqlx::query_scalar("SELECT count(*) FROM outbox WHERE published_at IS NULL")
            .fetch_one(self.pool())
            .await
            .unwrap()
    }

    /// The names of the events that wait, each once.
    pub(crate) async fn names_waiting(&self) -> Vec<String> {
        sqlx::query_scalar("SELECT DISTINCT name FROM outbox WHERE published_at IS NULL ORDER BY name")
            .fetch_all(self.pool())
            .await
            .unwrap()
    }

    /// Whether `witness` has heard all `events` of each aggregate. A repeat may follow its original, but nothing later.
    pub(crate) fn heard_all(&self, witness: &Witness, aggregates: &[Uuid], events: i64) -> bool {
        let mut heard = witness.sequences();
        aggregates.iter().all(|aggregate| {
            let mut sequences = heard.remove(aggregate).unwrap_or_default();
            assert!(sequences.is_sorted(), "{aggregate}: {sequences:?}");
            sequences.dedup();
            sequences == (1..=events).collect::<Vec<_>>()
        })
    }

    /// Ends the connection of the relay that leads, from outside.
    pub(crate) async fn cut_off_leader(&self) {
        sqlx::query(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
             WHERE datname = current_database() AND application_name = 'order relay'",
        )
        .execute(self.pool())
        .await
        .unwrap();
    }
}

/// The RabbitMQ at `url`, with connections of its own.
pub(crate) fn broker(url: &str) -> Broker {
    RabbitMq::new(&BrokerConfig::at(url), "order").unwrap().into()
}

/// A relay that runs.
pub(crate) struct Running {
    pub(crate) outbox: Outbox,
    pub(crate) stop: Stop,
    pub(crate) task: JoinHandle<()>,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// The `sequence`-th event of an aggregate, of a name that a queue of ours is bound to.
pub(crate) fn event(subject: Uuid, sequence: i64) -> Event {
    named("order.created", subject, sequence)
}

pub(crate) fn named(name: &'static str, subject: Uuid, sequence: i64) -> Event {
    let data = json!({ "sequence": sequence });
    Event { id: Uuid::now_v7(), name, subject, sequence, time: Utc::now(), data }
}

/// How often something was counted by this process.
pub(crate) fn counted(series: &str) -> f64 {
    let text = runtime::telemetry::metrics().unwrap().render();
    let value = text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
    value.map_or(0.0, |value| value.parse().unwrap())
}
