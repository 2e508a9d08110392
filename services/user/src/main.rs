//! The process of the user service.

fn main() -> std::process::ExitCode {
    let config: user::Config = match runtime::program::start(Some(&user::MIGRATOR)) {
        Ok(config) => config,
        Err(done) => return done,
    };
    let log = config.logs.clone();
    runtime::lifecycle::run(&log, |stop| async move {
        let clock = runtime::Clock::system();
        let sessions = runtime::Sessions::new(&config.tokens, clock.clone());
        user::App::build(config, sessions, clock)?.run(stop).await
    })
}
