//! `portico up`: brings the system up, says where it is, and takes it down again.

use std::io::{Write, stdout};
use std::process::ExitCode;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Result, bail};
use clap::Args;
use comfy_table::Table;
use comfy_table::presets::NOTHING;

use crate::backend::{Backends, Mode};
use crate::environment::Environment;
use crate::progress::Progress;
use crate::signals::{Signals, exit_code_of};
use crate::state::{Acquired, Running, State};

/// The arguments of `up`.
#[derive(Debug, Args)]
pub struct Up {}

impl Up {
    /// Runs until a signal asks for the end (exit code 0) or something fails (an error with the reason). A second
    /// signal does not wait for an orderly end.
    ///
    /// # Errors
    /// When something does not start, or fails later.
    pub async fn run(&self, environment: &Environment, progress: &Progress) -> Result<ExitCode> {
        let folder = environment.state_folder()?;
        let state = match State::acquire(&folder)? {
            Acquired::Ours(state) => state,
            Acquired::Theirs(running) => return already_runs(running.as_ref()),
        };
        let mut signals = Signals::listen()?;
        state.end_leftovers(progress).await?;
        let mut backends = tokio::select! {
            started = Backends::start(&state, Mode::Kept, environment, progress) => started?,
            signal = signals.next() => return Ok(ExitCode::from(exit_code_of(signal as i32))),
        };
        print_table(&backends, &state)?;
        let failure = tokio::select! {
            reason = backends.failed() => Some(reason),
            _ = signals.next() => None,
        };
        tokio::select! {
            stopped = backends.stop(&state, progress) => stopped?,
            signal = signals.next() => return Ok(ExitCode::from(exit_code_of(signal as i32))),
        }
        match failure {
            Some(reason) => bail!(reason),
            None => Ok(ExitCode::SUCCESS),
        }
    }
}

fn print_table(backends: &Backends, state: &State) -> Result<()> {
    let mut table = Table::new();
    table.load_style(NOTHING);
    for (what, how) in backends.rows() {
        table.add_row([what.to_owned(), how]);
    }
    table.add_row(["State".to_owned(), state.folder().display().to_string()]);
    writeln!(stdout(), "\n{}\n\nCtrl-C stops all of it.", table.trim_fmt())?;
    Ok(())
}

fn already_runs(running: Option<&Running>) -> Result<ExitCode> {
    let line = match running {
        Some(Running { pid, since, url, .. }) => {
            let since = SystemTime::now().duration_since(UNIX_EPOCH + Duration::from_secs(*since));
            let place = url.as_ref().map_or_else(String::new, |url| format!(" at {url}"));
            format!(
                "Portico already runs{place} (process {pid}, for {} s)",
                since.unwrap_or_default().as_secs()
            )
        }
        None => "Portico already starts".to_owned(),
    };
    writeln!(stdout(), "{line}")?;
    Ok(ExitCode::SUCCESS)
}
