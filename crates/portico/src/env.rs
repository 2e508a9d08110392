//! `portico env`: the settings of what runs, for a service or a tool that someone runs beside it.

use std::io::{Write, stdout};
use std::process::ExitCode;

use anyhow::Result;
use clap::{Args, ValueEnum};

use crate::attach::running;
use crate::environment::Environment;
use crate::settings::Settings;

/// The arguments of `env`.
#[derive(Debug, Args)]
pub struct Env {
    /// For this process, with its own account of RabbitMQ; without it, everything there is, and in AMQP_URL the account
    /// that may do everything
    process: Option<Process>,
}

/// The processes that run by themselves.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Process {
    Gateway,
    User,
    Order,
    Payment,
}

impl Env {
    /// Prints a line of shell for each variable: `eval "$(portico env order)"`.
    ///
    /// # Errors
    /// When nothing runs.
    pub fn run(&self, environment: &Environment) -> Result<ExitCode> {
        let settings = Settings::of_running(running(environment)?.variables);
        let variables = match self.process {
            None => settings.variables().to_vec(),
            Some(Process::Gateway) => settings.of_service("gateway"),
            Some(Process::User) => settings.of_service("user"),
            Some(Process::Order) => settings.of_service("order"),
            Some(Process::Payment) => settings.of_service("payment"),
        };
        for (name, value) in variables {
            writeln!(stdout(), "export {name}='{}'", value.replace('\'', r"'\''"))?;
        }
        Ok(ExitCode::SUCCESS)
    }
}
