//! `portico nginx`: what there is to do with the nginx of a running `up`.

use std::process::ExitCode;

use anyhow::Result;
use clap::{Args, Subcommand};

use crate::attach::running;
use crate::backend::nginx::clear_cache;
use crate::environment::Environment;
use crate::progress::Progress;

/// The arguments of `nginx`.
#[derive(Debug, Args)]
pub struct NginxCommand {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Forget all answers that are kept
    ClearCache,
}

impl NginxCommand {
    /// Does it.
    ///
    /// # Errors
    /// When nothing runs, or a file can't be removed.
    pub async fn run(&self, environment: &Environment, progress: &Progress) -> Result<ExitCode> {
        running(environment)?;
        match self.command {
            Command::ClearCache => {
                let step = progress.step("Emptying the cache of nginx");
                let answers = clear_cache(&environment.state_folder()?).await?;
                step.done(&format!("{answers} answers forgotten"));
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}
