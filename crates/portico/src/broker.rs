//! `portico broker definitions`: the accounts and queues of a RabbitMQ that someone else runs.

use std::io::{Write, stdout};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use clap::{Args, Subcommand};

use crate::backend::rabbitmq::accounts::Accounts;
use crate::environment::Environment;

/// The arguments of `broker`.
#[derive(Debug, Args)]
pub struct BrokerCommand {
    #[command(subcommand)]
    action: Action,
}

/// What can be done.
#[derive(Debug, Subcommand)]
enum Action {
    /// Print the accounts with what each may do, and the queues, as definitions that RabbitMQ loads at its start
    /// (`load_definitions`)
    #[command(after_help = EXAMPLES)]
    Definitions {
        /// A folder with a password in each file: `portico` (the administrator), `user`, `order`, `payment`, `gateway`,
        /// `subscriber`. Where a file is missing, the variable is read
        #[arg(long, value_name = "FOLDER")]
        passwords: Option<PathBuf>,
    },
}

const EXAMPLES: &str = "\
The passwords are read from PORTICO_AMQP_PASSWORD, USER_AMQP_PASSWORD, ORDER_AMQP_PASSWORD, PAYMENT_AMQP_PASSWORD,
GATEWAY_AMQP_PASSWORD and SUBSCRIBER_AMQP_PASSWORD, or from files, as secrets are mounted:

    portico broker definitions --passwords /run/secrets > definitions.json
    echo 'load_definitions = /etc/rabbitmq/definitions.json' >> rabbitmq.conf

Only hashes of them are printed.";

impl BrokerCommand {
    /// Prints what was asked for.
    ///
    /// # Errors
    /// When a password is missing.
    pub async fn run(&self, environment: &Environment) -> Result<ExitCode> {
        let Action::Definitions { passwords } = &self.action;
        let accounts =
            Accounts::with_passwords(async |name| password(name, passwords.as_ref(), environment)).await?;
        writeln!(stdout(), "{:#}", accounts.definitions())?;
        Ok(ExitCode::SUCCESS)
    }
}

/// The password of `name`: its file's without the newline at the end, or else its variable's.
fn password(name: &str, folder: Option<&PathBuf>, environment: &Environment) -> Result<String> {
    let variable = format!("{}_AMQP_PASSWORD", name.to_uppercase());
    let file = folder.map(|folder| folder.join(name)).filter(|file| file.exists());
    let password = match (&file, environment.text(&variable)) {
        (Some(file), _) => std::fs::read_to_string(file).with_context(|| format!("cannot read {file:?}"))?,
        (None, Some(password)) => password.to_owned(),
        (None, None) => {
            bail!("there is no password for {name}: set {variable}, or name a folder with a file {name}")
        }
    };
    let password = password.trim_end_matches(['\r', '\n']);
    if password.is_empty() {
        bail!("the password for {name} is empty");
    }
    Ok(password.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_read_from_its_file_or_else_its_variable_and_a_missing_one_is_named() {
        let folder = std::env::temp_dir().join(format!("portico-passwords-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("order"), "of-the-file\n").unwrap();
        let environment = Environment::made_of([("USER_AMQP_PASSWORD", "of-the-variable")], false);
        let read = |name| password(name, Some(&folder), &environment);
        assert_eq!(read("order").unwrap(), "of-the-file");
        assert_eq!(read("user").unwrap(), "of-the-variable");
        let missing = read("gateway").unwrap_err().to_string();
        assert!(missing.contains("GATEWAY_AMQP_PASSWORD"), "{missing}");
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
