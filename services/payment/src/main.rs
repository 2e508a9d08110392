//! The payment service as a process of its own.

fn main() -> std::process::ExitCode {
    let config: payment::Config = match runtime::program::start(Some(&payment::MIGRATOR)) {
        Ok(config) => config,
        Err(done) => return done,
    };
    let log = config.logs.clone();
    runtime::lifecycle::run(&log, |stop| async move {
        let clock = runtime::Clock::system();
        let sessions = runtime::Sessions::new(&config.tokens, clock.clone());
        payment::App::build(config, sessions, clock)?.run(stop).await
    })
}
