//! Postgres: which one, and the databases and roles in it.
//!
//! Guarantees for a cluster of ours: it listens on 127.0.0.1 alone, on a port of its own and on no socket file;
//! every connection needs a password; each service's role owns its database and can enter no other.

mod cluster;
mod databases;
mod programs;

use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use sqlx::{Connection, PgConnection};
use tokio::time::timeout;

use super::{Mode, Urls};
use crate::environment::Environment;
use crate::packages::Packages;
use crate::progress::Progress;
use crate::state::State;
use cluster::Cluster;
use databases::{Databases, random_suffix};
use programs::Programs;

/// A Postgres with the services' databases in it.
#[derive(Debug)]
pub struct Postgres {
    origin: String,
    urls: Urls,
    kind: Kind,
}

/// Who answers for it.
#[derive(Debug)]
enum Kind {
    /// The one that the environment names: with nothing of ours in it, or with databases that we drop again.
    Given { to_drop: Option<Databases> },
    /// A child of ours.
    Ours(Box<Cluster>),
}

/// How long a server that the environment names may take to answer.
const PATIENCE_WITH_GIVEN: Duration = Duration::from_secs(10);

/// What is said when there is no Postgres to be had.
const HOW_TO_GET_IT: &str = "Postgres 15 or later was not found and cannot be fetched here: install it (`apt install \
     postgresql`, `dnf install postgresql-server`, `brew install postgresql@17`), or set DATABASE_URL to one that runs";

impl Postgres {
    /// Takes, in this order: the three databases named in the environment (not for [`Mode::ThrowAway`], which
    /// needs a role that can make databases), the server named by `DATABASE_URL`, installed programs, packages.
    ///
    /// # Errors
    /// When none is to be had, or the one that was taken does not start or answer.
    pub async fn start(
        state: &State,
        mode: Mode,
        environment: &Environment,
        progress: &Progress,
    ) -> Result<Self> {
        if mode == Mode::Kept
            && let Some(urls) = urls_of_all_three(environment)?
        {
            return Self::of_databases(urls, progress).await;
        }
        if let Some(url) = environment.text("DATABASE_URL") {
            return Self::on_server(url, state, mode, progress).await;
        }
        let programs = find_programs(state, environment, progress).await?;
        let step =
            progress.step(&format!("Starting Postgres {} ({})", programs.version(), programs.origin()));
        let cluster = Cluster::start(&programs, state, mode, environment.owner_of_backends()).await?;
        let urls = Databases::named("").make(&cluster.url(), state).await?;
        databases::close_to_strangers(&cluster.url()).await?;
        step.done("ready");
        Ok(Self { origin: programs.to_string(), urls, kind: Kind::Ours(Box::new(cluster)) })
    }

    async fn of_databases(urls: Urls, progress: &Progress) -> Result<Self> {
        let step = progress.step("Reaching the databases that the environment names");
        reach_all(&urls).await?;
        step.done("ready");
        Ok(Self { origin: "the environment".to_owned(), urls, kind: Kind::Given { to_drop: None } })
    }

    /// Throw-away databases on a server that others use too get names that nobody else has.
    async fn on_server(url: &str, state: &State, mode: Mode, progress: &Progress) -> Result<Self> {
        let step = progress.step("Preparing the server that DATABASE_URL names");
        reach("DATABASE_URL", url).await?;
        let databases = match mode {
            Mode::Kept => Databases::named(""),
            Mode::ThrowAway => Databases::named(&random_suffix()),
        };
        let urls = databases.make(url, state).await?;
        // Databases of these names may have been there before, as someone else's.
        reach_all(&urls).await?;
        step.done("ready");
        let to_drop = (mode == Mode::ThrowAway).then_some(databases);
        Ok(Self { origin: "DATABASE_URL in the environment".to_owned(), urls, kind: Kind::Given { to_drop } })
    }

    /// Where the databases are.
    pub fn urls(&self) -> &Urls {
        &self.urls
    }

    /// What was taken, and where its data and log are.
    pub fn rows(&self) -> Vec<(&'static str, String)> {
        let mut rows = vec![("Postgres", self.origin.clone())];
        if let Kind::Ours(cluster) = &self.kind {
            rows.push(("  at", cluster.address()));
            rows.push(("  data", cluster.data().display().to_string()));
            rows.push(("  log", cluster.log().display().to_string()));
        }
        rows
    }

    /// Waits until a cluster of ours ends by itself, and gives the reason. Cancelling it loses nothing.
    pub async fn failed(&mut self) -> String {
        match &mut self.kind {
            Kind::Given { .. } => std::future::pending().await,
            Kind::Ours(cluster) => cluster.ended().await,
        }
    }

    /// Stops a cluster of ours tidily, for as long as until [`Self::resume`]: for tests of what happens then.
    ///
    /// # Errors
    /// When it is none of ours, or the system does not tell how it ended.
    pub async fn halt(&mut self, state: &State) -> Result<()> {
        self.cluster()?.halt(state).await
    }

    /// The same without a warning, as SIGKILL does it.
    ///
    /// # Errors
    /// As [`Self::halt`].
    pub async fn kill(&mut self, state: &State) -> Result<()> {
        self.cluster()?.kill(state).await
    }

    /// Starts it again, on the same port and data; when this returns, it answers.
    ///
    /// # Errors
    /// When it is none of ours, or does not start.
    pub async fn resume(&mut self, state: &State) -> Result<()> {
        self.cluster()?.resume(state).await
    }

    fn cluster(&mut self) -> Result<&mut Cluster> {
        match &mut self.kind {
            Kind::Given { .. } => bail!("a Postgres that was given is not ours to stop"),
            Kind::Ours(cluster) => Ok(cluster),
        }
    }

    /// Stops a cluster of ours; drops throw-away databases on another's server.
    ///
    /// # Errors
    /// When it cannot.
    pub async fn stop(self, state: &State, progress: &Progress) -> Result<()> {
        match self.kind {
            Kind::Given { to_drop: None } => Ok(()),
            Kind::Given { to_drop: Some(databases) } => {
                let step = progress.step("Dropping the throw-away databases");
                databases.drop(self.urls.maintenance.as_deref().unwrap_or_default()).await?;
                step.done("");
                Ok(())
            }
            Kind::Ours(cluster) => {
                let step = progress.step("Stopping Postgres");
                cluster.stop(state).await?;
                step.done("");
                Ok(())
            }
        }
    }
}

/// The services' own variables, which go together: one alone is a mistake that is better told.
fn urls_of_all_three(environment: &Environment) -> Result<Option<Urls>> {
    let url = |name| environment.text(name).map(str::to_owned);
    match (url("USER_DATABASE_URL"), url("ORDER_DATABASE_URL"), url("PAYMENT_DATABASE_URL")) {
        (Some(user), Some(order), Some(payment)) => {
            Ok(Some(Urls { user, order, payment, maintenance: None }))
        }
        (None, None, None) => Ok(None),
        _ => bail!(
            "USER_DATABASE_URL, ORDER_DATABASE_URL and PAYMENT_DATABASE_URL go together: set all three or none"
        ),
    }
}

async fn reach_all(urls: &Urls) -> Result<()> {
    for (variable, url) in urls.variables() {
        reach(variable, url).await?;
    }
    Ok(())
}

/// One connection, to see that it can be made.
async fn reach(variable: &str, url: &str) -> Result<()> {
    let connection = timeout(PATIENCE_WITH_GIVEN, PgConnection::connect(url)).await;
    let connection =
        connection.with_context(|| format!("the server that {variable} names does not answer"))?;
    let connection = connection.with_context(|| format!("cannot enter the database of {variable}"))?;
    Ok(connection.close().await?)
}

/// Installed programs that can run the data there is, else the packages'.
async fn find_programs(state: &State, environment: &Environment, progress: &Progress) -> Result<Programs> {
    let wanted = cluster::version_of_data(state);
    if let Some(programs) = programs::installed(environment, wanted) {
        return Ok(programs);
    }
    let not_found = || not_found(wanted, state);
    let packages = Packages::of_this_machine(environment)?.with_context(not_found)?;
    let unpacked =
        packages.unpacked("postgresql", &["postgresql"], progress).await.with_context(not_found)?;
    ensure!(
        programs::unpacked(&unpacked, None).is_some(),
        "the Postgres unpacked in {} does not run here any more: remove that folder",
        unpacked.root().display()
    );
    programs::unpacked(&unpacked, wanted).with_context(not_found)
}

fn not_found(wanted: Option<u32>, state: &State) -> String {
    match wanted {
        Some(version) => format!(
            "the data in {} is of Postgres {version}, which was not found and cannot be fetched here: install it, or \
             set PORTICO_STATE_DIR to another folder",
            state.folder().display()
        ),
        None => HOW_TO_GET_IT.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_of_the_three_urls_alone_is_refused_with_the_names_of_all() {
        let environment = Environment::made_of([("ORDER_DATABASE_URL", "postgres://localhost/o")], false);
        let error = urls_of_all_three(&environment).unwrap_err().to_string();
        assert!(error.contains("USER_DATABASE_URL") && error.contains("PAYMENT_DATABASE_URL"), "{error}");
    }
}
