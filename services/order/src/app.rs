//! The wiring of the order service, and the only place of it.

use std::{sync::Arc, time::Duration};

use anyhow::Context;
use messaging::{Consumer, Outbox, Part, with_faults};
use proto::order::v1::order_service_server::OrderServiceServer;
use runtime::{
    Clock, Faults, Sessions, Stop,
    admin::Check,
    grpc::{Guard, Guarded, Server, Transport, connect, in_process},
    idempotency,
    lifecycle::{and_then_stop, every, join_all},
    postgres::Database,
};
use sqlx::migrate::Migrator;
use tokio::task::JoinSet;

use crate::{
    Config,
    events::PaymentOutcomes,
    grpc::{OrderGrpc, convert},
    orders::Orders,
    products::Products,
};

/// The migrations of the order service's database.
pub static MIGRATOR: Migrator = sqlx::migrate!("../../migrations/order");

/// How often idempotency keys that are no longer kept are deleted.
const PRUNE_PERIOD: Duration = Duration::from_secs(10 * 60);

/// A product that a new system begins with.
#[derive(Clone, Copy, Debug)]
pub struct SeedProduct<'a> {
    /// Its id, such as `prod-1`.
    pub id: &'a str,
    /// Its name.
    pub name: &'a str,
    /// Its price as decimal text, such as `999.99`.
    pub unit_price: &'a str,
    /// The price's ISO 4217 currency.
    pub currency: &'a str,
}

/// The order service, wired and not yet serving.
pub struct App {
    config: Config,
    database: Database,
    sessions: Sessions,
    clock: Clock,
    outbox: Outbox,
    faults: Faults,
}

impl App {
    /// Wires the service; it connects to its database when it is first asked for something. `sessions` and `clock`
    /// are passed in, since services that run in one process share them.
    ///
    /// # Errors
    /// When the database's URL is none.
    pub fn build(config: Config, sessions: Sessions, clock: Clock) -> anyhow::Result<Self> {
        let database = Database::at(config.place(), ["order", "order read", "order replica"])?;
        let outbox = Outbox::new(database.writes.raw().clone(), "order");
        let faults = Faults::new("order", config.environment);
        Ok(Self { config, database, sessions, clock, outbox, faults })
    }

    /// The gRPC service inside its guard.
    pub fn service(&self) -> Guarded<OrderServiceServer<OrderGrpc>> {
        let orders = Orders::new(self.database.clone(), self.outbox.clone(), self.clock.clone());
        Guard::new(self.sessions.clone())
            .with_faults(&self.faults)
            .with_room(self.config.room)
            .around(OrderServiceServer::new(OrderGrpc::new(orders, self.products())))
    }

    /// The way to the service inside this process.
    pub fn transport(&self) -> Transport {
        in_process(self.service())
    }

    /// Its fault switches: none in production.
    pub fn faults(&self) -> &Faults {
        &self.faults
    }

    /// The outbox, for the relay that tells its events.
    pub fn outbox(&self) -> Outbox {
        self.outbox.clone()
    }

    /// What the service does when something happens elsewhere.
    pub fn consumers(&self) -> Vec<Arc<dyn Consumer>> {
        let pool = self.database.writes.raw().clone();
        let outcomes = PaymentOutcomes::new(pool, self.outbox.clone(), self.clock.clone());
        with_faults(vec![Arc::new(outcomes)], &self.faults)
    }

    /// What has to hold before the service takes requests.
    pub fn checks(&self) -> Vec<Check> {
        vec![self.database.check(&MIGRATOR), self.sessions.check()]
    }

    /// Makes those of these products that do not exist; the others stay as they are.
    ///
    /// # Errors
    /// When one of them breaks a rule of UpsertProduct, or the database fails.
    pub async fn seed_products(&self, products: &[SeedProduct<'_>]) -> anyhow::Result<()> {
        let drafts: Vec<_> = products.iter().map(convert::seed_product).collect::<Result<_, _>>()?;
        Ok(self.products().seed(&drafts).await?)
    }

    /// Runs the jobs beside the requests until `stop`.
    ///
    /// # Errors
    /// None of today's jobs ends with one: they log their failures and try again.
    pub async fn background(&self, stop: Stop) -> anyhow::Result<()> {
        every(PRUNE_PERIOD, stop, || self.prune_idempotency_keys()).await;
        Ok(())
    }

    /// Runs the service alone in its process until `stop`.
    ///
    /// # Errors
    /// When a port is taken or the user service's URL is none.
    pub async fn run(self, stop: Stop) -> anyhow::Result<()> {
        let server = Server::bind_until_ready(&self.config.listen, &self.config.admin_listen)
            .await?
            .with_tls(&self.config.tls);
        let part = Part {
            outbox: self.outbox(),
            consumers: self.consumers(),
            sessions: self.sessions.clone(),
            users: connect(&self.config.user_grpc_url, &self.config.tls)
                .context("USER_GRPC_URL is no URL of a service")?,
            faults: self.faults.clone(),
        };
        let (mut tasks, events_stop) = (JoinSet::new(), Stop::new());
        tasks.spawn(part.play(self.config.broker.clone(), events_stop.clone()));
        let served = server.serve(self.service(), self.config.environment, self.checks(), stop.clone());
        tasks.spawn(and_then_stop(served, events_stop));
        let stopped = stop.clone();
        tasks.spawn(async move { self.background(stopped).await });
        join_all(tasks, &stop).await
    }

    /// Deletes all idempotency keys that are no longer kept, a bounded number at a time.
    async fn prune_idempotency_keys(&self) {
        loop {
            match idempotency::prune(&self.database.writes, self.clock.now()).await {
                Ok(0) => return,
                Ok(pruned) => tracing::debug!(pruned, "old idempotency keys are deleted"),
                Err(error) => {
                    tracing::warn!(%error, "old idempotency keys can't be deleted; trying again later");
                    return;
                }
            }
        }
    }

    fn products(&self) -> Products {
        Products::new(self.database.clone(), self.clock.clone())
    }
}
