//! RabbitMQ as the broker.

mod connection;
mod consumer;
mod copy;
mod dead_letters;
mod listener;
mod publisher;
mod tls;

pub mod topology;

use std::{sync::Arc, time::Duration};

use runtime::{Faults, Stop};

pub(crate) use self::dead_letters::DeadLetters;
use self::{connection::Address, consumer::Ways, publisher::Publisher, topology::RETRY_DELAYS};
use crate::{BrokerConfig, Consumer, Listener, bus::Patience, event::SealedEvent, measure};

/// A connection to the RabbitMQ that the settings name, for a command that is over in a moment.
///
/// # Errors
/// When the URL is none, or RabbitMQ does not let us in within five seconds.
pub async fn connect(config: &BrokerConfig, name: &str) -> anyhow::Result<Arc<lapin::Connection>> {
    Ok(connection::open(&Address::new(config, name.to_owned())?).await?.connection)
}

/// RabbitMQ, as one service or gateway uses it. It connects when it is first needed, and again whenever the connection
/// is lost. Clones share the connection on which they publish.
#[derive(Clone)]
pub struct RabbitMq {
    /// What is heard and what is told have connections apart, so that a broker that holds publishers back holds no
    /// consumer back.
    ways: Ways,
    listening: Address,
    publisher: Publisher,
}

impl RabbitMq {
    /// The broker that the settings name, used by `name` ("order"), by which RabbitMQ shows the connections. Does no I/O.
    ///
    /// # Errors
    /// When the URL is none, or doesn't go with the authority to trust.
    pub fn new(config: &BrokerConfig, name: &str) -> anyhow::Result<Self> {
        runtime::measure::describe(measure::METRICS);
        let address = |what| Address::new(config, format!("{name} {what}"));
        let ways = Ways {
            consuming: address("consuming")?,
            laying_aside: address("laying aside")?,
            delays: RETRY_DELAYS.into(),
        };
        let publisher = Publisher::new(address("publishing")?);
        Ok(Self { ways, listening: address("listening")?, publisher })
    }

    /// The same broker, where what failed comes again after other delays than [`RETRY_DELAYS`]. Each needs a queue of its
    /// own, in whole milliseconds.
    #[must_use]
    pub fn retrying(mut self, delays: &[Duration]) -> Self {
        self.ways.delays = delays.into();
        self
    }

    /// The same broker, away whenever a switch says so.
    pub(crate) fn with_faults(mut self, faults: &Faults) -> Self {
        for address in [&mut self.ways.consuming, &mut self.ways.laying_aside, &mut self.listening] {
            *address = address.with_faults(faults);
        }
        self.publisher = self.publisher.with_faults(faults);
        self
    }

    /// Hands events to these consumers until `stop`; what is being handled then is finished or comes again.
    pub async fn consume(&self, consumers: Vec<Arc<dyn Consumer>>, stop: Stop) {
        consumer::consume(&self.ways, consumers, stop).await;
    }

    /// Tells an event. `true` once RabbitMQ has confirmed it and, where a queue of ours must get it, did not return it.
    /// Dropping the future forgets the event, or leaves it to chance whether it is told.
    pub(crate) async fn tell(&self, event: &SealedEvent, patience: Patience) -> bool {
        self.publisher.tell(event, patience).await
    }

    pub(crate) fn listen(&self, names: &[&'static str]) -> Listener {
        listener::listen(self.listening.clone(), names.to_vec())
    }
}
