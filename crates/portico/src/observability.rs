//! Prometheus and Grafana beside the system (`portico up --observability`), with the rules and dashboards of
//! `observability/`, which are inside the binary.
//!
//! Neither is needed: the status page at the admin port is always there. Guarantees: they run as the backends do, never as
//! root, on free ports of 127.0.0.1; their files are below the state folder; they end with the rest, and one that fails
//! ends nothing else.

mod files;
mod grafana;
mod prometheus;

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Result, bail};
use nix::sys::signal::Signal;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep};

use crate::child::Child;
use crate::environment::Environment;
use crate::progress::Progress;
use crate::state::State;

/// How long each may take until it answers: Grafana makes its database at its first start.
const PATIENCE: Duration = Duration::from_secs(60);
/// How they are asked to end, and how long that may take.
const GENTLY: (Signal, Duration) = (Signal::SIGTERM, Duration::from_secs(10));

/// What Prometheus asks.
#[derive(Debug)]
pub struct Targets {
    /// The admin port of the system, which is one process (host:port).
    pub system: String,
    /// RabbitMQ's metrics (host:port), where it is one of ours.
    pub rabbitmq: Option<String>,
}

/// The programs that were found.
#[derive(Debug)]
pub struct Programs {
    prometheus: PathBuf,
    grafana: Option<grafana::Program>,
}

/// Both, while they run.
#[derive(Debug)]
pub struct Observability {
    prometheus: Service,
    grafana: Option<Service>,
}

/// One of them.
#[derive(Debug)]
struct Service {
    child: Child,
    url: String,
}

impl Programs {
    /// Finds Prometheus, installed or in the distribution's packages, and Grafana where it is installed. `None` without the
    /// first; what is missing is told with how to get it.
    pub async fn find(environment: &Environment, progress: &Progress) -> Option<Self> {
        let prometheus = match prometheus::find(environment, progress).await {
            Ok(program) => program,
            Err(error) => {
                progress.note(&format!("No Prometheus: {error:#}"));
                return None;
            }
        };
        let grafana = grafana::find(environment);
        if grafana.is_none() {
            progress.note(grafana::HOW_TO_GET_IT);
        }
        Some(Self { prometheus, grafana })
    }

    /// Starts them; when this returns, they answer.
    ///
    /// # Errors
    /// When one does not start.
    pub async fn start(
        self,
        targets: &Targets,
        state: &State,
        environment: &Environment,
        progress: &Progress,
    ) -> Result<Observability> {
        let owner = environment.owner_of_backends();
        let step = progress.step("Starting Prometheus");
        let prometheus = prometheus::start(&self.prometheus, targets, state, owner).await?;
        step.done("ready");
        let grafana = match self.grafana {
            Some(program) => {
                let step = progress.step("Starting Grafana");
                let service = grafana::start(&program, &prometheus.url, state, owner).await?;
                step.done("ready");
                Some(service)
            }
            None => None,
        };
        Ok(Observability { prometheus, grafana })
    }
}

impl Observability {
    /// Where they are, as rows of a table.
    pub fn rows(&self) -> Vec<(&'static str, String)> {
        let mut rows = vec![("Prometheus", self.prometheus.url.clone())];
        rows.extend(self.grafana.iter().map(|grafana| ("Grafana", format!("{}/dashboards", grafana.url))));
        rows
    }

    /// Ends them.
    ///
    /// # Errors
    /// When the system does not tell how one ended.
    pub async fn stop(self, state: &State) -> Result<()> {
        if let Some(grafana) = self.grafana {
            grafana.child.stop(&[GENTLY], state).await?;
        }
        self.prometheus.child.stop(&[GENTLY], state).await
    }
}

impl Service {
    /// Waits until a child answers 200 at `path` of this port.
    async fn until_it_answers(mut child: Child, name: &str, port: u16, path: &str) -> Result<Self> {
        let deadline = Instant::now() + PATIENCE;
        while !answers(port, path).await {
            if child.has_ended()? {
                bail!("{name} does not start: {}", child.ended().await);
            }
            if Instant::now() > deadline {
                bail!("{name} does not answer after {PATIENCE:?}; see {}", child.log().display());
            }
            sleep(Duration::from_millis(50)).await;
        }
        Ok(Self { child, url: format!("http://127.0.0.1:{port}") })
    }
}

/// Whether what listens at this port answers 200 there.
async fn answers(port: u16, path: &str) -> bool {
    let ask = async {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await?;
        stream.write_all(format!("GET {path} HTTP/1.0\r\nHost: 127.0.0.1:{port}\r\n\r\n").as_bytes()).await?;
        let mut said = [0; 12];
        stream.read_exact(&mut said).await?;
        Ok::<_, std::io::Error>(said.ends_with(b" 200"))
    };
    matches!(tokio::time::timeout(Duration::from_secs(2), ask).await, Ok(Ok(true)))
}

/// A path as text for a configuration.
fn shown(path: &Path) -> String {
    path.display().to_string()
}
