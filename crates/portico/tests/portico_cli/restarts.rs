//! A RabbitMQ that goes away, comes back or takes nothing, under a relay and a consumer that go on.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use chrono::Utc;
use futures::future::BoxFuture;
use messaging::{Broker, BrokerConfig, CloudEvent, Consumer, Event, Failure, Outbox};
use portico::backend::{Mode, rabbitmq::RabbitMq};
use portico::environment::Environment;
use portico::progress::Progress;
use portico::state::State;
use runtime::Stop;
use serde_json::json;
use sqlx::{PgConnection, PgPool};
use testkit::Database;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};
use uuid::Uuid;

/// A consumer whose effects can be counted.
struct Counter {
    pool: PgPool,
}

impl Consumer for Counter {
    fn name(&self) -> &'static str {
        // One whose queue is there from the start: an event that another consumer's queue takes does not wait for ours.
        "payment.order_created"
    }

    fn events(&self) -> &'static [&'static str] {
        &["order.created"]
    }

    fn pool(&self) -> &PgPool {
        &self.pool
    }

    fn handle<'a>(
        &'a self,
        tx: &'a mut PgConnection,
        event: &'a CloudEvent,
    ) -> BoxFuture<'a, Result<(), Failure>> {
        Box::pin(async move {
            sqlx::query("INSERT INTO effects (event_id) VALUES ($1)").bind(event.id).execute(tx).await?;
            Ok(())
        })
    }
}

/// A RabbitMQ of the test's own, and a service's part in events on it.
struct World {
    state: State,
    rabbitmq: RabbitMq,
    database: Database,
    outbox: Outbox,
    stop: Stop,
    serving: JoinHandle<()>,
}

impl World {
    async fn new() -> Self {
        let progress = Progress::on_stderr();
        let environment = Environment::of_this_process();
        let parent: PathBuf = environment.cache_folder().unwrap().join("runs");
        let state = State::throw_away(&parent, &progress).await.unwrap();
        let own = environment.without_backends();
        let rabbitmq = RabbitMq::start(&state, Mode::ThrowAway, &own, &progress).await.unwrap();
        let database = Database::new("order").await;
        let made = sqlx::query("CREATE TABLE effects (event_id uuid PRIMARY KEY)");
        made.execute(database.pool()).await.unwrap();
        let outbox = Outbox::new(database.pool().clone(), "order");
        let stop = Stop::new();
        let config = BrokerConfig::at(rabbitmq.logins().all);
        let broker = Broker::from(messaging::RabbitMq::new(&config, "order").unwrap());
        let consumer = Arc::new(Counter { pool: database.pool().clone() });
        let serving = tokio::spawn(broker.serve(outbox.clone(), vec![consumer], stop.clone()));
        Self { state, rabbitmq, database, outbox, stop, serving }
    }

    /// Commits this many events, each of an aggregate of its own.
    async fn say(&self, count: usize) {
        let mut tx = self.database.pool().begin().await.unwrap();
        let event = |_| Event {
            id: Uuid::now_v7(),
            name: "order.created",
            subject: Uuid::now_v7(),
            sequence: 1,
            time: Utc::now(),
            data: json!({}),
        };
        let events: Vec<_> = (0..count).map(event).collect();
        Outbox::append_in_tx(&mut tx, &events).await.unwrap();
        tx.commit().await.unwrap();
        self.outbox.wake();
    }

    async fn count(&self, statement: &'static str) -> i64 {
        sqlx::query_scalar(statement).fetch_one(self.database.pool()).await.unwrap()
    }

    async fn effects(&self) -> i64 {
        self.count("SELECT count(*) FROM effects").await
    }

    async fn until_effects(&self, wanted: i64) {
        let deadline = Instant::now() + Duration::from_secs(60);
        while self.effects().await < wanted {
            assert!(Instant::now() < deadline, "only {} of {wanted} effects", self.effects().await);
            sleep(Duration::from_millis(20)).await;
        }
        assert_eq!(self.effects().await, wanted);
    }

    async fn end(self) {
        self.stop.cancel();
        self.serving.await.unwrap();
        let progress = Progress::on_stderr();
        self.rabbitmq.stop(&self.state, &progress).await.unwrap();
        self.state.discard(&progress).await.unwrap();
    }
}

#[tokio::test]
async fn events_go_on_where_they_were_after_a_stop_and_after_a_kill_of_rabbitmq() {
    let mut world = World::new().await;
    world.say(50).await;
    world.until_effects(50).await;

    world.say(200).await;
    world.rabbitmq.halt(&world.state).await.unwrap();
    world.say(100).await;
    world.rabbitmq.resume(&world.state).await.unwrap();
    world.until_effects(350).await;

    world.say(200).await;
    world.rabbitmq.kill(&world.state).await.unwrap();
    world.say(100).await;
    world.rabbitmq.resume(&world.state).await.unwrap();
    world.until_effects(650).await;
    world.end().await;
}

#[tokio::test]
async fn events_wait_while_rabbitmq_is_short_of_memory_and_go_on_when_it_no_longer_is() {
    let mut world = World::new().await;
    world.say(1).await;
    world.until_effects(1).await;

    world.rabbitmq.raise_memory_alarm().await.unwrap();
    world.say(20).await;
    // Long enough for what would be told within milliseconds.
    sleep(Duration::from_secs(2)).await;
    assert_eq!(world.effects().await, 1);
    assert_eq!(world.count("SELECT count(*) FROM outbox WHERE published_at IS NULL").await, 20);

    world.rabbitmq.clear_memory_alarm().await.unwrap();
    world.until_effects(21).await;
    world.end().await;
}
