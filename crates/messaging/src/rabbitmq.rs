//! RabbitMQ as the broker.

mod connection;
mod consumer;
mod listener;
mod publisher;

use std::sync::Arc;

use runtime::Stop;
use secrecy::ExposeSecret;

use self::{connection::Address, publisher::Publisher};
use crate::{BrokerConfig, CloudEvent, Consumer, Listener, bus::Patience};

/// RabbitMQ, as one service or gateway uses it. It connects when it is first needed, and again whenever the connection
/// is lost. Clones share the connection on which they publish.
#[derive(Clone)]
pub struct RabbitMq {
    /// What is heard and what is told have connections apart, so that a broker that holds publishers back holds no
    /// consumer back.
    consuming: Address,
    publisher: Publisher,
}

impl RabbitMq {
    /// The broker that the settings name, used by `name` ("order"), by which RabbitMQ shows the connections. Does no I/O.
    ///
    /// # Errors
    /// When the URL is none.
    pub fn new(config: &BrokerConfig, name: &str) -> anyhow::Result<Self> {
        let address = |what| Address::new(config.amqp_url.expose_secret(), format!("{name} {what}"));
        Ok(Self { consuming: address("consuming")?, publisher: Publisher::new(address("publishing")?) })
    }

    /// Hands events to these consumers until `stop`; what is being handled then is finished or comes again.
    pub async fn consume(&self, consumers: Vec<Arc<dyn Consumer>>, stop: Stop) {
        consumer::consume(&self.consuming, consumers, stop).await;
    }

    /// Tells an event. `true` once RabbitMQ has confirmed it and, where a queue of ours must get it, did not return it.
    /// Dropping the future forgets the event, or leaves it to chance whether it is told.
    pub(crate) async fn tell(&self, event: &CloudEvent, patience: Patience) -> bool {
        self.publisher.tell(event, patience).await
    }

    pub(crate) fn listen(&self, names: &[&'static str]) -> Listener {
        listener::listen(self.consuming.clone(), names.to_vec())
    }
}
