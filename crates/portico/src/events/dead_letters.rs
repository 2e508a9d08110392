//! `portico events dead-letters`: the events that a consumer could not handle.

use std::io::{Write, stdout};
use std::process::ExitCode;

use anyhow::{Result, ensure};
use clap::{ArgGroup, Args, Subcommand};
use messaging::dead_letters::{DeadLetter, DeadLetters, Which};
use serde_json::{Value, json};

use super::{databases, print_json, print_table, since};
use crate::attach::on_backends;
use crate::backend::Events;
use crate::environment::Environment;
use crate::progress::Progress;
use crate::settings::Settings;

/// The arguments of `dead-letters`.
#[derive(Debug, Args)]
pub struct DeadLettersCommand {
    #[command(subcommand)]
    action: Action,
}

/// What can be done with them.
#[derive(Debug, Subcommand)]
enum Action {
    /// What rests, oldest first, and why
    List {
        /// Only those of this consumer
        #[arg(long)]
        consumer: Option<String>,
        /// How many of each consumer at most
        #[arg(long, default_value_t = 100)]
        limit: usize,
        /// One line of JSON for each, with the whole message
        #[arg(long)]
        json: bool,
    },
    /// All of one: its reason and its message
    Show {
        /// The event's id
        id: String,
        /// Only that of this consumer: several may have laid the same event to rest
        #[arg(long)]
        consumer: Option<String>,
        /// One line of JSON for each
        #[arg(long)]
        json: bool,
    },
    /// Have them handled again, as at the first try
    Redrive(Meant),
    /// Delete them for ever
    Drop(Meant),
}

/// Which ones are meant. None by accident: to mean all of them is to say so.
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("meant").required(true).multiple(true))]
struct Meant {
    /// The event's id
    #[arg(group = "meant")]
    id: Option<String>,
    /// Only those of this consumer
    #[arg(long, group = "meant")]
    consumer: Option<String>,
    /// All there are
    #[arg(long, group = "meant", conflicts_with_all = ["id", "consumer"])]
    all: bool,
    /// The number as JSON, for programs
    #[arg(long)]
    json: bool,
}

pub(super) const EXAMPLES: &str = "\
Examples:
    portico events dead-letters list
    portico events dead-letters show 01a1f9ac-ae39-75c4-a266-c3f43b14eac8
    portico events dead-letters redrive --consumer payment.order_created
    portico events dead-letters drop 01a1f9ac-ae39-75c4-a266-c3f43b14eac8

An event rests once its consumer has refused it, or has failed on it time and again. It holds up no other. Mend what was
wrong, then redrive it. With RabbitMQ they rest in the queues <consumer>.dead, without it in the services' databases.";

impl DeadLettersCommand {
    /// Does it.
    ///
    /// # Errors
    /// When they cannot be reached, or there is none with the id.
    pub async fn run(&self, environment: &Environment, progress: &Progress) -> Result<ExitCode> {
        if let Some(url) = environment.text("AMQP_URL") {
            self.with(&DeadLetters::in_rabbitmq(&environment.broker_at(url)?)?).await?;
        } else {
            on_backends(Events::RabbitMqIfThere, environment, progress, async |settings| {
                self.with(&dead_letters_of(settings, environment)?).await
            })
            .await?;
        }
        Ok(ExitCode::SUCCESS)
    }

    async fn with(&self, letters: &DeadLetters) -> Result<()> {
        match &self.action {
            Action::List { consumer, limit, json } => {
                let which = Which { consumer: consumer.clone(), id: None };
                list(&letters.list(&which, *limit).await?, *json)
            }
            Action::Show { id, consumer, json } => {
                let which = Which { consumer: consumer.clone(), id: Some(id.clone()) };
                let found = letters.list(&which, usize::MAX).await?;
                ensure!(!found.is_empty(), "no dead letter has the id {id}");
                found.iter().try_for_each(|letter| show(letter, *json))
            }
            Action::Redrive(meant) => meant.done("redriven", letters.redrive(&meant.which()).await?),
            Action::Drop(meant) => meant.done("dropped", letters.delete(&meant.which()).await?),
        }
    }
}

impl Meant {
    fn which(&self) -> Which {
        Which { consumer: self.consumer.clone(), id: self.id.clone() }
    }

    fn done(&self, what: &str, count: u64) -> Result<()> {
        if let Some(id) = &self.id {
            ensure!(count > 0, "no dead letter has the id {id}");
        }
        if self.json {
            return print_json(&json!({ what: count }));
        }
        let letters = if count == 1 { "dead letter" } else { "dead letters" };
        Ok(writeln!(stdout(), "{count} {letters} {what}")?)
    }
}

/// Those of the broker that `settings` name.
fn dead_letters_of(settings: &Settings, environment: &Environment) -> Result<DeadLetters> {
    match settings.amqp_url("portico") {
        Some(url) => DeadLetters::in_rabbitmq(&environment.broker_at(url)?),
        None => {
            let pools = databases(settings)?.into_iter().map(|(_, pool)| pool);
            Ok(DeadLetters::in_databases(pools.collect()))
        }
    }
}

fn list(letters: &[DeadLetter], as_json: bool) -> Result<()> {
    if as_json {
        return letters.iter().try_for_each(|letter| print_json(&as_value(letter)));
    }
    if letters.is_empty() {
        return Ok(writeln!(stdout(), "There are no dead letters.")?);
    }
    let row = |letter: &DeadLetter| {
        let (name, since) = (letter.name.clone().unwrap_or_default(), since(letter.died_at));
        let (consumer, id) = (letter.consumer.clone(), letter.id.clone());
        vec![consumer, id, name, since, letter.tries.to_string(), letter.reason.clone()]
    };
    print_table(&["CONSUMER", "ID", "EVENT", "SINCE", "TRIES", "REASON"], letters.iter().map(row))
}

fn show(letter: &DeadLetter, as_json: bool) -> Result<()> {
    if as_json {
        return print_json(&as_value(letter));
    }
    let pretty = serde_json::from_str::<Value>(&letter.message).map(|value| format!("{value:#}"));
    let rows = [
        ("consumer", letter.consumer.clone()),
        ("id", letter.id.clone()),
        ("event", letter.name.clone().unwrap_or_default()),
        ("since", since(letter.died_at)),
        ("tries", letter.tries.to_string()),
        ("reason", letter.reason.clone()),
    ];
    for (what, how) in rows {
        writeln!(stdout(), "{what:<9} {how}")?;
    }
    // What is no JSON may be anything, which is not for a terminal to obey.
    let message = pretty.unwrap_or_else(|_| letter.message.escape_debug().to_string());
    Ok(writeln!(stdout(), "\n{message}\n")?)
}

fn as_value(letter: &DeadLetter) -> Value {
    let message: Option<Value> = serde_json::from_str(&letter.message).ok();
    json!({
        "consumer": letter.consumer,
        "id": letter.id,
        "event": letter.name,
        "since": letter.died_at,
        "tries": letter.tries,
        "reason": letter.reason,
        "message": message.unwrap_or_else(|| letter.message.clone().into()),
    })
}
