//! `portico up` in a state folder of this run: Postgres and RabbitMQ as users have them, and the system in one process
//! beside Postgres.

use std::{path::Path, time::Duration};

use anyhow::{Context, Result, ensure};
use tokio::process::Command;

use crate::processes::{Process, Spec, beside_this_program, free_port};

/// How long it may take, from an empty state folder.
const START: Duration = Duration::from_secs(120);
/// How the line begins that it says once all is ready.
const LAST_LINE: &str = "Ctrl-C";

/// A Portico that is up.
pub(crate) struct Up {
    process: Process,
    /// The settings of services that run beside it.
    pub(crate) variables: Vec<(String, String)>,
    /// Where its graph is, if it has one.
    pub(crate) graph: String,
}

/// What is brought up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Postgres, the services and the gateway.
    Embedded,
    /// Postgres and RabbitMQ.
    Backends,
}

impl Up {
    /// Brings it up on the data that `folder` holds, and waits until it is ready.
    ///
    /// # Errors
    /// When it does not come up.
    pub(crate) async fn start(kind: Kind, folder: &Path) -> Result<Self> {
        let (port, admin) = (free_port()?, free_port()?);
        let (name, argument) = match kind {
            Kind::Embedded => ("embedded", "--embedded"),
            Kind::Backends => ("backends", "--backends"),
        };
        let state = folder.join("state").display().to_string();
        let spec = Spec {
            name,
            program: "portico",
            arguments: vec!["up".into(), argument.into()],
            environment: vec![
                ("PORTICO_STATE_DIR".into(), state.clone()),
                ("PORTICO_ENV".into(), "production".into()),
                ("GATEWAY_LISTEN".into(), format!("127.0.0.1:{port}")),
                ("GATEWAY_ADMIN_LISTEN".into(), format!("127.0.0.1:{admin}")),
            ],
        };
        let mut process = Process::start(spec, folder)?;
        process.wait_until_it_says(LAST_LINE, START).await?;
        let variables = variables(&state).await?;
        Ok(Self { process, variables, graph: format!("http://127.0.0.1:{port}/graphql") })
    }

    /// The URL of a service's database.
    ///
    /// # Errors
    /// When it was not told.
    pub(crate) fn database(&self, service: &str) -> Result<&str> {
        self.variable(&format!("{}_DATABASE_URL", service.to_uppercase()))
    }

    /// The URL of RabbitMQ for an account.
    ///
    /// # Errors
    /// When there is no RabbitMQ.
    pub(crate) fn rabbitmq(&self, account: &str) -> Result<&str> {
        self.variable(&format!("{}_AMQP_URL", account.to_uppercase())).context("RabbitMQ was not found")
    }

    /// The URL of RabbitMQ for the account that may do everything.
    ///
    /// # Errors
    /// When there is no RabbitMQ.
    pub(crate) fn rabbitmq_of_all(&self) -> Result<&str> {
        self.variable("AMQP_URL").context("RabbitMQ was not found")
    }

    fn variable(&self, name: &str) -> Result<&str> {
        let found = self.variables.iter().find(|(variable, _)| variable == name);
        Ok(&found.with_context(|| format!("`portico env` does not tell {name}"))?.1)
    }

    /// Takes it down.
    ///
    /// # Errors
    /// When it had ended before, or does not stop.
    pub(crate) async fn stop(self) -> Result<()> {
        self.process.stop().await
    }
}

/// What `portico env` says. It must not be asked before `up` holds the state folder, or it is in its way.
async fn variables(state: &str) -> Result<Vec<(String, String)>> {
    let mut command = Command::new(beside_this_program("portico")?);
    let told = command.arg("env").env("PORTICO_STATE_DIR", state).output().await?;
    ensure!(told.status.success(), "`portico env` fails: {}", String::from_utf8_lossy(&told.stderr));
    Ok(String::from_utf8(told.stdout)?.lines().filter_map(variable).collect())
}

/// The name and the value of `export NAME='VALUE'`.
fn variable(line: &str) -> Option<(String, String)> {
    let (name, value) = line.strip_prefix("export ")?.split_once('=')?;
    let value = value.strip_prefix('\'')?.strip_suffix('\'')?.replace(r"'\''", "'");
    Some((name.to_owned(), value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_variable_is_read_as_the_shell_would() {
        let read = |line| variable(line).unwrap();
        assert_eq!(read("export A='b=c'"), ("A".into(), "b=c".into()));
        assert_eq!(read(r"export A='it'\''s'"), ("A".into(), "it's".into()));
        assert_eq!(variable("A=b"), None);
    }
}
