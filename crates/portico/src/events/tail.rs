//! `portico events tail`: events as they are said.
//!
//! It hears them over a queue of its own, which ends with it and which nobody else notices.

mod line;

use std::io::{ErrorKind, IsTerminal, Write, stdout};
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use clap::Args;
use futures::StreamExt;
use lapin::message::Delivery;
use lapin::options::{
    BasicAckOptions, BasicConsumeOptions, BasicQosOptions, QueueBindOptions, QueueDeclareOptions,
};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{Connection, Consumer};
use messaging::topology::EXCHANGE;

use crate::attach::running;
use crate::environment::Environment;
use crate::progress::Progress;
use crate::settings::Settings;
use crate::signals::Signals;

/// The arguments of `tail`.
#[derive(Debug, Args)]
pub struct Tail {
    /// Only events whose name matches: `*` stands for one word, `#` for any number of them; may be repeated
    #[arg(long = "routing-key", value_name = "PATTERN", default_value = "#")]
    routing_keys: Vec<String>,
    /// Print each event as one line of JSON (CloudEvents 1.0), as it travels
    #[arg(long)]
    json: bool,
}

pub(super) const EXAMPLES: &str = "\
Examples:
    portico events tail                                        everything
    portico events tail --routing-key 'order.*'                orders
    portico events tail --routing-key '*.created' --routing-key payment.success
    portico events tail --json | jq .data                      for programs

What was said before is not repeated. It needs RabbitMQ: the one that AMQP_URL names, or that of a running `portico up`.";

/// How many events may be under way to us; the others wait in the queue.
const AHEAD: u16 = 256;

/// How many wait there. The oldest go when we are too slow: a tail that nobody reads must not fill the broker.
const HELD: i64 = 10_000;

impl Tail {
    /// Prints until a signal, or until whoever reads what it prints has had enough.
    ///
    /// # Errors
    /// When there is no RabbitMQ, or the connection to it is lost.
    pub async fn run(&self, environment: &Environment, progress: &Progress) -> Result<ExitCode> {
        let mut signals = Signals::listen()?;
        let broker = environment.broker_at(&rabbitmq_of(environment)?)?;
        let connection = messaging::connect(&broker, "tail").await.context("RabbitMQ cannot be reached")?;
        let mut events = self.listen(&connection).await?;
        progress.note(&format!("Listening for {}; Ctrl-C ends it", self.routing_keys.join(", ")));
        let colours = stdout().is_terminal() && environment.text("NO_COLOR").is_none();
        loop {
            let event = tokio::select! {
                event = events.next() => event,
                _ = signals.next() => return Ok(ExitCode::SUCCESS),
            };
            let Some(event) = event else { bail!("RabbitMQ ended the connection") };
            let event = event.context("the connection to RabbitMQ was lost")?;
            let printed = if self.json { line::json(&event) } else { line::text(&event, colours) };
            match writeln!(stdout(), "{printed}") {
                Err(error) if error.kind() == ErrorKind::BrokenPipe => return Ok(ExitCode::SUCCESS),
                written => written?,
            }
            acknowledge(&event).await?;
        }
    }

    async fn listen(&self, connection: &Connection) -> Result<Consumer> {
        let channel = connection.create_channel().await?;
        channel.basic_qos(AHEAD, BasicQosOptions::default()).await?;
        let mut arguments = FieldTable::default();
        arguments.insert("x-max-length".into(), AMQPValue::LongLongInt(HELD));
        let options = QueueDeclareOptions::exclusive().auto_delete();
        let queue = channel.queue_declare("".into(), options, arguments).await?;
        for key in &self.routing_keys {
            let (options, arguments) = (QueueBindOptions::default(), FieldTable::default());
            let bound = channel.queue_bind(
                queue.name().clone(),
                EXCHANGE.into(),
                key.as_str().into(),
                options,
                arguments,
            );
            bound.await.with_context(|| format!("cannot listen at {EXCHANGE}"))?;
        }
        let (options, arguments) = (BasicConsumeOptions::default(), FieldTable::default());
        Ok(channel.basic_consume(queue.name().clone(), "".into(), options, arguments).await?)
    }
}

/// What is printed may go from the queue.
async fn acknowledge(event: &Delivery) -> Result<()> {
    event.ack(BasicAckOptions::default()).await.context("the connection to RabbitMQ was lost")?;
    Ok(())
}

fn rabbitmq_of(environment: &Environment) -> Result<String> {
    if let Some(url) = environment.text("AMQP_URL") {
        return Ok(url.to_owned());
    }
    let settings = Settings::of_running(running(environment)?.variables);
    let url = settings.amqp_url("portico").context(
        "this Portico runs without RabbitMQ: its events stay inside its process, where nobody else hears them. Install \
         RabbitMQ or set AMQP_URL, and start it without --embedded",
    )?;
    Ok(url.to_owned())
}
