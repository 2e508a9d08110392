//! A service with an outbox and consumers, and one of the two brokers.

use std::{sync::Arc, time::Duration};

use chrono::Utc;
use messaging::{
    Broker, BrokerConfig, Bus, Consumer, Event, Outbox, RabbitMq, Retries,
    dead_letters::{DeadLetter, DeadLetters, Which},
};
use runtime::Stop;
use serde_json::json;
use sqlx::PgPool;
use testkit::{Database, until};
use tokio::task::JoinHandle;
use uuid::Uuid;

use crate::recorder::{self, Recorder};

/// The delays after the failed tries: it is tried three times.
const DELAYS: [Duration; 2] = [Duration::from_millis(5), Duration::from_millis(20)];

/// One database for the outbox and for the consumers, and a broker.
pub(crate) struct World {
    database: Database,
    /// RabbitMQ; without it, the bus.
    vhost: Option<testkit::Broker>,
    pub(crate) outbox: Outbox,
}

impl World {
    pub(crate) async fn in_process() -> Self {
        Self::new(None).await
    }

    pub(crate) async fn rabbitmq() -> Self {
        Self::new(Some(testkit::Broker::new().await)).await
    }

    async fn new(vhost: Option<testkit::Broker>) -> Self {
        let database = Database::new("order").await;
        recorder::make_effects(database.pool()).await;
        let outbox = Outbox::new(database.pool().clone(), "order");
        Self { database, vhost, outbox }
    }

    pub(crate) fn pool(&self) -> &PgPool {
        self.database.pool()
    }

    /// A consumer of `order.created` that always succeeds.
    pub(crate) fn consumer(&self, name: &'static str) -> Recorder {
        Recorder::new(name, self.pool())
    }

    /// The broker, as a process with these consumers uses it.
    pub(crate) fn broker(&self, consumers: Vec<Arc<dyn Consumer>>) -> Broker {
        let Some(config) = self.rabbitmq_config() else {
            let [first, longest] = DELAYS;
            return Bus::new(consumers).retrying(Retries { tries: 3, first, longest }).into();
        };
        RabbitMq::new(&config, "order").unwrap().retrying(&DELAYS).into()
    }

    /// Runs the service until it is stopped or dropped.
    pub(crate) fn serve(&self, consumers: Vec<Arc<dyn Consumer>>) -> Running {
        self.serve_on(self.broker(consumers.clone()), consumers)
    }

    pub(crate) fn serve_on(&self, broker: Broker, consumers: Vec<Arc<dyn Consumer>>) -> Running {
        let stop = Stop::new();
        let task = tokio::spawn(broker.serve(self.outbox.clone(), consumers, stop.clone()));
        Running { stop, task }
    }

    /// Waits until each of these consumers has its queue. Two that want events of one name need both queues before the
    /// first of them is told: see `messaging::topology::QUEUES`. The in-process bus knows its consumers from the start.
    pub(crate) async fn until_declared(&self, consumers: &[&str]) {
        let Some(vhost) = &self.vhost else { return };
        until("the consumers have their queues", async || {
            let queues = vhost.queues().await;
            consumers
                .iter()
                .all(|consumer| queues.iter().any(|(name, _)| *name == format!("{consumer}.dead")))
        })
        .await;
    }

    /// Runs the consumer until it has had its first event, and so a queue in which later ones wait.
    pub(crate) async fn has_run(&self, broker: &Broker, consumer: Arc<Recorder>) {
        let service = self.serve_on(broker.clone(), vec![consumer.clone()]);
        self.say(&events(1)).await;
        until("its first event is handled", async || consumer.calls() == 1).await;
        // Stopped before, it would be told once more to whoever comes next.
        until("its first event is told", async || self.waiting().await == 0).await;
        service.stop().await;
    }

    pub(crate) async fn say(&self, events: &[Event]) {
        let mut tx = self.pool().begin().await.unwrap();
        Outbox::append_in_tx(&mut tx, events).await.unwrap();
        tx.commit().await.unwrap();
        self.outbox.wake();
    }

    /// Has everything told once more, as a crash between telling and marking does.
    pub(crate) async fn tell_again(&self) {
        until("all is told", async || self.waiting().await == 0).await;
        self.execute("UPDATE outbox SET published_at = NULL").await;
        self.outbox.wake();
        until("all is told again", async || self.waiting().await == 0).await;
    }

    async fn waiting(&self) -> i64 {
        sqlx::query_scalar("SELECT count(*) FROM outbox WHERE published_at IS NULL")
            .fetch_one(self.pool())
            .await
            .unwrap()
    }

    pub(crate) async fn execute(&self, statement: &'static str) {
        sqlx::query(statement).execute(self.pool()).await.unwrap();
    }

    /// Waits until `consumer` had so many effects.
    pub(crate) async fn until_effects(&self, consumer: &str, effects: i64) {
        let what = format!("{consumer} had {effects} effects");
        until(&what, async || recorder::effects(self.pool(), consumer).await.0 >= effects).await;
        assert_eq!(recorder::effects(self.pool(), consumer).await, (effects, effects));
    }

    pub(crate) fn dead_letters(&self) -> DeadLetters {
        match self.rabbitmq_config() {
            Some(config) => DeadLetters::in_rabbitmq(&config).unwrap(),
            None => DeadLetters::in_databases(vec![self.pool().clone()]),
        }
    }

    pub(crate) async fn dead_letters_of(&self, consumer: &str) -> Vec<DeadLetter> {
        self.dead_letters().list(&of(consumer), 1000).await.unwrap()
    }

    /// Waits until so many of the consumer's events rest; gives them.
    pub(crate) async fn until_dead(&self, consumer: &str, dead: usize) -> Vec<DeadLetter> {
        let what = format!("{dead} dead letters of {consumer} rest");
        until(&what, async || self.dead_letters_of(consumer).await.len() == dead).await;
        self.dead_letters_of(consumer).await
    }

    fn rabbitmq_config(&self) -> Option<BrokerConfig> {
        let vhost = self.vhost.as_ref()?;
        Some(BrokerConfig::at(vhost.url()))
    }
}

/// A service that runs.
pub(crate) struct Running {
    stop: Stop,
    task: JoinHandle<()>,
}

impl Running {
    /// Asks it to stop, and waits until it has.
    pub(crate) async fn stop(mut self) {
        self.stop.cancel();
        (&mut self.task).await.unwrap();
    }
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

pub(crate) fn events(many: usize) -> Vec<Event> {
    (0..many).map(|_| event(Uuid::now_v7(), 1)).collect()
}

/// All dead letters of a consumer.
pub(crate) fn of(consumer: &str) -> Which {
    Which { consumer: Some(consumer.to_owned()), id: None }
}
