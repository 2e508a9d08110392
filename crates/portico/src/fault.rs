//! `portico fault`: makes services of a system that runs for development do badly, and well again.
//!
//! The switches are at the admin ports: that of the running `up`, in which all services are, or those of processes that
//! someone runs beside it.

mod ports;
mod quantities;

use std::collections::BTreeSet;
use std::io::{Write, stdout};
use std::process::ExitCode;

use anyhow::{Result, bail, ensure};
use clap::{Args, Subcommand};
use comfy_table::{Table, presets::NOTHING};
use runtime::faults::{Code, Fault};

use self::ports::Port;
use crate::environment::Environment;

/// The arguments of `fault`.
#[derive(Debug, Args)]
pub struct FaultCommand {
    #[command(subcommand)]
    task: Task,
    /// The admin port of a process, http://127.0.0.1:9403, where it is not found by itself; several may be named
    #[arg(long, global = true, value_name = "URL")]
    admin: Vec<String>,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Have a service do badly from now on; what was set for it before is off
    #[command(after_help = EXAMPLES)]
    Set(Set),
    /// Tell what is set
    List,
    /// Have a service, or all of them, do well again
    Clear {
        /// user, order, payment or gateway
        service: Option<String>,
    },
}

const EXAMPLES: &str = "Examples:
  portico fault set payment --latency 2s --error 30%
  portico fault set payment --unreachable
  portico fault set order --slow-consumer 5s
  portico fault clear";

/// What is to go wrong.
#[derive(Debug, Args)]
struct Set {
    /// user, order or payment; the gateway can only be made not ready, or its broker down
    service: String,
    /// Each call waits that long before its work
    #[arg(long, value_name = "TIME", value_parser = quantities::milliseconds)]
    latency: Option<u64>,
    /// So many of its calls are refused, by chance
    #[arg(long, value_name = "SHARE", value_parser = quantities::percent)]
    error: Option<f64>,
    /// They fail as by a fault inside (INTERNAL), and not as UNAVAILABLE, which clients try again where that is safe
    #[arg(long, requires = "error")]
    internal: bool,
    /// Nobody is found at its port, as if the process were dead
    #[arg(long)]
    unreachable: bool,
    /// Its readiness says no
    #[arg(long)]
    not_ready: bool,
    /// RabbitMQ, or the bus of the process, is away for it
    #[arg(long)]
    broker_down: bool,
    /// Its consumers wait that long before each event
    #[arg(long, value_name = "TIME", value_parser = quantities::milliseconds)]
    slow_consumer: Option<u64>,
}

impl Set {
    fn fault(&self) -> Result<Fault> {
        let fault = Fault {
            latency_ms: self.latency.unwrap_or_default(),
            error_percent: self.error.unwrap_or_default(),
            error_code: if self.internal { Code::Internal } else { Code::Unavailable },
            unreachable: self.unreachable,
            not_ready: self.not_ready,
            broker_down: self.broker_down,
            slow_consumer_ms: self.slow_consumer.unwrap_or_default(),
        };
        ensure!(
            !fault.is_none(),
            "say what is to go wrong, such as --latency 2s; `portico fault set --help` lists it"
        );
        Ok(fault)
    }
}

impl FaultCommand {
    /// Does it, and prints what is set then.
    ///
    /// # Errors
    /// When nothing runs, or not for development, or there is no such service.
    pub fn run(&self, environment: &Environment) -> Result<ExitCode> {
        let mut ports = ports::find(&self.admin, environment)?;
        match &self.task {
            Task::Set(set) => put(&mut ports, Some(&set.service), set.fault()?)?,
            Task::Clear { service } => put(&mut ports, service.as_deref(), Fault::default())?,
            Task::List => {}
        }
        print_table(&ports)?;
        Ok(ExitCode::SUCCESS)
    }
}

/// Sets the fault for one service, in each process that is one of its replicas, or for all there are.
fn put(ports: &mut [Port], service: Option<&str>, fault: Fault) -> Result<()> {
    let known: BTreeSet<String> = ports.iter().flat_map(|port| port.set.keys().cloned()).collect();
    if let Some(service) = service.filter(|service| !known.contains(*service)) {
        let known: Vec<_> = known.iter().map(String::as_str).collect();
        bail!("no service {service:?} runs, only {}", known.join(", "));
    }
    for port in ports {
        for name in known.iter().filter(|name| service.is_none_or(|service| service == *name)) {
            if port.set.contains_key(name) {
                port.put(name, fault)?;
            }
        }
    }
    Ok(())
}

fn print_table(ports: &[Port]) -> Result<()> {
    let mut table = Table::new();
    table.load_style(NOTHING);
    for (service, fault) in ports.iter().flat_map(|port| &port.set) {
        table.add_row([service.clone(), fault.to_string()]);
    }
    Ok(writeln!(stdout(), "{}", table.trim_fmt())?)
}
