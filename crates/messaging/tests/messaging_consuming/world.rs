//! A virtual host, a database for consumers, and one who publishes whatever a test wants.

use std::{sync::Arc, time::Duration};

use lapin::{
    BasicProperties, Channel, Confirmation, Connection, ConnectionProperties,
    options::{BasicPublishOptions, ConfirmSelectOptions, QueueDeclareOptions},
    types::FieldTable,
};
use messaging::{
    BrokerConfig, Consumer, RabbitMq,
    dead_letters::{DeadLetter, DeadLetters, Which},
    topology::EXCHANGE,
};
use runtime::Stop;
use serde_json::{Value, json};
use sqlx::PgPool;
use testkit::{Database, until};
use tokio::task::JoinHandle;
use uuid::Uuid;

use crate::recorder::{self, Recorder};

pub(crate) struct World {
    database: Database,
    pub(crate) vhost: testkit::Broker,
    pub(crate) connection: Connection,
    publisher: Channel,
}

impl World {
    pub(crate) async fn new() -> Self {
        let (database, vhost) = tokio::join!(Database::new("order"), testkit::Broker::new());
        recorder::make_effects(database.pool()).await;
        let connection = connect(&vhost.url()).await.unwrap();
        let publisher = confirming(&connection).await;
        Self { database, vhost, connection, publisher }
    }

    /// For the test's own connection, when it was closed.
    pub(crate) async fn reconnect(&mut self) {
        self.connection = connect(&self.vhost.url()).await.unwrap();
        self.publisher = confirming(&self.connection).await;
    }

    pub(crate) fn pool(&self) -> &PgPool {
        self.database.pool()
    }

    /// A consumer of `order.created` that always succeeds.
    pub(crate) fn consumer(&self, name: &'static str) -> Recorder {
        Recorder::new(name, self.pool())
    }

    /// Runs consumers, and waits until their queues are there.
    pub(crate) async fn consume(&self, consumers: Vec<Arc<Recorder>>) -> Running {
        let names: Vec<_> = consumers.iter().map(|consumer| consumer.name()).collect();
        let running = run(&rabbitmq(&self.vhost.url()), consumers);
        for name in names {
            self.until_declared(name).await;
        }
        running
    }

    pub(crate) async fn until_declared(&self, consumer: &str) {
        let last = format!("{consumer}.dead");
        until("the queues are there", async || self.ready(&last).await.is_some()).await;
    }

    /// Publishes `body` as an event of this name.
    pub(crate) async fn publish(&self, name: &str, body: impl AsRef<[u8]>) {
        self.publish_as(name, body, BasicProperties::default()).await;
    }

    pub(crate) async fn publish_as(&self, name: &str, body: impl AsRef<[u8]>, properties: BasicProperties) {
        assert!(self.was_taken(name, body, properties).await, "no queue took it");
    }

    /// Publishes it, too; whether a queue took it.
    pub(crate) async fn is_taken(&self, name: &str, body: impl AsRef<[u8]>) -> bool {
        self.was_taken(name, body, BasicProperties::default()).await
    }

    async fn was_taken(&self, name: &str, body: impl AsRef<[u8]>, properties: BasicProperties) -> bool {
        let options = BasicPublishOptions { mandatory: true, ..Default::default() };
        let confirmed = self
            .publisher
            .basic_publish(EXCHANGE.into(), name.into(), options, body.as_ref(), properties)
            .await
            .unwrap()
            .await
            .unwrap();
        confirmed == Confirmation::Ack(None)
    }

    /// How many messages a queue has that nobody holds; `None` without such a queue.
    pub(crate) async fn ready(&self, queue: &str) -> Option<u32> {
        let channel = self.connection.create_channel().await.unwrap();
        let passive = QueueDeclareOptions::default().passive();
        let queue = channel.queue_declare(queue.into(), passive, FieldTable::default()).await.ok()?;
        Some(queue.message_count())
    }

    /// Waits until `consumer` had so many effects.
    pub(crate) async fn until_effects(&self, consumer: &str, effects: i64) {
        let what = format!("{consumer} had {effects} effects");
        until(&what, async || recorder::effects(self.pool(), consumer).await.0 >= effects).await;
        assert_eq!(recorder::effects(self.pool(), consumer).await, (effects, effects));
    }

    /// Waits until so many of the consumer's messages rest; gives them.
    pub(crate) async fn until_dead(&self, consumer: &str, dead: usize) -> Vec<DeadLetter> {
        let letters = DeadLetters::in_rabbitmq(&config(&self.vhost.url())).unwrap();
        let which = Which { consumer: Some(consumer.to_owned()), id: None };
        let mut found = vec![];
        // Listed once: who lists takes the letters and gives them back, and who lists again at once may come before that.
        until(&format!("{dead} dead letters of {consumer} rest"), async || {
            found = letters.list(&which, 1000).await.unwrap();
            found.len() == dead
        })
        .await;
        found
    }
}

/// Consumers that run, until they are stopped or dropped.
pub(crate) struct Running {
    stop: Stop,
    task: JoinHandle<()>,
}

impl Running {
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

/// Runs consumers on this RabbitMQ.
pub(crate) fn run(rabbitmq: &RabbitMq, consumers: Vec<Arc<Recorder>>) -> Running {
    let consumers = consumers.into_iter().map(|consumer| consumer as Arc<dyn Consumer>).collect();
    let (rabbitmq, stop) = (rabbitmq.clone(), Stop::new());
    let stopped = stop.clone();
    let task = tokio::spawn(async move { rabbitmq.consume(consumers, stopped).await });
    Running { stop, task }
}

/// RabbitMQ at `url`, where what failed is tried twice more.
pub(crate) fn rabbitmq(url: &str) -> RabbitMq {
    let delays = [Duration::from_millis(5), Duration::from_millis(20)];
    RabbitMq::new(&config(url), "order").unwrap().retrying(&delays)
}

pub(crate) fn config(url: &str) -> BrokerConfig {
    BrokerConfig::at(url)
}

pub(crate) async fn confirming(connection: &Connection) -> Channel {
    let channel = connection.create_channel().await.unwrap();
    channel.confirm_select(ConfirmSelectOptions::default()).await.unwrap();
    channel
}

pub(crate) async fn connect(url: &str) -> lapin::Result<Connection> {
    Connection::connect(url, ConnectionProperties::default()).await
}

/// An `order.created`, whose id is new.
pub(crate) fn event() -> Value {
    json!({
        "specversion": "1.0", "id": Uuid::now_v7(), "source": "order", "type": "portico.order.created.v1",
        "subject": Uuid::now_v7(), "time": "2026-11-21T10:00:00Z", "sequence": "1",
        "datacontenttype": "application/json", "data": {},
    })
}

/// The same with another field.
pub(crate) fn event_with(field: &str, value: Value) -> Value {
    let mut event = event();
    event[field] = value;
    event
}
