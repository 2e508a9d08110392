//! What the services stand on in this run alone: a Postgres and a RabbitMQ of its own, stopped and started as the faults
//! want it.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use anyhow::{Context, Result};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use portico::{
    backend::{Mode, Urls, postgres::Postgres, rabbitmq::RabbitMq},
    environment::Environment,
    migrate,
    progress::Progress,
    state::State,
};

use sqlx::{Connection, PgConnection};
use tokio::time::{Instant, sleep};

use crate::{products, proxy::Proxy};

/// How long the helpers of a Postgres that was killed may take to end.
const HELPERS_END: Duration = Duration::from_secs(20);

/// Both, and the proxy before RabbitMQ.
pub(crate) struct Backends {
    /// Postgres.
    pub(crate) postgres: Postgres,
    /// RabbitMQ.
    pub(crate) rabbitmq: RabbitMq,
    /// Through which the services reach RabbitMQ.
    pub(crate) proxy: Proxy,
}

impl Backends {
    /// Starts them in the folder of `state`, and prepares the databases.
    ///
    /// # Errors
    /// When one does not start. What was started ends then.
    pub(crate) async fn start(state: &State, progress: &Progress) -> Result<Self> {
        // What a test may lose with its run, a run that stops Postgres at once must keep: every commit is on disk.
        let (mode, environment) = (Mode::Kept, Environment::of_this_process().without_backends());
        let postgres = Postgres::start(state, mode, &environment, progress).await?;
        ask_for_no_passwords(&postgres).await?;
        migrate::up_all(postgres.urls()).await?;
        products::stock(&postgres.urls().order).await?;
        let rabbitmq = RabbitMq::start(state, mode, &environment, progress).await?;
        let proxy = Proxy::before(address_of(&rabbitmq.logins().all)?).await?;
        Ok(Self { postgres, rabbitmq, proxy })
    }

    /// Where the databases are.
    pub(crate) fn urls(&self) -> &Urls {
        self.postgres.urls()
    }

    /// The database of a service.
    pub(crate) fn database(&self, service: &str) -> &str {
        let urls = self.urls();
        match service {
            "user" => &urls.user,
            "order" => &urls.order,
            _ => &urls.payment,
        }
    }

    /// The URL by which the account `name` logs in to RabbitMQ through the proxy.
    ///
    /// # Errors
    /// When there is no such account.
    pub(crate) fn amqp_through_proxy(&self, name: &str) -> Result<String> {
        let url = self.amqp(name)?;
        let (from, to) = (address_of(&url)?.to_string(), self.proxy.address().to_string());
        Ok(url.replace(&from, &to))
    }

    /// The URL by which the account `name` logs in to RabbitMQ directly.
    ///
    /// # Errors
    /// When there is no such account.
    pub(crate) fn amqp(&self, name: &str) -> Result<String> {
        let accounts = self.rabbitmq.logins().accounts;
        let found = accounts.into_iter().find(|(account, _)| *account == name);
        Ok(found.with_context(|| format!("RabbitMQ has no account {name}"))?.1)
    }

    /// The URL of RabbitMQ's administrator, directly.
    pub(crate) fn amqp_of_administrator(&self) -> String {
        self.rabbitmq.logins().all
    }

    /// Stops Postgres as `pg_ctl stop -m immediate` does: its processes end where they stand, and the next start goes
    /// through the log.
    ///
    /// # Errors
    /// When it has no process, or one that does not end.
    pub(crate) async fn stop_postgres_at_once(&mut self, state: &State) -> Result<()> {
        // Its first line is the id of the process that all others belong to.
        let text = tokio::fs::read_to_string(folder(&self.postgres)?.join("postmaster.pid")).await?;
        let pid: i32 = text.lines().next().unwrap_or_default().trim().parse()?;
        kill(Pid::from_raw(pid), Signal::SIGQUIT)?;
        // It has no time left for the more orderly end that this asks for.
        self.postgres.halt(state).await
    }

    /// Starts Postgres again. After SIGKILL its helpers may hold on to its memory for a moment longer, and it does not
    /// start before they have ended.
    ///
    /// # Errors
    /// When it does not start.
    pub(crate) async fn start_postgres_again(&mut self, state: &State) -> Result<()> {
        let until = Instant::now() + HELPERS_END;
        loop {
            match self.postgres.resume(state).await {
                Err(_) if Instant::now() < until => sleep(Duration::from_millis(250)).await,
                started => return started,
            }
        }
    }

    /// Stops both.
    ///
    /// # Errors
    /// The first failure; the other one was stopped nevertheless.
    pub(crate) async fn stop(self, state: &State, progress: &Progress) -> Result<()> {
        let stopped = self.rabbitmq.stop(state, progress).await;
        stopped.and(self.postgres.stop(state, progress).await)
    }
}

/// The folder of Postgres's data.
fn folder(postgres: &Postgres) -> Result<PathBuf> {
    let row = postgres.rows().into_iter().find(|(what, _)| what.trim() == "data");
    Ok(row.context("Postgres has no folder")?.1.into())
}

/// Lets everybody on this machine in without a password. Checking one is made to cost time (SCRAM), which without
/// optimisation are tens of milliseconds; with each fault, dozens of connections are made anew.
async fn ask_for_no_passwords(postgres: &Postgres) -> Result<()> {
    let rules = folder(postgres)?.join("pg_hba.conf");
    let text = tokio::fs::read_to_string(&rules).await?;
    tokio::fs::write(&rules, text.replace("scram-sha-256", "trust")).await?;
    let url = postgres.urls().maintenance.as_deref().context("Postgres is not ours")?;
    let mut connection = PgConnection::connect(url).await?;
    sqlx::query("SELECT pg_reload_conf()").execute(&mut connection).await?;
    Ok(connection.close().await?)
}

/// Host and port of `amqp://user:password@host:port/vhost`, which is on this machine.
fn address_of(url: &str) -> Result<SocketAddr> {
    let rest = url.rsplit('@').next().unwrap_or_default();
    let address = rest.split('/').next().unwrap_or_default();
    address.parse().with_context(|| format!("{address} is no address"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_stands_behind_the_password_and_before_the_virtual_host() {
        let address = address_of("amqp://order:se%40cret@127.0.0.1:5672/%2f").unwrap();
        assert_eq!(address.to_string(), "127.0.0.1:5672");
        assert!(address_of("amqp://nowhere").is_err());
    }
}
