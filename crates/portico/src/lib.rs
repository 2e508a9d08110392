//! The whole system from one command.
//!
//! | module | owns |
//! |---|---|
//! | [`backend`] | what the services stand on: found or fetched, started, watched, stopped |
//! | [`packages`] | the distribution's packages unpacked in a cache, with nothing installed |
//! | [`observability`] | Prometheus and Grafana beside the system, where they are wanted |
//! | [`tools`] | Node.js and Chromium for the tests that need them |
//! | [`state`] | the folder that outlives a run: its lock, its secrets, its children's ids |
//! | [`ports`] | free ports for what we start |
//! | [`child`] | one child process: its log, its end, its orderly stop |
//! | [`signals`] | what a terminal or a supervisor asks of us |
//! | [`progress`] | what is said to a person, while it happens |
//! | [`system`] | the services and the gateway, wired to each other in this process |
//! | [`settings`] | what they are told, found or made by this run |
//! | [`catalogue`] | what subscribers can rely on, as people and as programs read it |
//! | [`demo`] | the accounts and products of a new system in development |
//! | [`attach`] | databases for a command that is over in a moment |
//! | [`environment`] | every variable that this crate reads |
//!
//! Each subcommand is a file of its own: [`up`], [`down`], [`mod@env`], [`migrate`], [`admin`], [`events`], [`broker`],
//! [`documents`], [`fault`], [`metrics`], [`nginx`], [`openapi`], [`sdl`], [`with`].

pub mod admin;
pub mod attach;
pub mod backend;
pub mod broker;
pub mod catalogue;
pub mod child;
pub mod demo;
pub mod documents;
pub mod down;
pub mod env;
pub mod environment;
pub mod events;
pub mod fault;
pub mod metrics;
pub mod migrate;
pub mod nginx;
pub mod observability;
pub mod openapi;
pub mod packages;
pub mod ports;
pub mod progress;
pub mod sdl;
pub mod settings;
pub mod signals;
pub mod state;
pub mod system;
pub mod tools;
pub mod up;
pub mod with;

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use runtime::config::EXIT_USAGE;

use crate::environment::Environment;
use crate::progress::Progress;

/// Runs Portico, and what Portico stands on, on this machine.
#[derive(Debug, Parser)]
#[command(version, about)]
struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
}

/// One variant for each file that holds a subcommand.
#[derive(Debug, Subcommand)]
enum Command {
    /// Bring the system up, and take it down again on Ctrl-C (what a bare `portico` does)
    Up(up::Up),
    /// Stop what `up` started, from another terminal
    Down,
    /// Print the settings of what runs, for a service that you run beside it: eval "$(portico env order)"
    Env(env::Env),
    /// Bring the databases to the newest schema, or take the newest migration back
    Migrate(migrate::MigrateCommand),
    /// Make the first admin
    Admin(admin::AdminCommand),
    /// What the services say: watch it, mend what could not be handled, see what waits
    Events(events::EventsCommand),
    /// What a RabbitMQ that you run yourself needs: accounts, and what each may do
    Broker(broker::BrokerCommand),
    /// The nginx before the gateway: empty its cache
    Nginx(nginx::NginxCommand),
    /// The documents of your own clients, for a gateway that answers no others
    Documents(documents::DocumentsCommand),
    /// Have a running service do badly, for development: slow, failing, away
    Fault(fault::FaultCommand),
    /// Print the schema of the graph (Apollo Federation v2)
    Sdl,
    /// Print the document of the REST interface (OpenAPI 3.1)
    Openapi,
    /// Print what the processes measure (docs/metrics.md)
    Metrics,
    /// Run a command beside throw-away backends whose URLs it finds in its environment
    With(with::With),
}

/// Reads the command line, runs what it names and gives the exit code: 0 for success, 1 for a failure that one
/// line on the standard error tells, 64 for a command line that is not understood; `with` passes on its command's.
pub fn run() -> ExitCode {
    let command = runtime::config::load::<Arguments>().command.unwrap_or(Command::Up(up::Up::default()));
    let progress = Progress::on_stderr();
    let outcome = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(anyhow::Error::from)
        .and_then(|runtime| runtime.block_on(Box::pin(dispatch(command, &progress))));
    outcome.unwrap_or_else(|error| {
        progress.failure(&format!("{error:#}"));
        ExitCode::FAILURE
    })
}

async fn dispatch(command: Command, progress: &Progress) -> anyhow::Result<ExitCode> {
    let environment = match Environment::of_this_process().with_secrets_of_files() {
        Ok(environment) => environment,
        Err(refused) => {
            progress.failure(&refused);
            return Ok(ExitCode::from(EXIT_USAGE));
        }
    };
    match command {
        Command::Down => down::run(&environment, progress).await,
        Command::Env(env) => env.run(&environment),
        Command::Migrate(migrate) => migrate.run(&environment, progress).await,
        Command::Admin(admin) => admin.run(&environment, progress).await,
        Command::Events(events) => events.run(&environment, progress).await,
        Command::Broker(broker) => broker.run(&environment).await,
        Command::Nginx(nginx) => nginx.run(&environment, progress).await,
        Command::Documents(documents) => documents.run(),
        Command::Fault(fault) => fault.run(&environment),
        Command::Sdl => sdl::run(),
        Command::Openapi => openapi::run(),
        Command::Metrics => metrics::run(),
        Command::Up(up) => up.run(&environment, progress).await,
        Command::With(with) => with.run(&environment, progress).await,
    }
}
