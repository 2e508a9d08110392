//! Databases for a command that is over in a moment: whichever are there already, else the state folder's own, started
//! for as long as it takes.

use anyhow::{Result, bail};

use crate::backend::{Backends, Events, Mode};
use crate::environment::Environment;
use crate::progress::Progress;
use crate::settings::Settings;
use crate::state::{Acquired, Running, State};

/// Calls `work` with the settings of, in this order: the databases that the environment names, a running `up`, the
/// state folder's own, which are started with what carries `events` and stopped again afterwards.
///
/// # Errors
/// Those of `work`, and when there are no databases to be had.
pub async fn on_backends(
    events: Events,
    environment: &Environment,
    progress: &Progress,
    work: impl AsyncFnOnce(&Settings) -> Result<()>,
) -> Result<()> {
    if let Some(settings) = Settings::of_environment(environment) {
        return work(&settings).await;
    }
    let state = match State::acquire(&environment.state_folder()?)? {
        Acquired::Ours(state) => state,
        Acquired::Theirs(Some(running)) if !running.variables.is_empty() => {
            return work(&Settings::of_running(running.variables)).await;
        }
        Acquired::Theirs(_) => bail!("Portico is just starting; try again in a moment"),
    };
    state.end_leftovers(progress).await?;
    let backends = Backends::start(&state, Mode::Kept, events, environment, progress).await?;
    let outcome = match Settings::gather(&backends, &state, environment).await {
        Ok(settings) => work(&settings).await,
        Err(error) => Err(error),
    };
    backends.stop(&state, progress).await?;
    outcome
}

/// What runs in the state folder.
///
/// # Errors
/// When nothing does, or it is still starting.
pub fn running(environment: &Environment) -> Result<Running> {
    match State::acquire(&environment.state_folder()?)? {
        Acquired::Ours(_) => bail!("Portico does not run; `portico up` starts it"),
        Acquired::Theirs(Some(running)) if !running.variables.is_empty() => Ok(running),
        Acquired::Theirs(_) => bail!("Portico is just starting; try again in a moment"),
    }
}
