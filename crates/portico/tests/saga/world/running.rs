//! Both services at work by themselves, as in processes of their own.

use messaging::{
    Broker, BrokerConfig, Bus, RabbitMq,
    topology::{Account, EXCHANGE, accounts},
};
use runtime::Stop;
use testkit::{Permissions, until};
use tokio::task::JoinSet;

use super::World;

/// The services' relays, consumers and jobs. They end with this value.
pub(crate) struct Running {
    _tasks: JoinSet<()>,
}

impl World {
    /// The in-process bus, for both services.
    pub(crate) fn bus(&self) -> [Broker; 2] {
        let broker = Broker::from(Bus::new(self.consumers()));
        [broker.clone(), broker]
    }

    /// RabbitMQ, under each service's own account: what those may do is enough for the saga.
    pub(crate) async fn rabbitmq(&self, vhost: &testkit::Broker) -> [Broker; 2] {
        let connect = async |service: &str| {
            let account = accounts().into_iter().find(|account| account.name == service).unwrap();
            let Account { configure, write, read, topic_write, .. } = account;
            let topic = Some((EXCHANGE, topic_write));
            let url = vhost.account(Permissions { configure, write, read, topic }).await;
            Broker::from(RabbitMq::new(&BrokerConfig::at(url), service).unwrap())
        };
        [connect("order").await, connect("payment").await]
    }

    /// Lets both services tell and hear events and do their jobs.
    pub(crate) fn run(&self, [orders, payments]: [Broker; 2]) -> Running {
        let (stop, mut tasks) = (Stop::new(), JoinSet::new());
        tasks.spawn(orders.serve(self.orders.outbox(), self.orders.consumers(), stop.clone()));
        tasks.spawn(payments.serve(self.payments.outbox(), self.payments.consumers(), stop.clone()));
        let app = self.payments.clone();
        tasks.spawn(async move { app.background(stop).await.unwrap() });
        Running { _tasks: tasks }
    }

    /// Waits until all that was said is told and heard, and nothing is under way at the provider.
    pub(crate) async fn quiet(&self) {
        let mut before = vec![];
        until("all is quiet", async || {
            let now = self.footprint().await;
            let was_quiet = self.unfinished().await == 0 && now == before;
            before = now;
            was_quiet
        })
        .await;
    }

    /// How many events lie in the databases' dead letters.
    pub(crate) async fn dead_letters(&self) -> i64 {
        self.count("SELECT count(*) FROM dead_letters").await
    }

    /// Events that wait and attempts without a result. An event counts until all its consumers have committed.
    async fn unfinished(&self) -> i64 {
        let started: i64 = sqlx::query_scalar("SELECT count(*) FROM attempts WHERE status = 'STARTED'")
            .fetch_one(self.payment_database.pool())
            .await
            .unwrap();
        started + self.count("SELECT count(*) FROM outbox WHERE published_at IS NULL").await
    }

    async fn count(&self, statement: &'static str) -> i64 {
        let mut sum = 0;
        for database in [&self.order_database, &self.payment_database] {
            sum += sqlx::query_scalar::<_, i64>(statement).fetch_one(database.pool()).await.unwrap();
        }
        sum
    }
}
