//! What the services stand on: Postgres, and RabbitMQ where it is to be had; and nginx, which stands before them.
//!
//! Each backend is looked for in one order: a URL in the environment, the programs installed on this machine,
//! the distribution's packages unpacked in a cache. What was taken is told.

pub mod nginx;
pub mod postgres;
pub mod rabbitmq;

use std::ffi::{OsStr, OsString};

use anyhow::Result;

use crate::environment::Environment;
use crate::progress::Progress;
use crate::state::State;
use postgres::Postgres;
use rabbitmq::{Logins, RabbitMq};

/// What the backends are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// `up`: the data stays, and is safe against a crash of the machine.
    Kept,
    /// `with`: the data goes with the run, so nothing waits for the disk, and many tests connect at once.
    ThrowAway,
}

/// What carries the events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Events {
    /// Nothing of ours: the bus of one process, or a command that needs no events.
    InProcess,
    /// RabbitMQ where it is to be had, else the bus.
    RabbitMqIfThere,
    /// RabbitMQ.
    RabbitMq,
}

/// Where the databases are. A password is part of each, so these are not for logs.
#[derive(Clone)]
pub struct Urls {
    /// The user service's.
    pub user: String,
    /// The order service's.
    pub order: String,
    /// The payment service's.
    pub payment: String,
    /// That of a role which may make databases: tests make one each.
    pub maintenance: Option<String>,
}

impl Urls {
    /// The variables by which the services find their databases.
    pub fn services(&self) -> [(&'static str, &str); 3] {
        [
            ("USER_DATABASE_URL", self.user.as_str()),
            ("ORDER_DATABASE_URL", self.order.as_str()),
            ("PAYMENT_DATABASE_URL", self.payment.as_str()),
        ]
    }

    /// The same, and the one by which tests find a server to make databases on.
    pub fn variables(&self) -> Vec<(&'static str, &str)> {
        let maintenance = self.maintenance.as_deref().map(|url| ("DATABASE_URL", url));
        self.services().into_iter().chain(maintenance).collect()
    }
}

/// All backends, started.
#[derive(Debug)]
pub struct Backends {
    postgres: Postgres,
    rabbitmq: Option<RabbitMq>,
}

impl Backends {
    /// Finds, starts and prepares them, all at the same time; when this returns, they answer.
    ///
    /// # Errors
    /// When a backend is not found, does not start or cannot be prepared. Nothing is left running then.
    pub async fn start(
        state: &State,
        mode: Mode,
        events: Events,
        environment: &Environment,
        progress: &Progress,
    ) -> Result<Self> {
        let postgres = Postgres::start(state, mode, environment, progress);
        let rabbitmq = async {
            match events {
                Events::InProcess => Ok(None),
                Events::RabbitMqIfThere => RabbitMq::start_if_there(state, mode, environment, progress).await,
                Events::RabbitMq => RabbitMq::start(state, mode, environment, progress).await.map(Some),
            }
        };
        let (postgres, rabbitmq) = tokio::try_join!(Box::pin(postgres), Box::pin(rabbitmq))?;
        Ok(Self { postgres, rabbitmq })
    }

    /// Where the databases are.
    pub fn urls(&self) -> &Urls {
        self.postgres.urls()
    }

    /// How to log in to RabbitMQ, where there is one.
    pub fn logins(&self) -> Option<Logins> {
        self.rabbitmq.as_ref().map(RabbitMq::logins)
    }

    /// Where RabbitMQ tells Prometheus what it does (host:port), where it is one of ours.
    pub fn rabbitmq_metrics(&self) -> Option<String> {
        self.rabbitmq.as_ref()?.metrics()
    }

    /// What was taken and where its data and log are, as rows of a table: what, how.
    pub fn rows(&self) -> Vec<(&'static str, String)> {
        let events = match &self.rabbitmq {
            Some(rabbitmq) => rabbitmq.rows(),
            None => vec![("Events", "the in-process bus".to_owned())],
        };
        events.into_iter().chain(self.postgres.rows()).collect()
    }

    /// Waits until one of them fails and gives the reason. Never returns for those that are not ours.
    pub async fn failed(&mut self) -> String {
        let rabbitmq = async {
            match &mut self.rabbitmq {
                Some(rabbitmq) => rabbitmq.failed().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            reason = self.postgres.failed() => reason,
            reason = rabbitmq => reason,
        }
    }

    /// Stops what we started.
    ///
    /// # Errors
    /// When something cannot be stopped or tidied away.
    pub async fn stop(self, state: &State, progress: &Progress) -> Result<()> {
        let rabbitmq = async {
            match self.rabbitmq {
                Some(rabbitmq) => rabbitmq.stop(state, progress).await,
                None => Ok(()),
            }
        };
        let (postgres, rabbitmq) = tokio::join!(self.postgres.stop(state, progress), rabbitmq);
        postgres.and(rabbitmq)
    }
}

impl std::fmt::Debug for Urls {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Urls { .. }")
    }
}

/// All of the environment that a backend's programs need. Our own stays out of it: PGDATA, PGPORT and their like would
/// change what they do.
fn bare_environment(libraries: Option<&OsStr>) -> Vec<(&'static str, OsString)> {
    let mut variables = vec![("PATH", OsString::from("/usr/bin:/bin")), ("TZ", OsString::from("UTC"))];
    variables.extend(libraries.map(|path| ("LD_LIBRARY_PATH", path.to_owned())));
    variables
}
