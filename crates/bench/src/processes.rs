//! The processes that are measured: started, waited for, looked at, and stopped in the end whatever happens.

use std::{
    fs::{self, File},
    net::{Ipv4Addr, TcpListener},
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use anyhow::{Context, Result, bail};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use tokio::{
    process::{Child, Command},
    time::{Instant, sleep, timeout},
};

use crate::client::Client;

/// How long a process may take until it is ready.
const START: Duration = Duration::from_secs(30);
/// How long it may take to stop.
const STOP: Duration = Duration::from_secs(25);

/// What is to be started.
pub(crate) struct Spec {
    /// Its name, in messages and of its log.
    pub(crate) name: &'static str,
    /// The program, in the folder of this one.
    pub(crate) program: &'static str,
    /// Its arguments.
    pub(crate) arguments: Vec<String>,
    /// What it finds in its environment beside ours.
    pub(crate) environment: Vec<(&'static str, String)>,
    /// What answers 200 once it is ready.
    pub(crate) ready: String,
}

/// A process that runs. It is killed when this is dropped.
pub(crate) struct Process {
    /// Its name.
    pub(crate) name: &'static str,
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts it, with its log in `folder`, and waits until it is ready.
    ///
    /// # Errors
    /// When it can't be started, ends, or is not ready in time, with the end of its log.
    pub(crate) async fn start(spec: Spec, folder: &Path) -> Result<Self> {
        let program = beside_this_program(spec.program)?;
        let log = folder.join(format!("{}.log", spec.name));
        let file = File::create(&log).with_context(|| format!("cannot write {}", log.display()))?;
        let child = Command::new(&program)
            .args(spec.arguments)
            .envs(spec.environment)
            .stdin(Stdio::null())
            .stdout(file.try_clone()?)
            .stderr(file)
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("cannot start {}", program.display()))?;
        let mut process = Self { name: spec.name, child, log };
        process.wait_until_ready(&spec.ready).await?;
        Ok(process)
    }

    async fn wait_until_ready(&mut self, url: &str) -> Result<()> {
        let until = Instant::now() + START;
        loop {
            if let Some(status) = self.child.try_wait()? {
                bail!("{} ended at its start ({status}):\n{}", self.name, self.end_of_log());
            }
            if is_ready(url).await {
                return Ok(());
            }
            if Instant::now() > until {
                bail!("{} is not ready after {} s:\n{}", self.name, START.as_secs(), self.end_of_log());
            }
            sleep(Duration::from_millis(50)).await;
        }
    }

    /// How much memory it holds now (its resident set), in bytes.
    ///
    /// # Errors
    /// When it no longer runs, or the system does not say (proc(5) is Linux's).
    pub(crate) fn memory(&self) -> Result<u64> {
        let pid = self.child.id().with_context(|| format!("{} has ended", self.name))?;
        let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
        resident(&status)
            .with_context(|| format!("the system does not say how much memory {} holds", self.name))
    }

    /// Stops it and waits for its end.
    ///
    /// # Errors
    /// When it had ended before, with the end of its log, or does not stop in time.
    pub(crate) async fn stop(mut self) -> Result<()> {
        if let Some(status) = self.child.try_wait()? {
            bail!("{} ended by itself ({status}):\n{}", self.name, self.end_of_log());
        }
        if let Some(pid) = self.child.id() {
            kill(Pid::from_raw(pid.cast_signed()), Signal::SIGTERM)?;
        }
        let stopped = timeout(STOP, self.child.wait()).await;
        stopped.with_context(|| format!("{} does not stop", self.name))??;
        Ok(())
    }

    fn end_of_log(&self) -> String {
        let text = fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<_> = text.lines().collect();
        lines[lines.len().saturating_sub(15)..].join("\n")
    }
}

/// A port that nobody listens on at this moment.
///
/// # Errors
/// When there is none.
pub(crate) fn free_port() -> Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}

fn beside_this_program(name: &str) -> Result<PathBuf> {
    let program = std::env::current_exe()?.with_file_name(name);
    if !program.is_file() {
        bail!("{} is not there; `make bench` builds all that is measured", program.display());
    }
    Ok(program)
}

async fn is_ready(url: &str) -> bool {
    let asked = async { Client::connect(url).await?.get().await };
    timeout(Duration::from_secs(2), asked)
        .await
        .is_ok_and(|answer| answer.is_ok_and(|answer| answer.status == 200))
}

/// The bytes of the line `VmRSS:   12345 kB`.
fn resident(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok().map(|kilobytes| kilobytes * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_resident_set_is_read_in_bytes() {
        assert_eq!(resident("VmPeak:\t 9 kB\nVmRSS:\t   12345 kB\n"), Some(12_345 * 1024));
        assert_eq!(resident("Name:\tgateway\n"), None);
    }
}
