//! Start and stop: one signal to stop, passed to everything that runs, and a deadline for what is under way.

use std::{future::Future, panic::AssertUnwindSafe, process::ExitCode, time::Duration};

use clap::Args;
use futures::FutureExt;
use tokio::{
    signal::unix::{SignalKind, signal},
    task::JoinSet,
};

use crate::{
    Stop,
    telemetry::{self, LogConfig},
    trace,
};

/// How long what is under way may take to end after the request to stop.
pub const DRAIN_DEADLINE: Duration = Duration::from_secs(20);

/// Settings of the end.
#[derive(Args, Clone, Copy, Debug)]
pub struct DrainConfig {
    /// How long a process that is asked to stop goes on taking requests, in seconds, while `/ready` and gRPC's health say
    /// no and each HTTP answer closes its connection. Whoever sends requests here has that long to notice.
    #[arg(long = "drain-delay", env = "DRAIN_DELAY", default_value = "0", value_parser = seconds)]
    pub delay: Duration,
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds = text.parse().map_err(|_| "must be a number of seconds".to_owned())?;
    Duration::try_from_secs_f64(seconds).map_err(|_| "must be 0 seconds or more".to_owned())
}

/// Runs a process: starts logs and metrics, runs `body` until it ends or SIGINT or SIGTERM asks it to, announces that for
/// `delay` beforehand, gives it [`DRAIN_DEADLINE`] to end then (a second signal ends it at once), and turns its error into
/// a line and exit code 1.
pub fn run<F, E>(log: &LogConfig, delay: Duration, body: impl FnOnce(Stop) -> F) -> ExitCode
where
    F: Future<Output = Result<(), E>>,
    E: std::fmt::Display,
{
    telemetry::start_logs(log);
    telemetry::metrics();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("the async runtime can't start: {error}");
            return ExitCode::FAILURE;
        }
    };
    let stop = Stop::new();
    let outcome = runtime.block_on(async {
        trace::start(&log.traces);
        tokio::spawn(telemetry::keep_metrics_small());
        let outcome = tokio::select! {
            outcome = body(stop.clone()) => outcome.map_err(|error| format!("{error:#}")),
            reason = stop_and_wait(&stop, delay) => Err(reason),
        };
        tokio::select! {
            () = trace::flush() => outcome,
            () = stop_signal() => outcome,
        }
    });
    runtime.shutdown_timeout(Duration::from_secs(1));
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// Asks to stop on the first signal; comes back when that took too long, or on the second signal.
async fn stop_and_wait(stop: &Stop, delay: Duration) -> String {
    stop_signal().await;
    tracing::info!(?delay, "stopping");
    stop.announce();
    let asked = async {
        tokio::time::sleep(delay).await;
        stop.cancel();
        tokio::time::sleep(DRAIN_DEADLINE).await;
    };
    tokio::select! {
        () = asked => "what was under way did not end in time".to_owned(),
        () = stop_signal() => "stopped at once by a second signal".to_owned(),
    }
}

/// Waits for SIGINT or SIGTERM.
pub async fn stop_signal() {
    let (Ok(mut interrupt), Ok(mut terminate)) =
        (signal(SignalKind::interrupt()), signal(SignalKind::terminate()))
    else {
        // Without handlers the signals end the process by themselves.
        return std::future::pending().await;
    };
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
}

/// Waits until all `tasks` have ended; a task that panicked asks the others to stop.
///
/// # Errors
/// The first task's own error, or that it panicked.
pub async fn join_all(mut tasks: JoinSet<anyhow::Result<()>>, stop: &Stop) -> anyhow::Result<()> {
    let mut first = Ok(());
    while let Some(ended) = tasks.join_next().await {
        let outcome = ended.unwrap_or_else(|panic| Err(anyhow::anyhow!("a task broke down: {panic}")));
        if let Err(error) = outcome {
            stop.cancel();
            first = first.and(Err(error));
        }
    }
    first
}

/// Calls `job` every `period` until `stop`. What a job answers is its own affair: it logs its failures. One that panics is
/// called again the next time; the panic hook has logged what and where.
pub async fn every<F: Future<Output = ()>>(period: Duration, stop: Stop, mut job: impl FnMut() -> F) {
    let panics = metrics::counter!("panics_total", "where" => "job");
    panics.increment(0);
    let mut ticks = tokio::time::interval(period);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = ticks.tick() => {
                if AssertUnwindSafe(async { job().await }).catch_unwind().await.is_err() {
                    panics.increment(1);
                }
            }
        }
    }
}

/// Does `work` to its end, and then asks those who come after it to stop: what is under way in `work` still needs them.
pub async fn and_then_stop<T>(work: impl Future<Output = T>, after: Stop) -> T {
    let ended = work.await;
    after.cancel();
    ended
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_job_that_panics_comes_again_the_next_time() {
        let (stop, runs) = (Stop::new(), AtomicU32::new(0));
        let job = || async {
            let run = runs.fetch_add(1, Ordering::Relaxed);
            assert!(run != 1, "broken on purpose");
            if run == 3 {
                stop.cancel();
            }
        };
        every(Duration::from_secs(1), stop.clone(), job).await;
        assert_eq!(runs.load(Ordering::Relaxed), 4);
    }

    #[tokio::test]
    async fn a_second_signal_ends_at_once_what_the_first_asked_to_stop() {
        let stop = Stop::new();
        let asked = stop.clone();
        let waiting = tokio::spawn(async move { stop_and_wait(&asked, Duration::ZERO).await });
        let begun = std::time::Instant::now();
        // Its handlers stand once it was polled; a signal before that would end the test.
        tokio::task::yield_now().await;
        let signal =
            || std::process::Command::new("kill").arg(std::process::id().to_string()).status().unwrap();
        assert!(signal().success());
        stop.cancelled().await;
        while !waiting.is_finished() {
            assert!(signal().success() && begun.elapsed() < DRAIN_DEADLINE / 2);
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        assert_eq!(waiting.await.unwrap(), "stopped at once by a second signal");
    }

    #[tokio::test(start_paused = true)]
    async fn those_who_come_after_are_asked_to_stop_when_the_work_before_has_ended() {
        let (stop, after) = (Stop::new(), Stop::new());
        let (work_stop, order) = (stop.clone(), std::sync::Mutex::new(vec![]));
        let work = async {
            work_stop.cancelled().await;
            tokio::time::sleep(Duration::from_secs(5)).await;
            order.lock().unwrap().push("work");
        };
        let later = async {
            after.cancelled().await;
            order.lock().unwrap().push("later");
        };
        stop.cancel();
        tokio::join!(later, and_then_stop(work, after.clone()));
        assert_eq!(*order.lock().unwrap(), ["work", "later"]);
    }
}
