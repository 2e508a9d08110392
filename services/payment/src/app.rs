//! The only wiring of the payment service.

use std::{sync::Arc, time::Duration};

use anyhow::Context;
use messaging::{Consumer, Outbox, Part, with_faults};
use proto::payment::v1::payment_service_server::PaymentServiceServer;
use runtime::{
    Clock, Faults, Sessions, Stop,
    admin::Check,
    grpc::{self, Guard, Guarded, Server, Transport},
    idempotency,
    lifecycle::{and_then_stop, every, join_all},
    postgres::Database,
};
use tokio::task::JoinSet;

use crate::{
    attempts::Attempts,
    config::Config,
    events::{OnOrderCreated, OnOrderStatusChanged},
    grpc::Grpc,
    payments::Payments,
    provider::sandbox::Sandbox,
};

/// The migrations of the payment database.
pub static MIGRATOR: sqlx::migrate::Migrator = sqlx::migrate!("../../migrations/payment");

/// How often attempts that are due are looked for. A refund for a cancelled order waits no longer than this.
const RECOVER_EVERY: Duration = Duration::from_secs(1);
/// How often payments whose window is over are looked for.
const EXPIRE_EVERY: Duration = Duration::from_secs(5);
/// How often idempotency keys that are no longer kept are deleted.
const PRUNE_EVERY: Duration = Duration::from_secs(60);

/// The payment service, wired. It does nothing by itself until [`App::run`] or [`App::background`].
#[derive(Clone)]
pub struct App {
    config: Config,
    sessions: Sessions,
    clock: Clock,
    database: Database,
    outbox: Outbox,
    payments: Payments,
    faults: Faults,
}

impl App {
    /// Wires the service. It connects when it is first used, so that processes start in any order.
    ///
    /// # Errors
    /// When the database's URL is none, and when settings contradict each other.
    pub fn build(config: Config, sessions: Sessions, clock: Clock) -> anyhow::Result<Self> {
        config.timing.check()?;
        let database = Database::at(config.place(), ["payment", "payment read", "payment replica"])?;
        let pool = database.writes.raw();
        let outbox = Outbox::new(pool.clone(), "payment");
        let provider = Arc::new(Sandbox::new(pool.clone()));
        let attempts =
            Attempts::new(database.clone(), outbox.clone(), clock.clone(), provider, config.timing);
        let payments = Payments::new(attempts, config.timing);
        let faults = Faults::new("payment", config.environment);
        Ok(Self { config, sessions, clock, database, outbox, payments, faults })
    }

    /// The gRPC service with the guard around it.
    pub fn service(&self) -> Guarded<PaymentServiceServer<Grpc>> {
        Guard::new(self.sessions.clone())
            .with_faults(&self.faults)
            .with_room(self.config.room)
            .around(PaymentServiceServer::new(Grpc::new(self.payments.clone())))
    }

    /// The way to the service in this process.
    pub fn transport(&self) -> Transport {
        grpc::in_process(self.service())
    }

    /// Its fault switches: none in production.
    pub fn faults(&self) -> &Faults {
        &self.faults
    }

    /// The outbox of its database.
    pub fn outbox(&self) -> Outbox {
        self.outbox.clone()
    }

    /// What it does when something happens to an order.
    pub fn consumers(&self) -> Vec<Arc<dyn Consumer>> {
        let consumers: Vec<Arc<dyn Consumer>> = vec![
            Arc::new(OnOrderCreated(self.payments.clone())),
            Arc::new(OnOrderStatusChanged(self.payments.clone())),
        ];
        with_faults(consumers, &self.faults)
    }

    /// What has to hold before it takes requests.
    pub fn checks(&self) -> Vec<Check> {
        vec![self.database.check(&MIGRATOR), self.sessions.check()]
    }

    /// The use cases.
    pub fn payments(&self) -> &Payments {
        &self.payments
    }

    /// Recovers attempts, expires payments and deletes old idempotency keys until `stop`.
    ///
    /// # Errors
    /// When one of these breaks down; a failure of the database is logged, and tried again.
    pub async fn background(&self, stop: Stop) -> anyhow::Result<()> {
        let mut jobs = JoinSet::new();
        let payments = self.payments.clone();
        jobs.spawn(job(RECOVER_EVERY, stop.clone(), "recovering attempts", move || {
            let attempts = payments.attempts().clone();
            async move { attempts.recover_once().await }
        }));
        let (payments, clock) = (self.payments.clone(), self.clock.clone());
        jobs.spawn(job(EXPIRE_EVERY, stop.clone(), "expiring payments", move || {
            let (payments, now) = (payments.clone(), clock.now());
            async move { payments.expire_once(now).await }
        }));
        let (pool, clock) = (self.database.writes.clone(), self.clock.clone());
        jobs.spawn(job(PRUNE_EVERY, stop.clone(), "deleting idempotency keys", move || {
            let (pool, now) = (pool.clone(), clock.now());
            async move { idempotency::prune(&pool, now).await }
        }));
        join_all(jobs, &stop).await
    }

    /// Runs the service alone in its process until `stop`.
    ///
    /// # Errors
    /// When a port is taken, and when a part breaks down.
    pub async fn run(self, stop: Stop) -> anyhow::Result<()> {
        let server = Server::bind_until_ready(&self.config.listen, &self.config.admin_listen)
            .await?
            .with_tls(&self.config.tls);
        let part = Part {
            outbox: self.outbox(),
            consumers: self.consumers(),
            sessions: self.sessions.clone(),
            users: grpc::connect(&self.config.user_grpc_url, &self.config.tls)
                .context("USER_GRPC_URL is no URL of a service")?,
            faults: self.faults.clone(),
        };
        let (mut tasks, events_stop) = (JoinSet::new(), Stop::new());
        tasks.spawn(part.play(self.config.broker.clone(), events_stop.clone()));
        let served = server.serve(self.service(), self.config.environment, self.checks(), stop.clone());
        tasks.spawn(and_then_stop(served, events_stop));
        let background_stop = stop.clone();
        tasks.spawn(async move { self.background(background_stop).await });
        join_all(tasks, &stop).await
    }
}

/// Does `work` every `period` until `stop`; a failure is logged, and the next time comes all the same.
async fn job<T: std::fmt::Debug, E: std::fmt::Display, F: Future<Output = Result<T, E>>>(
    period: Duration,
    stop: Stop,
    name: &'static str,
    mut work: impl FnMut() -> F,
) -> anyhow::Result<()> {
    every(period, stop, || {
        let work = work();
        async move {
            match work.await {
                Ok(done) => tracing::trace!(?done, "{name}"),
                Err(error) => tracing::error!(%error, "{name} failed; trying again"),
            }
        }
    })
    .await;
    Ok(())
}
