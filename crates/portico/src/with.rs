//! `portico with -- COMMAND`: backends that live as long as one command.

use std::ffi::{OsStr, OsString};
use std::io::{Error, ErrorKind};
use std::os::unix::process::ExitStatusExt;
use std::process::{ExitCode, ExitStatus};
use std::time::Duration;

use anyhow::{Result, bail};
use clap::Args;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::process::{Child, Command};
use tokio::time::timeout;

use crate::backend::{Backends, Events, Mode};
use crate::environment::{BACKENDS, Environment};
use crate::progress::Progress;
use crate::signals::{Signals, exit_code_of, terminal_tells_our_children};
use crate::state::State;
use crate::tools::{Tools, Wanted};

/// The arguments of `with`.
#[derive(Debug, Args)]
pub struct With {
    /// Put Node.js and npm into the command's PATH, fetching them where they are not installed
    #[arg(long)]
    node: bool,
    /// Put a python3 that knows pika into the command's PATH, fetching what is not installed
    #[arg(long)]
    python: bool,
    /// Export CHROMIUM, the file of a Chromium, fetching it where none is installed
    #[arg(long)]
    browser: bool,
    /// Export NGINX and NGINX_NJS_MODULE, the files of an nginx and its njs, fetching what is not installed
    #[arg(long)]
    nginx: bool,
    /// Put pg_dump, pg_restore and psql into the command's PATH, fetching them where they are not installed
    #[arg(long)]
    postgres: bool,
    /// Put a small program such as curl or wrk into the command's PATH, fetching the distribution's package of that
    /// name where it is not installed; may be repeated
    #[arg(long = "tool", value_name = "NAME")]
    tools: Vec<String>,
    /// The command and its arguments
    #[arg(last = true, required = true, value_name = "COMMAND")]
    command: Vec<OsString>,
}

/// How long the command may take to end once a backend has failed under it.
const GRACE: Duration = Duration::from_secs(5);

/// Why the command no longer runs.
enum End {
    Itself(ExitStatus),
    BackendFailed(String),
}

impl With {
    /// Runs the command; its exit code becomes ours (128 and the signal's number when a signal ended it, 127 when
    /// there is no such program, 126 when it cannot be run).
    ///
    /// # Errors
    /// When a backend does not start, or fails while the command runs.
    pub async fn run(&self, environment: &Environment, progress: &Progress) -> Result<ExitCode> {
        let mut signals = Signals::listen()?;
        let parent = environment.cache_folder()?.join("runs");
        let state = State::throw_away(&parent, progress).await?;
        let outcome = self.run_in(&state, &mut signals, environment, progress).await;
        let discarded = state.discard(progress).await;
        let code = outcome?;
        discarded?;
        Ok(code)
    }

    /// A signal that arrives before the command runs ends all; one that arrives after it has ended does not wait
    /// for an orderly end of the backends.
    async fn run_in(
        &self,
        state: &State,
        signals: &mut Signals,
        environment: &Environment,
        progress: &Progress,
    ) -> Result<ExitCode> {
        let wanted = Wanted {
            node: self.node,
            python: self.python,
            browser: self.browser,
            nginx: self.nginx,
            postgres: self.postgres,
            programs: self.tools.clone(),
        };
        let start = async {
            let tools = Tools::find(wanted, environment, progress).await?;
            let backends =
                Backends::start(state, Mode::ThrowAway, Events::RabbitMq, environment, progress).await?;
            anyhow::Ok((tools, backends))
        };
        let (tools, mut backends) = tokio::select! {
            started = Box::pin(start) => started?,
            signal = signals.next() => return Ok(ExitCode::from(exit_code_of(signal as i32))),
        };
        let outcome = self.beside(&mut backends, &tools, signals, progress).await;
        tokio::select! {
            stopped = backends.stop(state, progress) => stopped?,
            _ = signals.next() => {}
        }
        outcome
    }

    async fn beside(
        &self,
        backends: &mut Backends,
        tools: &Tools,
        signals: &mut Signals,
        progress: &Progress,
    ) -> Result<ExitCode> {
        let [program, arguments @ ..] = self.command.as_slice() else { bail!("there is no command to run") };
        let mut command = Command::new(program);
        command.args(arguments).envs(backends.urls().variables()).envs(tools.variables());
        if let Some(logins) = backends.logins() {
            command.env("AMQP_URL", logins.all);
            command.envs(logins.management.map(|url| ("RABBITMQ_MANAGEMENT_URL", url)));
        }
        // A file that names another backend would contradict these.
        for name in BACKENDS {
            command.env_remove(format!("{name}_FILE"));
        }
        let child = match command.spawn() {
            Ok(child) => child,
            Err(error) => return Ok(not_started(program, &error, progress)),
        };
        match watched(child, backends, signals).await? {
            End::Itself(status) => Ok(ExitCode::from(exit_code(status))),
            End::BackendFailed(reason) => bail!(reason),
        }
    }
}

/// Waits for the command, passes signals on to it, and ends it when a backend fails under it.
async fn watched(mut child: Child, backends: &mut Backends, signals: &mut Signals) -> Result<End> {
    let mut asked_before = false;
    loop {
        tokio::select! {
            status = child.wait() => return Ok(End::Itself(status?)),
            reason = backends.failed() => {
                tell(&child, Signal::SIGTERM);
                if timeout(GRACE, child.wait()).await.is_err() {
                    child.kill().await?;
                }
                return Ok(End::BackendFailed(reason));
            }
            signal = signals.next() => {
                let knows = signal == Signal::SIGINT && terminal_tells_our_children();
                if asked_before {
                    tell(&child, Signal::SIGKILL);
                } else if !knows {
                    tell(&child, signal);
                }
                asked_before = true;
            }
        }
    }
}

/// A command that has ended hears nothing any more, which is as good.
fn tell(child: &Child, signal: Signal) {
    if let Some(pid) = child.id() {
        let _ = kill(Pid::from_raw(pid.cast_signed()), signal);
    }
}

fn exit_code(status: ExitStatus) -> u8 {
    let code = status.code().and_then(|code| u8::try_from(code).ok());
    code.unwrap_or_else(|| exit_code_of(status.signal().unwrap_or_default()))
}

/// The codes that shells give.
fn not_started(program: &OsStr, error: &Error, progress: &Progress) -> ExitCode {
    progress.failure(&format!("{}: {error}", program.to_string_lossy()));
    ExitCode::from(if error.kind() == ErrorKind::NotFound { 127 } else { 126 })
}
