//! `portico events outbox`: the events that are written and not yet said.

use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::{Args, Subcommand};
use messaging::{Outbox, OutboxStatus};
use serde_json::json;

use super::{databases, print_json, print_table, since};
use crate::attach::on_backends;
use crate::backend::Events;
use crate::environment::Environment;
use crate::progress::Progress;

/// The arguments of `outbox`.
#[derive(Debug, Args)]
pub struct OutboxCommand {
    #[command(subcommand)]
    action: Action,
}

/// What can be looked at.
#[derive(Debug, Subcommand)]
enum Action {
    /// For each service: how many events wait, since when the oldest does, how many that were said are still kept, and
    /// whether a relay is there to say them
    Status {
        /// One line of JSON for each service
        #[arg(long)]
        json: bool,
    },
}

pub(super) const EXAMPLES: &str = "\
Examples:
    portico events outbox status
    portico events outbox status --json | jq 'select(.waiting > 0)'

Events that wait are safe. They wait while RabbitMQ is away, while it does not know the queue that must get them (its
consumer has never run), or while no relay leads (the service does not run).";

impl OutboxCommand {
    /// Prints the state of each service's outbox.
    ///
    /// # Errors
    /// When a database cannot be reached.
    pub async fn run(&self, environment: &Environment, progress: &Progress) -> Result<ExitCode> {
        let Action::Status { json } = self.action;
        on_backends(Events::InProcess, environment, progress, async |settings| {
            let mut told = Vec::new();
            for (service, pool) in databases(settings)? {
                let status = Outbox::status(&pool).await;
                told.push((service, status.with_context(|| format!("the database of {service}"))?));
            }
            print(&told, json)
        })
        .await?;
        Ok(ExitCode::SUCCESS)
    }
}

fn print(told: &[(&str, OutboxStatus)], as_json: bool) -> Result<()> {
    if as_json {
        return told.iter().try_for_each(|(service, status)| {
            let OutboxStatus { waiting, oldest_waiting, kept, led } = status;
            print_json(&json!({
                "service": service, "waiting": waiting, "oldest_waiting": oldest_waiting, "kept": kept, "led": led,
            }))
        });
    }
    let row = |(service, status): &(&str, OutboxStatus)| {
        let relay = if status.led { "leads" } else { "none" };
        let (waiting, kept) = (status.waiting.to_string(), status.kept.to_string());
        vec![(*service).to_owned(), waiting, since(status.oldest_waiting), kept, relay.to_owned()]
    };
    print_table(&["SERVICE", "WAITING", "OLDEST", "SAID", "RELAY"], told.iter().map(row))
}
