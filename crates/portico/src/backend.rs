//! What the services stand on. Today that is Postgres; the broker and nginx come beside it.
//!
//! Each backend is looked for in one order: a URL in the environment, the programs installed on this machine,
//! the distribution's packages unpacked in a cache. What was taken is told.

pub mod postgres;

use anyhow::Result;

use crate::environment::Environment;
use crate::progress::Progress;
use crate::state::State;
use postgres::Postgres;

/// What the backends are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// `up`: the data stays, and is safe against a crash of the machine.
    Kept,
    /// `with`: the data goes with the run, so nothing waits for the disk, and many tests connect at once.
    ThrowAway,
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
}

impl Backends {
    /// Finds, starts and prepares them; when this returns, they answer.
    ///
    /// # Errors
    /// When a backend is not found, does not start or cannot be prepared. Nothing is left running then.
    pub async fn start(
        state: &State,
        mode: Mode,
        environment: &Environment,
        progress: &Progress,
    ) -> Result<Self> {
        Ok(Self { postgres: Postgres::start(state, mode, environment, progress).await? })
    }

    /// Where the databases are.
    pub fn urls(&self) -> &Urls {
        self.postgres.urls()
    }

    /// What was taken and where its data and log are, as rows of a table: what, how.
    pub fn rows(&self) -> Vec<(&'static str, String)> {
        self.postgres.rows()
    }

    /// Waits until one of them fails and gives the reason. Never returns for those that are not ours.
    pub async fn failed(&mut self) -> String {
        self.postgres.failed().await
    }

    /// Stops what we started.
    ///
    /// # Errors
    /// When something cannot be stopped or tidied away.
    pub async fn stop(self, state: &State, progress: &Progress) -> Result<()> {
        self.postgres.stop(state, progress).await
    }
}

impl std::fmt::Debug for Urls {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Urls { .. }")
    }
}
