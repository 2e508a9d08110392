//! RabbitMQ: which one, and the accounts in it.
//!
//! Guarantees for a node of ours: it and its helpers listen on 127.0.0.1 alone, on ports of their own; every client logs
//! in with a password that was made for this state folder; each service's account may say its own events and no others,
//! and the one for subscribers none at all.

pub mod accounts;
mod node;
mod programs;

use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use lapin::{Connection, ConnectionProperties};
use tokio::time::timeout;

use super::Mode;
use crate::environment::Environment;
use crate::packages::Packages;
use crate::progress::Progress;
use crate::state::State;
use accounts::Accounts;
use node::Node;
use programs::Programs;

/// A RabbitMQ that answers.
#[derive(Debug)]
pub struct RabbitMq {
    origin: String,
    kind: Kind,
}

/// Who answers for it.
#[derive(Debug)]
enum Kind {
    /// The one that the environment names, in which we make nothing.
    Given { url: String, management: Option<String> },
    /// Children of ours.
    Ours(Box<Node>),
}

/// How to log in to it. A password is part of each, so these are not for logs.
#[derive(Clone)]
pub struct Logins {
    /// The URL for those that have no account of their own: the administrator's, or the one that was given.
    pub all: String,
    /// The URLs of the accounts, by their names; none in a RabbitMQ that was given.
    pub accounts: Vec<(&'static str, String)>,
    /// The management API, with the administrator's password in it.
    pub management: Option<String>,
}

/// How long a server may take to let us in.
const PATIENCE_FOR_LOGIN: Duration = Duration::from_secs(10);

/// What is said when there is no RabbitMQ to be had.
const HOW_TO_GET_IT: &str = "RabbitMQ 3.10 or later was not found and cannot be fetched here: install it (`apt install \
     rabbitmq-server`, `dnf install rabbitmq-server`, `brew install rabbitmq`), or set AMQP_URL to one that runs";

impl RabbitMq {
    /// Takes, in this order: the server named by `AMQP_URL`, installed programs, packages.
    ///
    /// # Errors
    /// When none is to be had, or the one that was taken does not start or answer.
    pub async fn start(
        state: &State,
        mode: Mode,
        environment: &Environment,
        progress: &Progress,
    ) -> Result<Self> {
        match Source::find(environment, progress).await? {
            Some(source) => source.start(state, mode, environment, progress).await,
            None => bail!(HOW_TO_GET_IT),
        }
    }

    /// The same, or `None` where there is none to be had, which is told.
    ///
    /// # Errors
    /// When the one that was taken does not start or answer.
    pub async fn start_if_there(
        state: &State,
        mode: Mode,
        environment: &Environment,
        progress: &Progress,
    ) -> Result<Option<Self>> {
        let why = match Source::find(environment, progress).await {
            Ok(Some(source)) => return Ok(Some(source.start(state, mode, environment, progress).await?)),
            Ok(None) => HOW_TO_GET_IT.to_owned(),
            Err(error) => format!("{error:#}"),
        };
        progress.note(&format!(
            "Events stay inside this process, on its own bus, since there is no RabbitMQ: {why}"
        ));
        Ok(None)
    }

    /// How to log in to it.
    pub fn logins(&self) -> Logins {
        match &self.kind {
            Kind::Given { url, management } => {
                Logins { all: url.clone(), accounts: Vec::new(), management: management.clone() }
            }
            Kind::Ours(node) => {
                Logins { all: node.url(), accounts: node.urls(), management: Some(node.management_url(true)) }
            }
        }
    }

    /// What was taken, and where its data and log are.
    pub fn rows(&self) -> Vec<(&'static str, String)> {
        let mut rows = vec![("Events", format!("RabbitMQ {}", self.origin))];
        if let Kind::Ours(node) = &self.kind {
            rows.push(("  at", node.address()));
            rows.push(("  management", node.management_url(false)));
            rows.push(("  metrics", node.metrics_url()));
            rows.push(("  data", node.data().display().to_string()));
            rows.push(("  log", node.log().display().to_string()));
        }
        rows
    }

    /// Where a node of ours tells its metrics (host:port).
    pub fn metrics(&self) -> Option<String> {
        let Kind::Ours(node) = &self.kind else { return None };
        let url = node.metrics_url();
        Some(url.trim_start_matches("http://").trim_end_matches("/metrics").to_owned())
    }

    /// Waits until a node of ours ends by itself, and gives the reason. Cancelling it loses nothing.
    pub async fn failed(&mut self) -> String {
        match &mut self.kind {
            Kind::Given { .. } => std::future::pending().await,
            Kind::Ours(node) => node.ended().await,
        }
    }

    /// Stops a node of ours.
    ///
    /// # Errors
    /// When it cannot.
    pub async fn stop(self, state: &State, progress: &Progress) -> Result<()> {
        if let Kind::Ours(node) = self.kind {
            let step = progress.step("Stopping RabbitMQ");
            node.stop(state).await?;
            step.done("");
        }
        Ok(())
    }

    /// Stops a node of ours in good order, for as long as until [`Self::resume`]: for tests of what happens then.
    ///
    /// # Errors
    /// When it is none of ours, or the system does not tell how it ended.
    pub async fn halt(&mut self, state: &State) -> Result<()> {
        self.node()?.halt(state).await
    }

    /// The same without a warning, as SIGKILL does it.
    ///
    /// # Errors
    /// As [`Self::halt`].
    pub async fn kill(&mut self, state: &State) -> Result<()> {
        self.node()?.kill(state).await
    }

    /// Starts it again, on the same port and data; when this returns, it answers.
    ///
    /// # Errors
    /// When it is none of ours, or does not start.
    pub async fn resume(&mut self, state: &State) -> Result<()> {
        self.node()?.resume(state).await
    }

    /// Raises the alarm by which RabbitMQ takes no more messages until it is cleared.
    ///
    /// # Errors
    /// When it is none of ours, or does not answer.
    pub async fn raise_memory_alarm(&mut self) -> Result<()> {
        self.node()?.alarm(true).await
    }

    /// Clears the alarm.
    ///
    /// # Errors
    /// As [`Self::raise_memory_alarm`].
    pub async fn clear_memory_alarm(&mut self) -> Result<()> {
        self.node()?.alarm(false).await
    }

    fn node(&mut self) -> Result<&mut Node> {
        match &mut self.kind {
            Kind::Given { .. } => bail!("a RabbitMQ that was given is not ours to stop"),
            Kind::Ours(node) => Ok(node),
        }
    }
}

/// Where a RabbitMQ is to be had from.
enum Source {
    Given { url: String, management: Option<String> },
    Programs(Programs),
}

impl Source {
    /// What the environment names, installed programs, else the packages'; `None` where there are no packages.
    async fn find(environment: &Environment, progress: &Progress) -> Result<Option<Self>> {
        if let Some(url) = environment.text("AMQP_URL") {
            let management = environment.text("RABBITMQ_MANAGEMENT_URL").map(str::to_owned);
            return Ok(Some(Self::Given { url: url.to_owned(), management }));
        }
        if let Some(programs) = programs::installed(environment) {
            return Ok(Some(Self::Programs(programs)));
        }
        let Some(packages) = Packages::of_this_machine(environment)? else { return Ok(None) };
        let change = programs::let_erlang_find_itself;
        let unpacked = packages.unpacked_and("rabbitmq", &["rabbitmq-server"], progress, change).await;
        let unpacked = unpacked.context(HOW_TO_GET_IT)?;
        let programs = programs::unpacked(&unpacked);
        ensure!(programs.is_some(), "the distribution's RabbitMQ is too old. {HOW_TO_GET_IT}");
        Ok(programs.map(Self::Programs))
    }

    async fn start(
        self,
        state: &State,
        mode: Mode,
        environment: &Environment,
        progress: &Progress,
    ) -> Result<RabbitMq> {
        match self {
            Self::Given { url, management } => {
                let step = progress.step("Reaching the RabbitMQ that AMQP_URL names");
                let connection = messaging::connect(&environment.broker_at(&url)?, "portico").await;
                let connection = connection.context("the RabbitMQ that AMQP_URL names does not let us in")?;
                connection.close(200, "OK".into()).await?;
                step.done("ready");
                let origin = "of AMQP_URL in the environment".to_owned();
                Ok(RabbitMq { origin, kind: Kind::Given { url, management } })
            }
            Self::Programs(programs) => {
                let name = format!("Starting RabbitMQ {} ({})", programs.version(), programs.origin());
                let step = progress.step(&name);
                let password = async |name: &str| state.secret(&format!("rabbitmq_{name}")).await;
                let accounts = Accounts::with_passwords(password).await?;
                let owner = environment.owner_of_backends();
                let node = Node::start(&programs, state, mode, owner, accounts).await?;
                step.done("ready");
                Ok(RabbitMq { origin: programs.to_string(), kind: Kind::Ours(Box::new(node)) })
            }
        }
    }
}

/// One login, to see that it is possible.
async fn reach(url: &str) -> Result<()> {
    let connection = timeout(PATIENCE_FOR_LOGIN, Connection::connect(url, ConnectionProperties::default()));
    let connection = connection.await.context("it does not answer")??;
    Ok(connection.close(200, "OK".into()).await?)
}

impl std::fmt::Debug for Logins {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Logins { .. }")
    }
}
