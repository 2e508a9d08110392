//! One process of the system: started, killed, started again under the same address, and ended in the end.

use std::{
    fs::{self, File},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use anyhow::{Context, Result, bail, ensure};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use portico::state::{ProcessId, State};
use tokio::{
    process::{Child, Command},
    time::{Instant, sleep, timeout},
};

use crate::graph;

/// How long a process may take until it is ready. A machine that runs all tests is busy.
const START: Duration = Duration::from_secs(60);
/// How long it may take to stop: more than its own deadline.
const STOP: Duration = Duration::from_secs(25);

/// Where a process listens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    /// Where it serves.
    pub(crate) address: SocketAddr,
    /// Where it tells whether it is ready.
    pub(crate) admin: SocketAddr,
}

/// What is to be started.
#[derive(Clone)]
pub(crate) struct Spec {
    /// Its name, in messages and of its log: `order-1`.
    pub(crate) name: String,
    /// The program, in the folder of this one.
    pub(crate) program: &'static str,
    /// All of its environment but where it listens.
    pub(crate) environment: Vec<(String, String)>,
    /// Where it listens.
    pub(crate) place: Place,
}

/// A process, running or not.
pub(crate) struct Process {
    spec: Spec,
    log: PathBuf,
    child: Option<Child>,
}

impl Process {
    /// One that does not run yet, with its log in `folder`.
    pub(crate) fn new(spec: Spec, folder: &Path) -> Self {
        let log = folder.join(format!("{}.log", spec.name));
        Self { spec, log, child: None }
    }

    /// The one that takes over from it, at another place. It does not run yet.
    pub(crate) fn successor(&self, place: Place, folder: &Path) -> Self {
        Self::new(Spec { name: format!("{}-next", self.spec.name), place, ..self.spec.clone() }, folder)
    }

    /// Where it listens.
    pub(crate) fn place(&self) -> Place {
        self.spec.place
    }

    /// Which program it is.
    pub(crate) fn program(&self) -> &'static str {
        self.spec.program
    }

    /// Its name.
    pub(crate) fn name(&self) -> &str {
        &self.spec.name
    }

    /// Its id while it runs.
    pub(crate) fn id(&self) -> Option<u32> {
        self.child.as_ref()?.id()
    }

    /// Starts it, and goes on with the log of the run before. Its id is written down in `state`.
    ///
    /// # Errors
    /// When it can't be started.
    pub(crate) async fn start(&mut self, state: &State) -> Result<()> {
        let program = beside_this_program(self.spec.program)?;
        let log = File::options().create(true).append(true).open(&self.log);
        let log = log.with_context(|| format!("cannot write {}", self.log.display()))?;
        let mut command = Command::new(&program);
        command.env_clear().envs(self.spec.environment.iter().cloned());
        let (Place { address, admin }, name) = (self.spec.place, self.spec.program.to_uppercase());
        command.env(format!("{name}_LISTEN"), address.to_string());
        command.env(format!("{name}_ADMIN_LISTEN"), admin.to_string());
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        // A group of its own: Ctrl-C at the terminal reaches us alone.
        command.process_group(0).kill_on_drop(true);
        let child = command.spawn().with_context(|| format!("cannot start {}", program.display()))?;
        let id = child.id().and_then(|pid| ProcessId::of(&self.spec.name, pid, Signal::SIGTERM));
        self.child = Some(child);
        match id {
            Some(id) => state.remember(id).await,
            None => Ok(()),
        }
    }

    /// Whether it takes requests.
    pub(crate) async fn is_ready(&self) -> bool {
        graph::is_ready(&self.spec.place.admin.to_string(), "/ready").await
    }

    /// Waits until it takes requests.
    ///
    /// # Errors
    /// When it ends or is not ready in time, with the end of its log.
    pub(crate) async fn until_ready(&mut self) -> Result<()> {
        let until = Instant::now() + START;
        while !self.is_ready().await {
            self.must_run()?;
            if Instant::now() > until {
                bail!("{} is not ready after {} s:\n{}", self.name(), START.as_secs(), self.end_of_log());
            }
            sleep(Duration::from_millis(50)).await;
        }
        Ok(())
    }

    /// Sees that it has not ended by itself.
    ///
    /// # Errors
    /// When it has, with the end of its log.
    pub(crate) fn must_run(&mut self) -> Result<()> {
        let ended = match &mut self.child {
            Some(child) => child.try_wait()?.map(|status| status.to_string()),
            None => Some("never started".to_owned()),
        };
        match ended {
            None => Ok(()),
            Some(how) => bail!("{} ended by itself ({how}):\n{}", self.name(), self.end_of_log()),
        }
    }

    /// Kills it (SIGKILL) and waits for its end.
    ///
    /// # Errors
    /// When it had ended by itself, or the system does not let us.
    pub(crate) async fn kill(&mut self, state: &State) -> Result<()> {
        self.must_run()?;
        let Some(mut child) = self.child.take() else { return Ok(()) };
        let pid = child.id();
        child.kill().await?;
        forget(pid, state).await
    }

    /// Asks it to stop and waits until it has. One that does not run is stopped.
    ///
    /// # Errors
    /// When it had ended by itself, does not stop in time, or ends in a failure.
    pub(crate) async fn stop(&mut self, state: &State) -> Result<()> {
        if self.child.is_none() {
            return Ok(());
        }
        self.must_run()?;
        let Some(mut child) = self.child.take() else { return Ok(()) };
        let pid = child.id();
        if let Some(pid) = pid {
            // Until it is waited for, its id belongs to no other process.
            let _ = kill(Pid::from_raw(pid.cast_signed()), Signal::SIGTERM);
        }
        let status = timeout(STOP, child.wait()).await;
        if status.is_err() {
            child.kill().await?;
        }
        forget(pid, state).await?;
        let status = status.with_context(|| format!("{} does not stop", self.name()))??;
        ensure!(status.success(), "{} stops with {status}:\n{}", self.name(), self.end_of_log());
        Ok(())
    }

    fn end_of_log(&self) -> String {
        let text = fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<_> = text.lines().collect();
        lines[lines.len().saturating_sub(15)..].join("\n")
    }
}

async fn forget(pid: Option<u32>, state: &State) -> Result<()> {
    match pid {
        Some(pid) => state.forget(pid).await,
        None => Ok(()),
    }
}

/// The program `name` in the folder of this one.
fn beside_this_program(name: &str) -> Result<PathBuf> {
    let program = std::env::current_exe()?.with_file_name(name);
    ensure!(program.is_file(), "{} is not there; `make test-faults` builds all it needs", program.display());
    Ok(program)
}
