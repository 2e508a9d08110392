//! One private cluster: made once, started as our child, ready when a connection says so.

use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use nix::sys::signal::Signal;
use sqlx::{Connection, PgConnection};
use tokio::process::Command;
use tokio::time::{Instant, sleep};

use super::programs::Programs;
use crate::backend::Mode;
use crate::child::{Child, Spec, indented};
use crate::environment::Owner;
use crate::ports;
use crate::state::{State, write_private};

/// The folder inside the state folder. It belongs to the uid that Postgres runs as.
const FOLDER: &str = "postgres";

/// How long a cluster may take until it answers: it may have to go through the log that a crash left.
const PATIENCE: Duration = Duration::from_secs(60);

/// How often a port that someone else took between our look and the start is replaced by another.
const ATTEMPTS: u32 = 3;

/// "Stop now, but tidily" and "stop at once", as Postgres calls them, with the patience for each.
const FAST: (Signal, Duration) = (Signal::SIGINT, Duration::from_secs(15));
const IMMEDIATE: (Signal, Duration) = (Signal::SIGQUIT, Duration::from_secs(5));

/// A cluster that answers, but while it is halted.
#[derive(Debug)]
pub(super) struct Cluster {
    programs: Programs,
    folder: PathBuf,
    data: PathBuf,
    owner: Option<Owner>,
    mode: Mode,
    password: String,
    port: u16,
    log: PathBuf,
    child: Option<Child>,
}

impl Cluster {
    /// Makes the cluster if the state folder has none, and starts it.
    ///
    /// # Errors
    /// When it cannot be made, started or entered.
    pub(super) async fn start(
        programs: &Programs,
        state: &State,
        mode: Mode,
        owner: Option<Owner>,
    ) -> Result<Self> {
        let folder = state.folder_of_backend(FOLDER, owner)?;
        let data = folder.join("data");
        let password = state.secret("postgres").await?;
        if !data.join("PG_VERSION").exists() {
            initialise(programs, &folder, &data, &password, mode, owner).await?;
        }
        let (programs, log) = (programs.clone(), PathBuf::new());
        let mut cluster = Self { programs, folder, data, owner, mode, password, port: 0, log, child: None };
        for _ in 0..ATTEMPTS {
            [cluster.port] = ports::free()?;
            match cluster.resume(state).await {
                Err(_) if !ports::is_free(cluster.port) => {}
                started => return started.map(|()| cluster),
            }
        }
        bail!("others took each of the {ATTEMPTS} ports that were free a moment before")
    }

    /// Starts what was halted or killed, on the same port and data.
    ///
    /// # Errors
    /// When it cannot be started or entered.
    pub(super) async fn resume(&mut self, state: &State) -> Result<()> {
        let spec = Spec {
            name: "postgres",
            program: &self.programs.program("postgres"),
            arguments: arguments(&self.data, self.port, self.mode),
            environment: self.programs.environment(),
            folder: &self.folder,
            owner: self.owner,
            gently: FAST.0,
        };
        let mut child = Child::start(spec, state).await?;
        child.log().clone_into(&mut self.log);
        if !self.answers(&mut child).await? {
            bail!(child.ended().await);
        }
        self.child = Some(child);
        Ok(())
    }

    /// Waits until it can be entered; false when it ended instead.
    async fn answers(&self, child: &mut Child) -> Result<bool> {
        let deadline = Instant::now() + PATIENCE;
        while !child.has_ended()? {
            match PgConnection::connect(&self.url()).await {
                Ok(connection) => return Ok(connection.close().await.is_ok()),
                Err(error) if Instant::now() > deadline => {
                    let log = self.log.display();
                    return Err(error)
                        .with_context(|| format!("Postgres does not answer after {PATIENCE:?}; see {log}"));
                }
                Err(_) => sleep(Duration::from_millis(25)).await,
            }
        }
        Ok(false)
    }

    /// The superuser's URL.
    pub(super) fn url(&self) -> String {
        format!("postgres://postgres:{}@{}/postgres", self.password, self.address())
    }

    /// Host and port.
    pub(super) fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// The folder with the data.
    pub(super) fn data(&self) -> &Path {
        &self.data
    }

    /// The file with the log.
    pub(super) fn log(&self) -> &Path {
        &self.log
    }

    /// Waits until it ends by itself. Cancelling it loses nothing.
    pub(super) async fn ended(&mut self) -> String {
        match &mut self.child {
            Some(child) => child.ended().await,
            None => std::future::pending().await,
        }
    }

    /// Stops it tidily, so that it can be started again. One that is halted already stays so.
    ///
    /// # Errors
    /// When the system does not tell how it ended.
    pub(super) async fn halt(&mut self, state: &State) -> Result<()> {
        match self.child.take() {
            Some(child) => child.stop(&[FAST, IMMEDIATE], state).await,
            None => Ok(()),
        }
    }

    /// Kills it without a warning, so that it can be started again.
    ///
    /// # Errors
    /// When the system does not tell how it ended.
    pub(super) async fn kill(&mut self, state: &State) -> Result<()> {
        match self.child.take() {
            Some(child) => child.kill(state).await,
            None => Ok(()),
        }
    }

    /// Stops it for good: tidily when the data stays, at once when it goes anyway.
    ///
    /// # Errors
    /// When the system does not tell how it ended.
    pub(super) async fn stop(mut self, state: &State) -> Result<()> {
        match (self.mode, self.child.take()) {
            (_, None) => Ok(()),
            (Mode::Kept, Some(child)) => child.stop(&[FAST, IMMEDIATE], state).await,
            (Mode::ThrowAway, Some(child)) => child.stop(&[IMMEDIATE], state).await,
        }
    }
}

/// The major version of the data in a state folder, if there is data.
pub(super) fn version_of_data(state: &State) -> Option<u32> {
    fs::read_to_string(state.folder().join(FOLDER).join("data/PG_VERSION")).ok()?.trim().parse().ok()
}

/// Makes the data folder under another name first: one that was killed half way is never taken for a whole one.
async fn initialise(
    programs: &Programs,
    folder: &Path,
    data: &Path,
    password: &str,
    mode: Mode,
    owner: Option<Owner>,
) -> Result<()> {
    let (new, password_file) = (folder.join("data.new"), folder.join("password"));
    if new.exists() {
        fs::remove_dir_all(&new).with_context(|| format!("cannot remove {new:?}"))?;
    }
    write_private(&password_file, password.as_bytes())?;
    if let Some(Owner { uid, gid }) = owner {
        chown(&password_file, Some(uid), Some(gid))?;
    }
    let made = initdb(programs, folder, &new, &password_file, mode, owner).await;
    fs::remove_file(&password_file)?;
    made?;
    fs::rename(&new, data).with_context(|| format!("cannot make {data:?}"))
}

async fn initdb(
    programs: &Programs,
    folder: &Path,
    new: &Path,
    password_file: &Path,
    mode: Mode,
    owner: Option<Owner>,
) -> Result<()> {
    // SCRAM is slow on purpose: a test that is built without optimisation spends tens of milliseconds on each
    // connection. Data that lives for one run, with a random password, behind the loopback, can do with less.
    let authentication = if mode == Mode::Kept { "scram-sha-256" } else { "md5" };
    let mut command = Command::new(programs.program("initdb"));
    command.args(["--username=postgres", "--encoding=UTF8", locale(), "--auth", authentication]);
    command.arg("--pwfile").arg(password_file).arg("--pgdata").arg(new);
    if mode == Mode::ThrowAway {
        command.arg("--no-sync");
    }
    command.env_clear().envs(programs.environment()).current_dir(folder);
    command.stdin(Stdio::null()).process_group(0).kill_on_drop(true);
    if let Some(Owner { uid, gid }) = owner {
        command.uid(uid).gid(gid);
    }
    let output = command.output().await.context("cannot start initdb")?;
    if !output.status.success() {
        bail!("initdb failed:\n{}", indented(&String::from_utf8_lossy(&output.stderr), 10));
    }
    Ok(())
}

/// One whose lower() knows all of Unicode and which needs no package: glibc's, and what stands for it elsewhere.
fn locale() -> &'static str {
    if cfg!(target_os = "linux") { "--locale=C.UTF-8" } else { "--locale=en_US.UTF-8" }
}

fn arguments(data: &Path, port: u16, mode: Mode) -> Vec<OsString> {
    let port = format!("port={port}");
    // No socket files: their paths may have 107 bytes at most, which a deep state folder exceeds.
    let listen = [port.as_str(), "listen_addresses=127.0.0.1", "unix_socket_directories="];
    // Its log would quote the row that breaks a constraint: an email that is taken.
    let always = [listen.as_slice(), &["timezone=UTC", "log_error_verbosity=terse"]].concat();
    let rest: &[&str] = match mode {
        Mode::Kept => &["max_connections=200"],
        Mode::ThrowAway => {
            &["max_connections=500", "fsync=off", "synchronous_commit=off", "full_page_writes=off"]
        }
    };
    let settings =
        always.iter().chain(rest).flat_map(|setting| [OsString::from("-c"), OsString::from(setting)]);
    [OsString::from("-D"), data.into()].into_iter().chain(settings).collect()
}
