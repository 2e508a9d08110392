//! `make test-faults`: orders without pause while everything that can fail does, and the proof that nothing was lost.
//! `make test-rolling`: the same while everything is replaced, and the proof that no client noticed.
//!
//! | module | owns |
//! |---|---|
//! | [`run`] | the plan |
//! | [`backends`], [`fleet`], [`process`] | what is started: Postgres and RabbitMQ, the services and the gateway |
//! | [`proxy`], [`sockets`] | how connections are cut, and how the one that leads is found |
//! | [`client`], [`customer`], [`story`], [`graph`], [`products`], [`told`] | who orders, what they want, what they are told |
//! | [`subscriber`], [`arrivals`] | who hears all events, and in which order |
//! | [`faults`], [`rolling`] | what is done to the system |
//! | [`quiet`], [`ledger`], [`checks`], [`report`] | what must hold in the end |

mod arrivals;
mod backends;
mod checks;
mod client;
mod customer;
mod faults;
mod fleet;
mod graph;
mod ledger;
mod process;
mod products;
mod proxy;
mod quiet;
mod report;
mod rolling;
mod run;
mod sockets;
mod story;
mod subscriber;
mod told;

use std::process::ExitCode;

use clap::Parser;
use runtime::lifecycle;

fn main() -> ExitCode {
    let run = run::Run::parse();
    let outcome = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(anyhow::Error::from)
        .and_then(|runtime| runtime.block_on(Box::pin(run.run(lifecycle::stop_signal()))));
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("faults: {error:#}");
            ExitCode::FAILURE
        }
    }
}
