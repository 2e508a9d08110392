//! The order service, alone in its process.

fn main() -> std::process::ExitCode {
    let config: order::Config = match runtime::program::start(Some(&order::MIGRATOR)) {
        Ok(config) => config,
        Err(done) => return done,
    };
    let (log, drain) = (config.logs.clone(), config.drain);
    runtime::lifecycle::run(&log, drain.delay, |stop| async move {
        let clock = runtime::Clock::system();
        let sessions = runtime::Sessions::new(&config.tokens, clock.clone());
        order::App::build(config, sessions, clock)?.run(stop).await
    })
}
