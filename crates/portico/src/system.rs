//! The system in this process: the services, wired to each other, and the gateway before them.
//!
//! The gateway calls the server objects directly, with no socket between; the guard around each service is the same as
//! over the network. The services' events go over RabbitMQ, where each has an account of its own, or else over the bus of
//! this process.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, bail};
use gateway::{Bound, Clients};
use messaging::{Broker, Bus, RabbitMq, revocations};
use runtime::{
    Clock, Sessions, Stop,
    admin::Check,
    admin::readiness,
    lifecycle::{and_then_stop, join_all},
    status::Part,
    trace,
};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use crate::demo;
use crate::settings::Settings;

/// How long the services may take until they are ready.
const PATIENCE: Duration = Duration::from_secs(30);

/// Everything in this process, wired and with its ports taken.
pub struct System {
    user: Arc<user::App>,
    order: Arc<order::App>,
    payment: Arc<payment::App>,
    gateway: Bound,
    sessions: Sessions,
    brokers: Brokers,
    development: bool,
}

/// The broker as each process would have it if it ran alone.
struct Brokers {
    user: Broker,
    order: Broker,
    payment: Broker,
    gateway: Broker,
}

impl System {
    /// Wires it all by `settings`. The databases are migrated already.
    ///
    /// # Errors
    /// When a setting is bad or a port is taken.
    pub async fn build(settings: &Settings) -> Result<Self> {
        let clock = Clock::system();
        let users: user::Config = settings.of()?;
        let sessions = Sessions::new(&users.tokens, clock.clone());
        let orders: order::Config = settings.of()?;
        let payments: payment::Config = settings.of()?;
        let edge: gateway::Config = settings.of()?;
        edge.check().map_err(anyhow::Error::msg)?;
        let rabbitmq = match settings.amqp_url("gateway") {
            Some(_) => Some(Brokers {
                user: RabbitMq::new(&users.broker, "user")?.into(),
                order: RabbitMq::new(&orders.broker, "order")?.into(),
                payment: RabbitMq::new(&payments.broker, "payment")?.into(),
                gateway: RabbitMq::new(&edge.broker, "gateway")?.into(),
            }),
            None => None,
        };
        let user = user::App::build(users, sessions.clone(), clock.clone())?;
        let order = order::App::build(orders, sessions.clone(), clock.clone())?;
        let payment = payment::App::build(payments, sessions.clone(), clock)?;
        let clients =
            Clients { user: user.transport(), order: order.transport(), payment: payment.transport() };
        let brokers = rabbitmq.unwrap_or_else(|| {
            let consumers = [user.consumers(), order.consumers(), payment.consumers()];
            Brokers::in_process(Bus::new(consumers.concat()))
        });
        let gateway = gateway::App::build(edge, clients, sessions.clone(), brokers.gateway.clone());
        let gateway = gateway.bind().await?.showing([
            Part::new("user", user.checks(), user.faults()),
            Part::new("order", order.checks(), order.faults()),
            Part::new("payment", payment.checks(), payment.faults()),
        ]);
        let development = settings.is_development();
        Ok(Self {
            user: user.into(),
            order: order.into(),
            payment: payment.into(),
            gateway,
            sessions,
            brokers,
            development,
        })
    }

    /// Where clients are answered.
    ///
    /// # Errors
    /// When the operating system does not say.
    pub fn address(&self) -> Result<SocketAddr> {
        Ok(self.gateway.address()?)
    }

    /// Where health and metrics are answered.
    ///
    /// # Errors
    /// When the operating system does not say.
    pub fn admin_address(&self) -> Result<SocketAddr> {
        Ok(self.gateway.admin_address()?)
    }

    /// Starts everything but the gateway's answers: sessions, jobs and relays, until `stop`. Gives what runs, once
    /// all services are ready and, in development, the demo accounts and products are there.
    ///
    /// # Errors
    /// When a service does not become ready in time; the last word of each is in the error.
    pub async fn start(self, stop: &Stop) -> Result<Started> {
        let (mut tasks, events_stop) = (JoinSet::new(), Stop::new());
        let following = self.sessions.clone().follow(self.user.transport(), stop.clone());
        tasks.spawn(async move {
            following.await;
            Ok(())
        });
        let (user, order, payment) = (self.user.clone(), self.order.clone(), self.payment.clone());
        let [for_user, for_order, for_payment] = [stop.clone(), stop.clone(), stop.clone()];
        tasks.spawn(async move { user.background(for_user).await });
        tasks.spawn(async move { order.background(for_order).await });
        tasks.spawn(async move { payment.background(for_payment).await });
        let Brokers { user, order, payment, gateway } = self.brokers;
        let revoked = revocations::follow(gateway, self.sessions.clone(), stop.clone());
        tasks.spawn(async move {
            revoked.await;
            Ok(())
        });
        let members = [
            (user, self.user.outbox(), self.user.consumers(), self.user.faults()),
            (order, self.order.outbox(), self.order.consumers(), self.order.faults()),
            (payment, self.payment.outbox(), self.payment.consumers(), self.payment.faults()),
        ];
        for (broker, outbox, consumers, faults) in members {
            let broker = broker.with_faults(faults);
            let events = Box::pin(broker.serve(outbox, consumers, events_stop.clone()));
            tasks.spawn(async move {
                events.await;
                Ok(())
            });
        }
        let checks: Vec<Check> =
            [self.user.checks(), self.order.checks(), self.payment.checks()].into_iter().flatten().collect();
        until_ready(&checks).await?;
        if self.development {
            demo::seed(&self.user, &self.order).await?;
        }
        let gateway = self.gateway;
        let served = stop.clone();
        tasks.spawn(and_then_stop(async move { gateway.serve(served).await }, events_stop));
        Ok(Started { tasks })
    }
}

impl Brokers {
    fn in_process(bus: Bus) -> Self {
        let broker = Broker::from(bus);
        Self { user: broker.clone(), order: broker.clone(), payment: broker.clone(), gateway: broker }
    }
}

/// The system while it runs.
pub struct Started {
    tasks: JoinSet<Result<()>>,
}

impl Started {
    /// Waits until all of it has ended: after `stop`, or when a part of it fails.
    ///
    /// # Errors
    /// The failure of the first part that failed.
    pub async fn ended(self, stop: &Stop) -> Result<()> {
        let outcome = join_all(self.tasks, stop).await;
        trace::flush().await;
        outcome
    }
}

async fn until_ready(checks: &[Check]) -> Result<()> {
    let started = Instant::now();
    loop {
        let (ready, told) = readiness(checks).await;
        if ready {
            return Ok(());
        }
        if started.elapsed() > PATIENCE {
            bail!("the services did not become ready:\n{told}");
        }
        sleep(Duration::from_millis(20)).await;
    }
}
