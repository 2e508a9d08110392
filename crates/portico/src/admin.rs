//! `portico admin create`: the first admin.

use std::io::{IsTerminal, Write, stdin, stdout};
use std::process::ExitCode;

use anyhow::{Result, bail};
use clap::{Args, Subcommand};
use runtime::{Clock, Sessions};
use secrecy::{ExposeSecret, SecretString};

use crate::attach::on_backends;
use crate::backend::Events;
use crate::environment::Environment;
use crate::progress::Progress;

/// The arguments of `admin`.
#[derive(Debug, Args)]
pub struct AdminCommand {
    #[command(subcommand)]
    action: Action,
}

/// What can be done.
#[derive(Debug, Subcommand)]
enum Action {
    /// Make an account with the role ADMIN; its password is asked for
    Create {
        /// The email that it logs in with
        #[arg(long)]
        email: String,
    },
    /// Make an admin of an account that exists; it has to log in again
    Promote {
        /// The email that it logs in with
        #[arg(long)]
        email: String,
    },
}

impl AdminCommand {
    /// Makes or promotes the account in the database of the environment, of a running `up`, or else of the state folder.
    ///
    /// # Errors
    /// When the email or the password is refused, or the database cannot be reached.
    pub async fn run(&self, environment: &Environment, progress: &Progress) -> Result<ExitCode> {
        let (email, password) = match &self.action {
            Action::Create { email } => (email, Some(ask_for_password()?)),
            Action::Promote { email } => (email, None),
        };
        on_backends(Events::InProcess, environment, progress, async |settings| {
            let config: user::Config = settings.of()?;
            let clock = Clock::system();
            let users =
                user::App::build(config.clone(), Sessions::new(&config.tokens, clock.clone()), clock)?;
            match password {
                Some(password) => Ok(users.create_admin(email, password).await?),
                None => Ok(users.promote_admin(email).await?),
            }
        })
        .await?;
        writeln!(stdout(), "{email} can log in as an admin now")?;
        Ok(ExitCode::SUCCESS)
    }
}

/// Asks twice at a terminal; reads one line from a pipe, for programs. A password is never an argument, which
/// everyone on the machine can read.
fn ask_for_password() -> Result<SecretString> {
    if !stdin().is_terminal() {
        let mut line = String::new();
        stdin().read_line(&mut line)?;
        return Ok(SecretString::from(line.trim_end_matches(['\r', '\n'])));
    }
    let password = SecretString::from(rpassword::prompt_password("Password: ")?);
    let again = SecretString::from(rpassword::prompt_password("Once more: ")?);
    if password.expose_secret() != again.expose_secret() {
        bail!("the two passwords differ");
    }
    Ok(password)
}
