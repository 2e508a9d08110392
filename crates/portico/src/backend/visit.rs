//! The databases for a command that comes and goes: migrations, the first admin.
//!
//! It works beside an `up` that runs, and without one.

use anyhow::{Context, Result};

use super::{Backends, Mode, Urls};
use crate::environment::Environment;
use crate::progress::Progress;
use crate::state::{Acquired, State};

/// Databases that answer until [`Visit::end`].
#[derive(Debug)]
pub struct Visit {
    urls: Urls,
    started: Option<Box<(Backends, State)>>,
}

impl Visit {
    /// Takes the databases of the `up` that runs in this environment's state folder; when none runs, starts what
    /// an `up` would.
    ///
    /// # Errors
    /// When an `up` is just starting, or the backends do not start.
    pub async fn begin(environment: &Environment, progress: &Progress) -> Result<Self> {
        match State::acquire(&environment.state_folder()?)? {
            Acquired::Theirs(running) => {
                let urls = running.and_then(|running| running.databases);
                let urls =
                    urls.context("Portico is just starting: try again when it says that it is ready")?;
                Ok(Self { urls, started: None })
            }
            Acquired::Ours(state) => {
                state.end_leftovers(progress).await?;
                let backends = Backends::start(&state, Mode::Kept, environment, progress).await?;
                Ok(Self { urls: backends.urls().clone(), started: Some(Box::new((backends, state))) })
            }
        }
    }

    /// Where the databases are.
    pub fn urls(&self) -> &Urls {
        &self.urls
    }

    /// Stops what was started for this visit.
    ///
    /// # Errors
    /// When it cannot be stopped.
    pub async fn end(self, progress: &Progress) -> Result<()> {
        match self.started {
            Some(started) => started.0.stop(&started.1, progress).await,
            None => Ok(()),
        }
    }
}
