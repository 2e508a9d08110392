//! `portico events`: what the services say, what of it could not be handled, and what waits to be said.

pub mod dead_letters;
pub mod outbox;
pub mod tail;

use std::io::{Write, stdout};
use std::process::ExitCode;

use anyhow::{Context, Result};
use chrono::{DateTime, SecondsFormat, Utc};
use clap::{Args, Subcommand};
use comfy_table::Table;
use comfy_table::presets::NOTHING;
use serde::Serialize;
use sqlx::PgPool;

use crate::catalogue::Catalogue;
use crate::environment::Environment;
use crate::progress::Progress;
use crate::settings::Settings;

/// The arguments of `events`.
#[derive(Debug, Args)]
pub struct EventsCommand {
    #[command(subcommand)]
    task: Task,
}

/// What to do.
#[derive(Debug, Subcommand)]
enum Task {
    /// Print events as they are said, one a line
    #[command(after_help = tail::EXAMPLES)]
    Tail(tail::Tail),
    /// Look at the events that a consumer could not handle, have them handled again, or drop them
    #[command(after_help = dead_letters::EXAMPLES)]
    DeadLetters(dead_letters::DeadLettersCommand),
    /// Look at the events that are written and not yet said
    #[command(after_help = outbox::EXAMPLES)]
    Outbox(outbox::OutboxCommand),
    /// Write the catalogue of all events, docs/events.md and docs/events/, from the protos
    Catalogue(Catalogue),
}

impl EventsCommand {
    /// Does it, with the system that the environment names, that runs, or else with the state folder's own.
    ///
    /// # Errors
    /// When that cannot be reached, or there is not what was asked for.
    pub async fn run(&self, environment: &Environment, progress: &Progress) -> Result<ExitCode> {
        match &self.task {
            Task::Tail(tail) => tail.run(environment, progress).await,
            Task::DeadLetters(letters) => letters.run(environment, progress).await,
            Task::Outbox(outbox) => outbox.run(environment, progress).await,
            Task::Catalogue(catalogue) => catalogue.run(),
        }
    }
}

/// A few connections to the database of each service, by its name; none is made before it is needed.
fn databases(settings: &Settings) -> Result<Vec<(&'static str, PgPool)>> {
    let pool = |service: &'static str| {
        let variable = format!("{}_DATABASE_URL", service.to_uppercase());
        let url = settings.get(&variable).with_context(|| format!("{variable} is not set"))?;
        let pool = sqlx::postgres::PgPoolOptions::new().max_connections(2).connect_lazy(url);
        Ok((service, pool.with_context(|| format!("{variable} is no URL of a database"))?))
    };
    ["user", "order", "payment"].into_iter().map(pool).collect()
}

/// A table for people, with a line for each row.
fn print_table(header: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> Result<()> {
    let mut table = Table::new();
    table.load_style(NOTHING);
    table.set_header(header.iter().copied());
    table.add_rows(rows);
    Ok(writeln!(stdout(), "{}", table.trim_fmt())?)
}

/// One line of JSON for programs.
fn print_json(value: &impl Serialize) -> Result<()> {
    Ok(writeln!(stdout(), "{}", serde_json::to_string(value)?)?)
}

/// A time for people; nothing where there is none.
fn since(time: Option<DateTime<Utc>>) -> String {
    time.map(|time| time.to_rfc3339_opts(SecondsFormat::Secs, true)).unwrap_or_default()
}
