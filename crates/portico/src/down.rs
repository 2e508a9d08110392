//! `portico down`: stops what `portico up` started.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::environment::Environment;
use crate::progress::Progress;
use crate::state::{Acquired, Running, State};

/// How long a run may take to stop.
const PATIENCE: Duration = Duration::from_secs(40);

/// Asks the run of the state folder to stop, and waits until it has.
///
/// # Errors
/// When it does not stop in time.
pub async fn run(environment: &Environment, progress: &Progress) -> Result<ExitCode> {
    let folder = environment.state_folder()?;
    let Acquired::Theirs(running) = State::acquire(&folder)? else {
        progress.note("Portico does not run");
        return Ok(ExitCode::SUCCESS);
    };
    let Running { pid, .. } = running.context("Portico is just starting; try again in a moment")?;
    let step = progress.step(&format!("Stopping Portico (process {pid})"));
    kill(Pid::from_raw(pid.cast_signed()), Signal::SIGTERM).context("it can't be told to stop")?;
    let asked = tokio::time::Instant::now();
    while matches!(State::acquire(&folder)?, Acquired::Theirs(_)) {
        if asked.elapsed() > PATIENCE {
            bail!("it did not stop within {} s", PATIENCE.as_secs());
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    step.done("stopped");
    Ok(ExitCode::SUCCESS)
}
