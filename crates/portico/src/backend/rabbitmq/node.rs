//! One private node: Erlang's port mapper and the server, as our children, ready when a client can log in.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use nix::sys::signal::Signal;
use tokio::process::Command;
use tokio::time::{Instant, sleep};

use super::accounts::Accounts;
use super::programs::Programs;
use super::reach;
use crate::backend::Mode;
use crate::child::{Child, Spec, indented};
use crate::environment::Owner;
use crate::ports;
use crate::state::{State, write_private_for};

/// The folder inside the state folder. It belongs to the uid that RabbitMQ runs as.
const FOLDER: &str = "rabbitmq";

/// Under this name the data is kept, so it never changes. A node is known by its name to the port mapper alone, and
/// each of ours has one of its own.
const NAME: &str = "portico@localhost";

/// How long it may take until it answers: 5 s on an idle laptop, and a machine that runs all tests is busy.
const PATIENCE: Duration = Duration::from_secs(120);

/// How often ports that someone else took between our look and the start are replaced by others.
const ATTEMPTS: u32 = 3;

/// How RabbitMQ is asked for an orderly end, and what makes Erlang halt at once, with the patience for each.
const ORDERLY: (Signal, Duration) = (Signal::SIGTERM, Duration::from_secs(20));
const AT_ONCE: (Signal, Duration) = (Signal::SIGQUIT, Duration::from_secs(5));

/// The share of the machine's memory above which RabbitMQ stops taking messages: its own default.
const HIGH_WATERMARK: &str = "0.4";

/// Where it listens, always on 127.0.0.1.
#[derive(Clone, Copy, Debug)]
struct Ports {
    amqp: u16,
    management: u16,
    metrics: u16,
    epmd: u16,
    /// For `rabbitmqctl`.
    distribution: u16,
}

/// A node that answers, but while it is halted.
#[derive(Debug)]
pub(super) struct Node {
    programs: Programs,
    folder: PathBuf,
    owner: Option<Owner>,
    mode: Mode,
    accounts: Accounts,
    ports: Ports,
    log: PathBuf,
    children: Option<Children>,
}

#[derive(Debug)]
struct Children {
    server: Child,
    epmd: Child,
}

/// It ended before it let anyone in; how, and its last words.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Ended(String);

impl Node {
    /// Starts it on the data of the state folder, if it has any, with these accounts.
    ///
    /// # Errors
    /// When it cannot be started or does not let us in.
    pub(super) async fn start(
        programs: &Programs,
        state: &State,
        mode: Mode,
        owner: Option<Owner>,
        accounts: Accounts,
    ) -> Result<Self> {
        let folder = state.folder_of_backend(FOLDER, owner)?;
        let cookie = state.secret("rabbitmq_erlang_cookie").await?;
        write_private_for(&folder.join(".erlang.cookie"), cookie.as_bytes(), owner)?;
        write_private_for(
            &folder.join("enabled_plugins"),
            b"[rabbitmq_management,rabbitmq_prometheus].\n",
            owner,
        )?;
        let definitions = serde_json::to_vec_pretty(&accounts.definitions())?;
        write_private_for(&folder.join("definitions.json"), &definitions, owner)?;
        let (programs, log) = (programs.clone(), PathBuf::new());
        let ports = Ports { amqp: 0, management: 0, metrics: 0, epmd: 0, distribution: 0 };
        let mut node = Self { programs, folder, owner, mode, accounts, ports, log, children: None };
        for attempt in 1..=ATTEMPTS {
            node.ports = Ports::free()?;
            match node.resume(state).await {
                Err(_) if !node.ports.are_free() => {}
                // Whoever took a port may have let go of it by now.
                Err(error) if error.is::<Ended>() && attempt == 1 => {}
                started => return started.map(|()| node),
            }
        }
        bail!("others took ports that were free a moment before, {ATTEMPTS} times")
    }

    /// Starts what was halted or killed, on the same ports and data.
    ///
    /// # Errors
    /// When it cannot be started or does not let us in.
    pub(super) async fn resume(&mut self, state: &State) -> Result<()> {
        write_private_for(&self.folder.join("rabbitmq.conf"), self.configuration().as_bytes(), self.owner)?;
        // A server that finds no port mapper starts one that outlives it.
        let epmd = self.programs.erlang("epmd");
        let port = self.ports.epmd.to_string();
        let arguments = ["-port", &port, "-address", "127.0.0.1"].map(OsString::from).into();
        let epmd = Child::start(self.spec("epmd", &epmd, arguments), state).await?;
        let server = self.programs.script("rabbitmq-server");
        let server = Child::start(self.spec("rabbitmq", &server, Vec::new()), state).await?;
        server.log().clone_into(&mut self.log);
        let mut children = Children { server, epmd };
        match self.answers(&mut children.server).await {
            Ok(true) => {
                self.children = Some(children);
                Ok(())
            }
            outcome => {
                let reason = match outcome {
                    Err(error) => error,
                    Ok(_) => Ended(children.server.ended().await).into(),
                };
                children.stop(&[AT_ONCE], state).await?;
                Err(reason)
            }
        }
    }

    /// Waits until it lets us in; false when it ended instead: it does so with exit code 0 where a port is taken.
    async fn answers(&self, server: &mut Child) -> Result<bool> {
        let deadline = Instant::now() + PATIENCE;
        let url = self.url();
        while !server.has_ended()? {
            match reach(&url).await {
                Ok(()) => return Ok(true),
                Err(error) if Instant::now() > deadline => {
                    let log = self.log.display();
                    return Err(error)
                        .with_context(|| format!("RabbitMQ does not answer after {PATIENCE:?}; see {log}"));
                }
                Err(_) => sleep(Duration::from_millis(50)).await,
            }
        }
        Ok(false)
    }

    /// The administrator's URL.
    pub(super) fn url(&self) -> String {
        self.accounts.administrator().url(&self.address())
    }

    /// The URL of each of the other accounts, by its name.
    pub(super) fn urls(&self) -> Vec<(&'static str, String)> {
        let address = self.address();
        self.accounts.others().map(|account| (account.name(), account.url(&address))).collect()
    }

    /// Where it is managed, with the administrator's password for `with_password`.
    pub(super) fn management_url(&self, with_password: bool) -> String {
        let login =
            if with_password { format!("{}@", self.accounts.administrator().login()) } else { String::new() };
        format!("http://{login}127.0.0.1:{}", self.ports.management)
    }

    /// Where Prometheus asks it for its metrics.
    pub(super) fn metrics_url(&self) -> String {
        format!("http://127.0.0.1:{}/metrics", self.ports.metrics)
    }

    /// Host and port.
    pub(super) fn address(&self) -> String {
        format!("127.0.0.1:{}", self.ports.amqp)
    }

    /// The folder with the data.
    pub(super) fn data(&self) -> PathBuf {
        self.folder.join("data")
    }

    /// The file with the log.
    pub(super) fn log(&self) -> &Path {
        &self.log
    }

    /// Waits until it ends by itself. Cancelling it loses nothing.
    pub(super) async fn ended(&mut self) -> String {
        match &mut self.children {
            Some(children) => children.server.ended().await,
            None => std::future::pending().await,
        }
    }

    /// Stops it in good order, so that it can be started again. One that is halted already stays so.
    ///
    /// # Errors
    /// When the system does not tell how it ended.
    pub(super) async fn halt(&mut self, state: &State) -> Result<()> {
        match self.children.take() {
            Some(children) => children.stop(&[ORDERLY, AT_ONCE], state).await,
            None => Ok(()),
        }
    }

    /// Kills it without a warning, so that it can be started again.
    ///
    /// # Errors
    /// When the system does not tell how it ended.
    pub(super) async fn kill(&mut self, state: &State) -> Result<()> {
        match self.children.take() {
            Some(children) => children.stop(&[], state).await,
            None => Ok(()),
        }
    }

    /// Stops it for good: in good order when the data stays, at once when it goes anyway.
    ///
    /// # Errors
    /// When the system does not tell how it ended.
    pub(super) async fn stop(mut self, state: &State) -> Result<()> {
        match self.mode {
            Mode::Kept => self.halt(state).await,
            Mode::ThrowAway => self.kill(state).await,
        }
    }

    /// Makes it believe that it uses too much memory, upon which it takes no more messages, or no longer.
    ///
    /// # Errors
    /// When `rabbitmqctl` fails.
    pub(super) async fn alarm(&self, raised: bool) -> Result<()> {
        let share = if raised { "0" } else { HIGH_WATERMARK };
        let mut command = Command::new(self.programs.script("rabbitmqctl"));
        command.args(["--quiet", "set_vm_memory_high_watermark", share]);
        command.env_clear().envs(self.environment()).current_dir(&self.folder);
        command.stdin(Stdio::null()).process_group(0).kill_on_drop(true);
        if let Some(Owner { uid, gid }) = self.owner {
            command.uid(uid).gid(gid);
        }
        let output = command.output().await.context("cannot start rabbitmqctl")?;
        if !output.status.success() {
            bail!("rabbitmqctl failed:\n{}", indented(&String::from_utf8_lossy(&output.stderr), 10));
        }
        Ok(())
    }

    fn spec<'a>(&'a self, name: &'static str, program: &'a Path, arguments: Vec<OsString>) -> Spec<'a> {
        let (environment, folder) = (self.environment(), self.folder.as_path());
        Spec { name, program, arguments, environment, folder, owner: self.owner, gently: ORDERLY.0 }
    }

    /// <https://www.rabbitmq.com/docs/configure#supported-environment-variables>. Whatever is not named here is looked
    /// for in `/etc/rabbitmq` and `/var/lib/rabbitmq`.
    fn environment(&self) -> Vec<(&'static str, OsString)> {
        let file = |name: &str| self.folder.join(name).into_os_string();
        let text = |text: &str| OsString::from(text);
        let mut variables = self.programs.environment();
        variables.extend([
            // Where the cookie is, by which nodes and rabbitmqctl know each other.
            ("HOME", self.folder.clone().into_os_string()),
            ("ERL_EPMD_PORT", text(&self.ports.epmd.to_string())),
            ("ERL_EPMD_ADDRESS", text("127.0.0.1")),
            ("RABBITMQ_NODENAME", text(NAME)),
            ("RABBITMQ_DIST_PORT", text(&self.ports.distribution.to_string())),
            ("RABBITMQ_MNESIA_BASE", file("data")),
            ("RABBITMQ_LOG_BASE", file("log")),
            // To the standard output, which is our log file.
            ("RABBITMQ_LOGS", text("-")),
            ("RABBITMQ_CONF_ENV_FILE", file("rabbitmq-env.conf")),
            ("RABBITMQ_CONFIG_FILE", file("rabbitmq")),
            ("RABBITMQ_ADVANCED_CONFIG_FILE", file("advanced.config")),
            ("RABBITMQ_ENABLED_PLUGINS_FILE", file("enabled_plugins")),
            ("RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS", text("-kernel inet_dist_use_interface {127,0,0,1}")),
            // Each rabbitmqctl takes one; the eleven of its default are few for tests that run at the same time.
            ("RABBITMQ_CTL_DIST_PORT_MAX", text("39999")),
            // The script then becomes the server, instead of standing before it and losing our signals.
            ("RUNNING_UNDER_SYSTEMD", text("true")),
        ]);
        variables
    }

    fn configuration(&self) -> String {
        let Ports { amqp, management, metrics, .. } = self.ports;
        format!(
            "listeners.tcp.default = 127.0.0.1:{amqp}\n\
             management.tcp.ip = 127.0.0.1\n\
             management.tcp.port = {management}\n\
             prometheus.tcp.ip = 127.0.0.1\n\
             prometheus.tcp.port = {metrics}\n\
             load_definitions = {}\n\
             log.file = false\n\
             log.console = true\n\
             log.console.level = info\n",
            self.folder.join("definitions.json").display()
        )
    }
}

impl Children {
    /// The server first: it tells the port mapper that it leaves.
    async fn stop(self, stages: &[(Signal, Duration)], state: &State) -> Result<()> {
        self.server.stop(stages, state).await?;
        self.epmd.stop(stages, state).await
    }
}

impl Ports {
    fn free() -> Result<Self> {
        let [amqp, management, metrics, epmd, distribution] = ports::free()?;
        Ok(Self { amqp, management, metrics, epmd, distribution })
    }

    fn are_free(self) -> bool {
        let all = [self.amqp, self.management, self.metrics, self.epmd, self.distribution];
        all.into_iter().all(ports::is_free)
    }
}
