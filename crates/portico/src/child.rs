//! One child process: its log, its end, its orderly stop.
//!
//! A child stands in a process group of its own, so that Ctrl-C at the terminal reaches us alone and we decide
//! the order in which things end. Its id is in the state folder before anyone waits for it. When its [`Child`]
//! is dropped without [`Child::stop`], it is sent SIGQUIT: that ends most programs at once, and Postgres with its
//! helpers and its shared memory, which SIGKILL would leave behind.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context, Result};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::process::Command;
use tokio::time::timeout;

use crate::environment::Owner;
use crate::state::{ProcessId, State};

/// What is to be started.
#[derive(Debug)]
pub struct Spec<'a> {
    /// Its name: in messages, and of its log.
    pub name: &'static str,
    /// The program's file.
    pub program: &'a Path,
    /// Its arguments.
    pub arguments: Vec<OsString>,
    /// All of its environment: nothing is inherited.
    pub environment: Vec<(&'static str, OsString)>,
    /// Where it runs; [`Spec::owner`] must be able to enter it.
    pub folder: &'a Path,
    /// Whom it runs as, when not as us.
    pub owner: Option<Owner>,
    /// The signal that asks it for an orderly end.
    pub gently: Signal,
}

/// A child that was started.
#[derive(Debug)]
pub struct Child {
    name: &'static str,
    pid: u32,
    process: tokio::process::Child,
    log: PathBuf,
}

/// How many lines of its log a child's end is told with.
const LAST_LINES: usize = 15;

impl Child {
    /// Starts what `spec` says and writes its id down in `state`. The log of the run before is kept as
    /// `NAME.log.1`.
    ///
    /// # Errors
    /// When the program cannot be started, or a file not written.
    pub async fn start(spec: Spec<'_>, state: &State) -> Result<Self> {
        let (log, file) = fresh_log(state, spec.name)?;
        let mut command = Command::new(spec.program);
        command.args(&spec.arguments).env_clear().envs(spec.environment).current_dir(spec.folder);
        command.stdin(Stdio::null()).stdout(file.try_clone()?).stderr(file).process_group(0);
        if let Some(Owner { uid, gid }) = spec.owner {
            command.uid(uid).gid(gid);
        }
        let process = command.spawn().with_context(|| format!("cannot start {}", spec.program.display()))?;
        let pid = process.id().context("a child that was just started has no id")?;
        // Made first: dropped by an error below, it ends the process.
        let child = Self { name: spec.name, pid, process, log };
        if let Some(id) = ProcessId::of(spec.name, pid, spec.gently) {
            state.remember(id).await?;
        }
        Ok(child)
    }

    /// Its id. Until it is waited for, that belongs to no other process.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// The file that it writes its log to.
    pub fn log(&self) -> &Path {
        &self.log
    }

    /// Waits until it ends by itself and gives the reason with the last lines of its log. Cancelling it loses
    /// nothing.
    pub async fn ended(&mut self) -> String {
        let how = self.process.wait().await.map_or_else(|error| error.to_string(), told);
        let mut reason = format!("{} ended by itself ({how})", self.name);
        let lines = last_lines(&self.log, LAST_LINES);
        if !lines.is_empty() {
            reason.push_str(&format!("; the last of {}:\n{lines}", self.log.display()));
        }
        reason
    }

    /// Whether it has ended.
    ///
    /// # Errors
    /// When the system does not tell.
    pub fn has_ended(&mut self) -> Result<bool> {
        Ok(self.process.try_wait()?.is_some())
    }

    /// Ends it as the kernel would that runs out of memory, and waits until it has.
    ///
    /// # Errors
    /// When the system does not tell how it ended, or the list of children cannot be written.
    pub async fn kill(self, state: &State) -> Result<()> {
        self.stop(&[], state).await
    }

    /// Stops it by each signal in turn, with the patience that stands beside it, and at last by SIGKILL.
    ///
    /// # Errors
    /// When the system does not tell how it ended, or the list of children cannot be written.
    pub async fn stop(mut self, stages: &[(Signal, Duration)], state: &State) -> Result<()> {
        for &(signal, patience) in stages {
            if !self.has_ended()? {
                // Until it is waited for, its id belongs to no other process.
                let _ = kill(Pid::from_raw(self.pid.cast_signed()), signal);
            }
            if timeout(patience, self.process.wait()).await.is_ok() {
                return state.forget(self.pid).await;
            }
        }
        self.process.kill().await?;
        state.forget(self.pid).await
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        if matches!(self.process.try_wait(), Ok(None)) {
            let _ = kill(Pid::from_raw(self.pid.cast_signed()), Signal::SIGQUIT);
        }
    }
}

/// An empty log for `name`, and its path.
fn fresh_log(state: &State, name: &str) -> Result<(PathBuf, File)> {
    let log = state.private_folder("logs", None)?.join(format!("{name}.log"));
    if log.exists() {
        fs::rename(&log, log.with_extension("log.1"))?;
    }
    let file = File::options().create(true).append(true).open(&log);
    Ok((log.clone(), file.with_context(|| format!("cannot write {log:?}"))?))
}

fn told(status: ExitStatus) -> String {
    use std::os::unix::process::ExitStatusExt;
    match (status.code(), status.signal().and_then(|signal| Signal::try_from(signal).ok())) {
        (Some(code), _) => format!("exit code {code}"),
        (None, Some(signal)) => format!("killed by {signal}"),
        (None, None) => status.to_string(),
    }
}

/// The last `count` lines of a file, indented; nothing when it cannot be read.
pub(crate) fn last_lines(path: &Path, count: usize) -> String {
    const ENOUGH: u64 = 16 * 1024;
    let read = || -> std::io::Result<Vec<u8>> {
        let mut file = File::open(path)?;
        let length = file.metadata()?.len();
        file.seek(SeekFrom::Start(length.saturating_sub(ENOUGH)))?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    indented(&String::from_utf8_lossy(&read().unwrap_or_default()), count)
}

/// The last `count` lines of `text`, indented.
pub(crate) fn indented(text: &str, count: usize) -> String {
    let lines: Vec<_> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    let last = lines.iter().skip(lines.len().saturating_sub(count));
    last.map(|line| format!("    {line}")).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_last_lines_of_a_log_are_told_and_empty_ones_are_left_out() {
        assert_eq!(indented("one\n\ntwo\nthree\n", 2), "    two\n    three");
        assert_eq!(indented("", 2), "");
    }
}
