//! A consumer that writes down what it does.

#![allow(dead_code, reason = "each of the targets that share it asks for a part")]

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use futures::future::BoxFuture;
use messaging::{CloudEvent, Consumer, Failure};
use sqlx::{PgConnection, PgPool};

type Behaviour = Box<dyn Fn(&CloudEvent) -> Result<(), Failure> + Send + Sync>;

/// Writes an effect into its transaction, and then does as it is told. It wants `order.created`.
pub(crate) struct Recorder {
    name: &'static str,
    events: &'static [&'static str],
    pool: PgPool,
    behaviour: Behaviour,
    after_commit: Box<dyn Fn() + Send + Sync>,
    takes: Duration,
    calls: AtomicUsize,
    now: AtomicUsize,
    most_at_once: AtomicUsize,
}

impl Recorder {
    pub(crate) fn new(name: &'static str, pool: &PgPool) -> Self {
        Self {
            name,
            events: &["order.created"],
            pool: pool.clone(),
            behaviour: Box::new(|_| Ok(())),
            after_commit: Box::new(|| ()),
            takes: Duration::ZERO,
            calls: AtomicUsize::new(0),
            now: AtomicUsize::new(0),
            most_at_once: AtomicUsize::new(0),
        }
    }

    /// Lets it fail, or panic.
    pub(crate) fn that(
        mut self,
        behaviour: impl Fn(&CloudEvent) -> Result<(), Failure> + Send + Sync + 'static,
    ) -> Self {
        self.behaviour = Box::new(behaviour);
        self
    }

    /// Does this when its effect has committed.
    pub(crate) fn after_commit(mut self, act: impl Fn() + Send + Sync + 'static) -> Self {
        self.after_commit = Box::new(act);
        self
    }

    pub(crate) fn taking(mut self, takes: Duration) -> Self {
        self.takes = takes;
        self
    }

    /// How often it was asked.
    pub(crate) fn calls(&self) -> usize {
        self.calls.load(Ordering::SeqCst)
    }

    /// How many events it handled at once, at most.
    pub(crate) fn most_at_once(&self) -> usize {
        self.most_at_once.load(Ordering::SeqCst)
    }
}

impl Consumer for Recorder {
    fn name(&self) -> &'static str {
        self.name
    }

    fn events(&self) -> &'static [&'static str] {
        self.events
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
            self.calls.fetch_add(1, Ordering::SeqCst);
            let at_once = self.now.fetch_add(1, Ordering::SeqCst) + 1;
            self.most_at_once.fetch_max(at_once, Ordering::SeqCst);
            sqlx::query(
                "INSERT INTO effects (consumer, event_id, subject, sequence) VALUES ($1, $2, $3, $4)",
            )
            .bind(self.name)
            .bind(event.id)
            .bind(event.subject)
            .bind(event.sequence())
            .execute(tx)
            .await?;
            tokio::time::sleep(self.takes).await;
            self.now.fetch_sub(1, Ordering::SeqCst);
            (self.behaviour)(event)
        })
    }

    fn committed(&self) {
        (self.after_commit)();
    }
}

/// The table of the effects.
pub(crate) async fn make_effects(pool: &PgPool) {
    sqlx::query(
        "CREATE TABLE effects (number bigserial, consumer text, event_id uuid, subject uuid, sequence bigint)",
    )
    .execute(pool)
    .await
    .unwrap();
}

/// How many effects a consumer had, and on how many events.
pub(crate) async fn effects(pool: &PgPool, consumer: &str) -> (i64, i64) {
    sqlx::query_as("SELECT count(*), count(DISTINCT event_id) FROM effects WHERE consumer = $1")
        .bind(consumer)
        .fetch_one(pool)
        .await
        .unwrap()
}
