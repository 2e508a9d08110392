//! The binary `gateway`: the graph in a process of its own.

use gateway::{App, Clients, Config};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    let config: Config = runtime::config::load();
    let log = config.logs.clone();
    runtime::lifecycle::run(&log, |stop| async move {
        let sessions = runtime::Sessions::new(&config.tokens, runtime::Clock::system());
        let clients = Clients::connect(&config)?;
        App::build(config, clients, sessions).run(stop).await
    })
}
