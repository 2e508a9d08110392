//! One nginx: its files, its start, its end.

use std::ffi::OsString;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;
use tokio::net::TcpListener;
use tokio::process::Command;
use tokio::time::{Instant, sleep};

use super::programs::Programs;
use super::tree::{self, Values};
use crate::child::{Child, Spec, indented};
use crate::environment::Owner;
use crate::ports;
use crate::state::{State, write_private_for};

/// The folder inside the state folder. It belongs to the uid that nginx runs as.
const FOLDER: &str = "nginx";

/// How long it may take until it answers.
const PATIENCE: Duration = Duration::from_secs(15);

/// How long a port that is taken is waited for: the one before may be about to end.
const PATIENCE_FOR_PORT: Duration = Duration::from_secs(3);

/// "Stop once the requests under way have ended" and "stop now", as nginx calls them, with the patience for each.
const GRACEFULLY: (Signal, Duration) = (Signal::SIGQUIT, Duration::from_secs(12));
const FAST: (Signal, Duration) = (Signal::SIGTERM, Duration::from_secs(3));

/// An nginx that answers.
#[derive(Debug)]
pub(super) struct Server {
    programs: Programs,
    values: Values,
    folder: PathBuf,
    child: Child,
}

/// The folder with what it keeps, in a state folder.
pub(super) fn cache(state: &Path) -> PathBuf {
    state.join(FOLDER).join("cache")
}

impl Server {
    /// Writes its configuration and starts it.
    ///
    /// # Errors
    /// When it cannot be started, or its configuration is refused; it says why.
    pub(super) async fn start(
        programs: Programs,
        values: Values,
        state: &State,
        owner: Option<Owner>,
    ) -> Result<Self> {
        let folder = state.folder_of_backend(FOLDER, owner)?;
        let values = with_places(values, &folder, owner)?;
        // Before nginx looks at its configuration too: for that it takes its ports for a moment.
        for name in ports_of(&values) {
            until_free(name, values.get(name)).await?;
        }
        let (programs, values) = fitting(programs, values, &folder, owner).await?;
        let _ = fs::remove_file(pid_file(&folder));
        let spec = Spec {
            name: "nginx",
            program: programs.nginx(),
            arguments: arguments(&folder).chain(["-g".into(), "daemon off;".into()]).collect(),
            environment: programs.environment(),
            folder: &folder,
            owner,
            gently: GRACEFULLY.0,
        };
        let child = Child::start(spec, state).await?;
        let mut server = Self { programs, values, folder, child };
        server.until_it_answers().await?;
        Ok(server)
    }

    /// It writes its id down once it has its ports. Whether they answer would not tell: another may have them.
    async fn until_it_answers(&mut self) -> Result<()> {
        let deadline = Instant::now() + PATIENCE;
        while !pid_file(&self.folder).is_file() {
            if self.child.has_ended()? {
                let listen = self.values.get("NGINX_LISTEN");
                bail!("nginx can't listen at {listen} (NGINX_LISTEN): {}", self.child.ended().await);
            }
            if Instant::now() > deadline {
                bail!("nginx does not answer after {PATIENCE:?}; see {}", self.child.log().display());
            }
            sleep(Duration::from_millis(10)).await;
        }
        Ok(())
    }

    /// Where clients find it: with TLS where it has it.
    pub(super) fn url(&self) -> String {
        let (scheme, listen) = match self.values.get("NGINX_TLS") {
            "off" => ("http", self.values.get("NGINX_LISTEN")),
            _ => ("https", self.values.get("NGINX_TLS_LISTEN")),
        };
        format!("{scheme}://{}", listen.replace("0.0.0.0", "127.0.0.1"))
    }

    /// Which program it is.
    pub(super) fn origin(&self) -> String {
        self.programs.to_string()
    }

    /// Host and port of the gateway.
    pub(super) fn gateway(&self) -> &str {
        self.values.get("NGINX_GATEWAY")
    }

    /// What stands for a body in the key of the cache.
    pub(super) fn cache_key(&self) -> &'static str {
        if self.hashes() { "bodies by their hash, with njs" } else { "bodies as they are, without njs" }
    }

    /// Whether that is a hash.
    pub(super) fn hashes(&self) -> bool {
        self.values.get("NGINX_BODY_KEY") == "hash"
    }

    /// The file with a line for each request.
    pub(super) fn access_log(&self) -> PathBuf {
        self.folder.join("access.log")
    }

    /// Has it start new workers; the old ones end with the requests that they have.
    pub(super) fn reload(&self) {
        // Until it is waited for, its id belongs to no other process.
        let _ = kill(self.pid(), Signal::SIGHUP);
    }

    /// Waits until it ends by itself. Cancelling it loses nothing.
    pub(super) async fn ended(&mut self) -> String {
        let reason = self.child.ended().await;
        end_workers(self.pid());
        reason
    }

    /// Stops it.
    ///
    /// # Errors
    /// When the system does not tell how it ended.
    pub(super) async fn stop(self, state: &State) -> Result<()> {
        let group = self.pid();
        let stopped = self.child.stop(&[GRACEFULLY, FAST], state).await;
        end_workers(group);
        stopped
    }

    fn pid(&self) -> Pid {
        Pid::from_raw(self.child.pid().cast_signed())
    }
}

/// The values that depend on where it runs: its files, and a port where any will do.
fn with_places(values: Values, folder: &Path, owner: Option<Owner>) -> Result<Values> {
    let path = |file: &str| folder.join(file).display().to_string();
    let mut values = values
        .with("NGINX_TREE", folder.display().to_string())
        .with("NGINX_STATE_DIR", folder.display().to_string())
        .with("NGINX_ACCESS_LOG", path("access.log"));
    for name in ports_of(&values) {
        if let Some(host) = values.get(name).strip_suffix(":0").map(str::to_owned) {
            let [port] = ports::free()?;
            values = values.with(name, format!("{host}:{port}"));
        }
    }
    if values.get("NGINX_TLS") == "off" {
        return Ok(values);
    }
    // Copies, since whom nginx runs as may not be let near the files themselves.
    for (name, copy) in [("NGINX_TLS_CERTIFICATE", "certificate.pem"), ("NGINX_TLS_KEY", "key.pem")] {
        let bytes = fs::read(values.get(name)).with_context(|| format!("cannot read {name}"))?;
        write_private_for(&folder.join(copy), &bytes, owner)?;
        values = values.with(name, path(copy));
    }
    Ok(values)
}

/// The values by which it listens.
fn ports_of(values: &Values) -> &'static [&'static str] {
    if values.get("NGINX_TLS") == "off" { &["NGINX_LISTEN"] } else { &["NGINX_LISTEN", "NGINX_TLS_LISTEN"] }
}

/// Waits until nobody listens at `address`. nginx would not be refused there: it shares its port with every other nginx of
/// the same user.
async fn until_free(name: &str, address: &str) -> Result<()> {
    let deadline = Instant::now() + PATIENCE_FOR_PORT;
    while let Err(error) = TcpListener::bind(address).await {
        if error.kind() != ErrorKind::AddrInUse {
            // Nothing that we can tell; nginx may.
            return Ok(());
        }
        ensure!(Instant::now() < deadline, "nginx can't listen at {address} ({name}): somebody else does");
        sleep(Duration::from_millis(50)).await;
    }
    Ok(())
}

/// Writes the configuration and has nginx look at it. Without njs, or with one that is not for this nginx, it is the plain
/// form.
async fn fitting(
    programs: Programs,
    values: Values,
    folder: &Path,
    owner: Option<Owner>,
) -> Result<(Programs, Values)> {
    let module = programs.module().filter(|_| values.get("NGINX_BODY_KEY") == "hash");
    if let Some(module) = module {
        let hashing = values.clone().with("NGINX_NJS_MODULE", module.display().to_string());
        if looked_at(&programs, &hashing, folder, owner).await.is_ok() {
            return Ok((programs, hashing));
        }
    }
    let plain = values.with("NGINX_BODY_KEY", "plain");
    let programs = programs.without_module();
    looked_at(&programs, &plain, folder, owner).await?;
    Ok((programs, plain))
}

async fn looked_at(programs: &Programs, values: &Values, folder: &Path, owner: Option<Owner>) -> Result<()> {
    tree::write(folder, values)?;
    let mut command = command(programs, owner);
    command.args(arguments(folder)).args(["-q", "-t"]);
    let output = command.current_dir(folder).output().await.context("cannot start nginx")?;
    if !output.status.success() {
        bail!("nginx refuses its configuration:\n{}", indented(&String::from_utf8_lossy(&output.stderr), 5));
    }
    Ok(())
}

/// A command that runs it with all of its environment, and not as root.
pub(super) fn command(programs: &Programs, owner: Option<Owner>) -> Command {
    let mut command = Command::new(programs.nginx());
    command.env_clear().envs(programs.environment());
    if let Some(Owner { uid, gid }) = owner {
        command.uid(uid).gid(gid);
    }
    command
}

fn arguments(folder: &Path) -> impl Iterator<Item = OsString> + use<> {
    let configuration = folder.join("filled/nginx.conf");
    let arguments: [OsString; 6] =
        ["-e".into(), "stderr".into(), "-p".into(), folder.into(), "-c".into(), configuration.into()];
    arguments.into_iter()
}

/// Workers whose master was killed would go on for ever. They stand in its process group.
fn end_workers(group: Pid) {
    let _ = killpg(group, Signal::SIGKILL);
}

fn pid_file(folder: &Path) -> PathBuf {
    folder.join("nginx.pid")
}
