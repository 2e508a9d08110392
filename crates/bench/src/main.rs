//! How fast Portico is, and how much memory it takes: `bench` measures what docs/performance.md tells and writes it.
//!
//! | module | owns |
//! |---|---|
//! | [`run`] | the plan: what is measured, in which order |
//! | [`dataset`], [`fill`] | the data, and how it comes into the databases |
//! | [`up`], [`system`], [`processes`] | what is started, looked at and stopped |
//! | [`handler`], [`memory`], [`embedded`] | what the system is measured beside; each is a process of its own |
//! | [`answer`], [`checks`], [`tokens`] | what must be answered to whom |
//! | [`wrk`], [`pgbench`], [`programs`] | the tools that make the load |
//! | [`pipeline`] | the part about what the edge itself costs a query |
//! | [`refused`] | the part about what is refused: what that takes of the processor |
//! | [`safety`] | the part about what it costs to be watched, and what a service that is stuck costs the others |
//! | [`edge`] | the part about the cache of nginx: what is measured there, and beside what |
//! | [`events`] | the part about events: what is measured there, and beside what |
//! | [`rounds`] | what is made of the numbers |
//! | [`report`], [`plot`], [`machine`] | what is told |
//! | [`load`], [`client`] | a bounded load on a Portico that runs |

mod answer;
mod checks;
mod client;
mod dataset;
mod edge;
mod embedded;
mod events;
mod fill;
mod handler;
mod load;
mod machine;
mod memory;
mod pgbench;
mod pipeline;
mod plot;
mod processes;
mod programs;
mod refused;
mod report;
mod rounds;
mod run;
mod safety;
mod system;
mod tokens;
mod up;
mod wrk;

use std::{process::ExitCode, time::Duration};

use clap::{Parser, Subcommand};
use runtime::lifecycle;

/// The gateway's own, so that what it is measured beside has the same.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Measures Portico: without a subcommand all that docs/performance.md tells.
#[derive(Parser, Debug)]
#[command(version, about, args_conflicts_with_subcommands = true)]
struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    run: run::Run,
}

#[derive(Subcommand, Debug)]
enum Command {
    /// Put a bounded load on a Portico that runs
    Load(load::Load),
    /// The handler written by hand that the gateway is measured against
    #[command(hide = true)]
    Handler(handler::Handler),
    /// A service that answers from memory
    #[command(hide = true)]
    Memory(memory::Memory),
    /// The gateway and the services from memory in one process
    #[command(hide = true)]
    Embedded(embedded::Embedded),
}

fn main() -> ExitCode {
    let Arguments { command, run } = Arguments::parse();
    match command {
        None => to_the_end(run.run()),
        Some(Command::Load(load)) => to_the_end(load.run()),
        // These run as the processes do that they stand beside.
        Some(Command::Handler(handler)) => {
            lifecycle::run(&handler.logs.clone(), Duration::ZERO, |stop| handler.run(stop))
        }
        Some(Command::Memory(memory)) => {
            lifecycle::run(&memory.logs.clone(), Duration::ZERO, |stop| memory.run(stop))
        }
        Some(Command::Embedded(embedded)) => {
            lifecycle::run(&embedded.logs.clone(), Duration::ZERO, |stop| embedded.run(stop))
        }
    }
}

fn to_the_end(work: impl Future<Output = anyhow::Result<()>>) -> ExitCode {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let outcome = runtime
        .map_err(anyhow::Error::from)
        .and_then(|runtime| runtime.block_on(Box::pin(unless_stopped(work))));
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// What was started is asked to stop when `work` is dropped, so a signal must not end this process first.
async fn unless_stopped(work: impl Future<Output = anyhow::Result<()>>) -> anyhow::Result<()> {
    tokio::select! {
        outcome = work => outcome,
        () = lifecycle::stop_signal() => anyhow::bail!("stopped by a signal"),
    }
}
