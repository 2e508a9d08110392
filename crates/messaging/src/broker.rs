//! The broker: what relays tell events to, and where consumers and listeners get them from.

use std::sync::Arc;

use clap::Args;
use runtime::{Faults, Stop, grpc::certificates, lifecycle::and_then_stop};
use secrecy::SecretString;
use tokio::sync::mpsc;

use crate::{Bus, CloudEvent, Consumer, Outbox, RabbitMq, bus::Patience, event::SealedEvent, measure, relay};

/// How RabbitMQ is reached.
#[derive(Args, Clone, Debug)]
pub struct BrokerConfig {
    /// RabbitMQ, `amqp://user:password@host:port/vhost` (`amqps` for TLS).
    #[arg(long, env = "AMQP_URL", hide_env_values = true, default_value = "amqp://127.0.0.1:5672/%2f")]
    pub amqp_url: SecretString,
    /// Who must have signed the certificate of the RabbitMQ at an amqps:// URL, in a PEM file; by default whomever the
    /// system trusts.
    #[arg(long, env = "AMQP_TLS_CA", value_name = "FILE", value_parser = certificates)]
    pub amqp_tls_ca: Option<String>,
}

impl BrokerConfig {
    /// The one at `url`, by the system's trust.
    pub fn at(url: impl Into<SecretString>) -> Self {
        Self { amqp_url: url.into(), amqp_tls_ca: None }
    }
}

/// One of the two brokers. Clones are the same broker.
#[derive(Clone)]
pub enum Broker {
    /// The bus of this process, where RabbitMQ is not wanted.
    InProcess(Bus),
    /// RabbitMQ.
    RabbitMq(RabbitMq),
}

impl Broker {
    /// The same, for a process with these switches: one of them says that the broker is down. To be said before it is used.
    #[must_use]
    pub fn with_faults(self, faults: &Faults) -> Self {
        match self {
            Self::InProcess(bus) => Self::InProcess(bus.with_faults(faults)),
            Self::RabbitMq(rabbitmq) => Self::RabbitMq(rabbitmq.with_faults(faults)),
        }
    }

    /// Tells an event. `true` once the broker answers for it: RabbitMQ has confirmed it, or each consumer of the
    /// in-process bus has settled it. `false` only without patience.
    pub(crate) async fn tell(&self, event: SealedEvent, patience: Patience) -> bool {
        match self {
            Self::InProcess(bus) => match event.open() {
                Ok(event) => bus.tell(&event, patience).await,
                Err(error) => {
                    tracing::error!(%error, "an event of the outbox can't be read");
                    false
                }
            },
            Self::RabbitMq(rabbitmq) => rabbitmq.tell(&event, patience).await,
        }
    }

    /// Runs a service's part in events until `stop`: the relay of its `outbox`, and its `consumers` (which the
    /// in-process bus already knows, since it was made with those of all services). The relay ends last: it tells what
    /// consumers said to the end.
    pub async fn serve(self, outbox: Outbox, consumers: Vec<Arc<dyn Consumer>>, stop: Stop) {
        consumers.iter().for_each(|consumer| measure::count_from_nothing(consumer.name()));
        let last = Stop::new();
        let relay = relay::run(outbox, self.clone(), last.clone());
        let consuming = async {
            match self {
                Self::InProcess(bus) => bus.redrive(&consumers, stop.clone()).await,
                Self::RabbitMq(rabbitmq) => rabbitmq.consume(consumers, stop.clone()).await,
            }
            // Where there are no consumers, that is at once.
            stop.cancelled().await;
        };
        tokio::join!(relay, and_then_stop(consuming, last));
    }

    /// Hears the events of these names as they are told, in this process alone and only from now on. For what must be
    /// quick and may be lost: whoever needs each event is a [`crate::Consumer`].
    pub fn listen(&self, names: &[&'static str]) -> Listener {
        match self {
            Self::InProcess(bus) => bus.listen(names),
            Self::RabbitMq(rabbitmq) => rabbitmq.listen(names),
        }
    }
}

impl From<Bus> for Broker {
    fn from(bus: Bus) -> Self {
        Self::InProcess(bus)
    }
}

impl From<RabbitMq> for Broker {
    fn from(rabbitmq: RabbitMq) -> Self {
        Self::RabbitMq(rabbitmq)
    }
}

/// What a listener hears.
#[derive(Clone, Debug)]
pub enum Heard {
    /// It listens from here on, for the first time or again: what was told just before may have been missed.
    Anew,
    /// An event. It may come more than once.
    Event(Arc<CloudEvent>),
}

/// Events as they are told. Dropping it ends the listening.
#[derive(Debug)]
pub struct Listener {
    pub(crate) heard: mpsc::Receiver<Heard>,
}

impl Listener {
    /// The next that is heard; waits for it, for ever where nothing happens. Cancelling it loses nothing.
    pub async fn next(&mut self) -> Heard {
        match self.heard.recv().await {
            Some(heard) => heard,
            None => std::future::pending().await,
        }
    }
}
