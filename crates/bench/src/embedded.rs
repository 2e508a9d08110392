//! The gateway and the services from memory in one process: what `portico up --embedded` is on Postgres.

use anyhow::Result;
use clap::Args;
use gateway::{App, Clients, Config};
use runtime::{
    Clock, Sessions, Stop,
    grpc::{Guard, in_process},
    telemetry::LogConfig,
};

use crate::memory::{Key, Services};

/// The settings of this process; the gateway's own come from the environment.
#[derive(Args, Debug)]
pub(crate) struct Embedded {
    #[command(flatten)]
    key: Key,
    #[command(flatten)]
    pub(crate) logs: LogConfig,
}

impl Embedded {
    /// Serves until `stop`.
    ///
    /// # Errors
    /// When it can't listen, or a setting is bad.
    pub(crate) async fn run(self, stop: Stop) -> Result<()> {
        let config: Config = runtime::config::parse(["gateway"])?;
        let sessions = Sessions::new(&config.tokens, Clock::system());
        let guard = Guard::new(sessions.clone());
        let services = Services::new(&self.key)?;
        let clients = Clients {
            user: in_process(guard.around(services.users)),
            order: in_process(guard.around(services.orders)),
            payment: in_process(guard.around(services.payments)),
        };
        App::build(config, clients, sessions, messaging::Bus::new(vec![]).into()).run(stop).await
    }
}
