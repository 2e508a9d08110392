//! nginx before the gateway: it caches what is public, and bounds what reaches the rest.
//!
//! Guarantees for one of ours: it never runs as root, its files are all below the state folder, and it goes when we go,
//! with its workers.

pub(crate) mod programs;
mod server;
mod tree;

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};

use crate::environment::Environment;
use crate::progress::Progress;
use crate::state::State;
use programs::Programs;
use server::Server;
pub use tree::Values;

/// An nginx that answers.
#[derive(Debug)]
pub struct Nginx {
    kind: Kind,
}

/// Who answers for it.
#[derive(Debug)]
enum Kind {
    /// The one that the environment names.
    Given { url: String },
    /// A child of ours.
    Ours(Box<Server>),
}

/// Where an nginx is to be had from.
#[derive(Debug)]
pub enum Source {
    /// It runs already, at this URL.
    Given(String),
    /// A program, to be started.
    Found(Found),
}

/// A program that was found.
#[derive(Clone, Debug)]
pub struct Found(Programs);

/// What is said when there is none to be had.
const HOW_TO_GET_IT: &str = "nginx 1.20 or later was not found and cannot be fetched here: install it (`apt install nginx \
     libnginx-mod-http-js`, `dnf install nginx`, `brew install nginx`), or set NGINX_URL to one that runs";

/// How long after its removal a file of the cache may still be open: `open_file_cache_valid` in `nginx/conf/http.conf`.
const OPEN_FILES_ARE_LOOKED_AT: Duration = Duration::from_secs(1);

impl Source {
    /// Takes, in this order: what `NGINX_URL` names, the installed program, packages. `None` where there is none, which
    /// is told.
    pub async fn find(environment: &Environment, progress: &Progress) -> Option<Self> {
        if let Some(url) = environment.text("NGINX_URL") {
            return Some(Self::Given(url.trim_end_matches('/').to_owned()));
        }
        let found = programs::find(environment, progress).await;
        if found.is_none() {
            progress.note(&format!("Nothing stands before the gateway: {HOW_TO_GET_IT}"));
        }
        found.map(|programs| Self::Found(Found(programs)))
    }

    /// Whether it is one that we start ourselves.
    pub fn is_ours(&self) -> bool {
        matches!(self, Self::Found(_))
    }

    /// Starts it, where it is ours, before the gateway at `gateway` (host:port); when this returns, it answers.
    ///
    /// # Errors
    /// When it does not start.
    pub async fn start(
        self,
        gateway: &str,
        state: &State,
        environment: &Environment,
        progress: &Progress,
    ) -> Result<Nginx> {
        let kind = match self {
            Self::Given(url) => Kind::Given { url },
            Self::Found(Found(programs)) => {
                let name = format!("Starting nginx {} ({})", programs.version(), programs.origin());
                let step = progress.step(&name);
                let values = Values::of(environment).with("NGINX_GATEWAY", gateway);
                let server = Server::start(programs, values, state, environment.owner_of_backends()).await?;
                step.done("ready");
                Kind::Ours(Box::new(server))
            }
        };
        Ok(Nginx { kind })
    }
}

impl Found {
    /// The program, for tests and measurements; `None` where there is none to be had.
    pub async fn find(environment: &Environment, progress: &Progress) -> Option<Self> {
        programs::find(environment, progress).await.map(Self)
    }

    /// A command that runs it, as whom it runs here, with a configuration of the caller's.
    pub fn command(&self, environment: &Environment) -> tokio::process::Command {
        server::command(&self.0, environment.owner_of_backends())
    }

    /// Starts it with these values in a state folder that has no other; when this returns, it answers.
    ///
    /// # Errors
    /// When it does not start.
    pub async fn start(&self, values: Values, state: &State, environment: &Environment) -> Result<Nginx> {
        let server = Server::start(self.0.clone(), values, state, environment.owner_of_backends()).await?;
        Ok(Nginx { kind: Kind::Ours(Box::new(server)) })
    }
}

impl Nginx {
    /// Where clients find it.
    pub fn url(&self) -> String {
        match &self.kind {
            Kind::Given { url } => url.clone(),
            Kind::Ours(server) => server.url(),
        }
    }

    /// What was taken, and where its log is.
    pub fn rows(&self) -> Vec<(&'static str, String)> {
        match &self.kind {
            Kind::Given { .. } => vec![("nginx", "of NGINX_URL in the environment".to_owned())],
            Kind::Ours(server) => vec![
                ("nginx", server.origin()),
                ("  before", format!("http://{}", server.gateway())),
                ("  cache", server.cache_key().to_owned()),
                ("  log", server.access_log().display().to_string()),
            ],
        }
    }

    /// Whether bodies stand in the key by their hash.
    pub fn hashes(&self) -> bool {
        matches!(&self.kind, Kind::Ours(server) if server.hashes())
    }

    /// Waits until one of ours ends by itself, and gives the reason. Cancelling it loses nothing.
    pub async fn failed(&mut self) -> String {
        match &mut self.kind {
            Kind::Given { .. } => std::future::pending().await,
            Kind::Ours(server) => server.ended().await,
        }
    }

    /// Has one of ours read its configuration anew, with other workers.
    pub fn reload(&self) {
        if let Kind::Ours(server) = &self.kind {
            server.reload();
        }
    }

    /// Stops one of ours once the requests under way have ended.
    ///
    /// # Errors
    /// When it cannot.
    pub async fn stop(self, state: &State) -> Result<()> {
        match self.kind {
            Kind::Given { .. } => Ok(()),
            Kind::Ours(server) => server.stop(state).await,
        }
    }
}

/// Empties the cache of the nginx in the state folder `folder`, and gives the number of answers that were there. When this
/// returns, no old one is given any more.
///
/// # Errors
/// When a file can't be removed.
pub async fn clear_cache(folder: &Path) -> Result<usize> {
    let cache = server::cache(folder);
    let removed = remove_files(&cache).with_context(|| format!("cannot empty {}", cache.display()))?;
    tokio::time::sleep(OPEN_FILES_ARE_LOOKED_AT).await;
    Ok(removed)
}

/// Removes the files below a folder, and no folder: nginx makes each once.
fn remove_files(folder: &Path) -> std::io::Result<usize> {
    let mut removed = 0;
    let entries = match std::fs::read_dir(folder) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(0),
        entries => entries?,
    };
    for entry in entries {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            removed += remove_files(&entry.path())?;
        } else {
            match std::fs::remove_file(entry.path()) {
                // nginx may tidy up at the same time.
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
                gone => removed += usize::from(gone.is_ok()),
            }
        }
    }
    Ok(removed)
}
