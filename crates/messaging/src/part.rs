//! What a service does beside its requests when it is alone in its process.

use std::sync::Arc;

use runtime::{Faults, Sessions, Stop, grpc::Transport};

use crate::{Broker, BrokerConfig, Consumer, Outbox, RabbitMq, revocations};

/// A service's part in the system: what it says, what it hears, and what it must know.
pub struct Part {
    /// What it says.
    pub outbox: Outbox,
    /// What it does when something happens elsewhere.
    pub consumers: Vec<Arc<dyn Consumer>>,
    /// Who may come in.
    pub sessions: Sessions,
    /// The way to the user service, where keys and revocations come from.
    pub users: Transport,
    /// Its fault switches.
    pub faults: Faults,
}

impl Part {
    /// Plays it until `stop`: tells the outbox to RabbitMQ, hands events to the consumers, and follows keys and
    /// revocations, by polling and, for what must be known at once, by RabbitMQ. At the stop nothing more is taken, and
    /// what is being handled is finished; what is said then waits in the outbox for another replica or the next start.
    ///
    /// # Errors
    /// When RabbitMQ's URL is none.
    pub async fn play(self, config: BrokerConfig, stop: Stop) -> anyhow::Result<()> {
        let broker = Broker::from(RabbitMq::new(&config, self.outbox.source)?).with_faults(&self.faults);
        tokio::join!(
            self.sessions.clone().follow(self.users, stop.clone()),
            revocations::follow(broker.clone(), self.sessions, stop.clone()),
            broker.serve(self.outbox, self.consumers, stop),
        );
        Ok(())
    }
}
