//! The payment service as a process of its own.

fn main() -> std::process::ExitCode {
    let config: payment::Config = match runtime::program::start(Some(&payment::MIGRATOR)) {
        Ok(config) => config,
        Err(done) => return done,
    };
    let (log, drain) = (config.logs.clone(), config.drain);
    runtime::lifecycle::run(&log, drain.delay, |stop| async move {
        let clock = runtime::Clock::system();
        let sessions = runtime::Sessions::new(&config.tokens, clock.clone());
        payment::App::build(config, sessions, clock)?.run(stop).await
    })
}
