//! The process of the user service.

fn main() -> std::process::ExitCode {
    let config: user::Config = match runtime::program::start(Some(&user::MIGRATOR)) {
        Ok(config) => config,
        Err(done) => return done,
    };
    let (log, drain) = (config.logs.clone(), config.drain);
    runtime::lifecycle::run(&log, drain.delay, |stop| async move {
        let clock = runtime::Clock::system();
        let sessions = runtime::Sessions::new(&config.tokens, clock.clone());
        user::App::build(config, sessions, clock)?.run(stop).await
    })
}
