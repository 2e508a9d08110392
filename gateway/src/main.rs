//! The binary `gateway`: the graph in a process of its own.

use gateway::{App, Clients, Config};
use messaging::RabbitMq;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    let config: Config = match runtime::program::start(None) {
        Ok(config) => config,
        Err(done) => return done,
    };
    if let Err(fault) = config.check() {
        eprintln!("gateway: {fault}; `gateway --help` lists the settings");
        return runtime::config::EXIT_USAGE.into();
    }
    let (log, drain) = (config.logs.clone(), config.drain);
    runtime::lifecycle::run(&log, drain.delay, |stop| async move {
        let sessions = runtime::Sessions::new(&config.tokens, runtime::Clock::system());
        let clients = Clients::connect(&config)?;
        let broker = RabbitMq::new(&config.broker, "gateway")?;
        App::build(config, clients, sessions, broker.into()).run(stop).await
    })
}
