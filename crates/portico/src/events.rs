//! `portico events`: what the services say, to each other and to those who subscribe.

use std::process::ExitCode;

use anyhow::Result;
use clap::{Args, Subcommand};

use crate::catalogue::Catalogue;

/// The arguments of `events`.
#[derive(Debug, Args)]
pub struct EventsCommand {
    #[command(subcommand)]
    task: Task,
}

/// What to do.
#[derive(Debug, Subcommand)]
enum Task {
    /// Write the catalogue of all events, docs/events.md and docs/events/, from the protos
    Catalogue(Catalogue),
}

impl EventsCommand {
    /// Does it.
    ///
    /// # Errors
    /// As [`Catalogue::run`].
    pub fn run(&self) -> Result<ExitCode> {
        match &self.task {
            Task::Catalogue(catalogue) => catalogue.run(),
        }
    }
}
