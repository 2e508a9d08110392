//! The part about events: how fast they are moved, how soon they arrive, what they cost whoever says them, and what
//! those cost who listen.
//!
//! All of it on a Postgres and a RabbitMQ that `portico up --backends` has brought up, with nobody else at work on them.

mod appending;
mod backlog;
mod delivery;
mod page;
mod queue;
mod said;
mod subscribers;

use std::{path::Path, time::Duration};

use anyhow::Result;
use portico::progress::Progress;

use self::subscribers::Subscribers;
use crate::{
    dataset::Dataset,
    rounds::Rounds,
    up::{Kind, Up},
};

/// How much is measured.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    /// How many rounds move a backlog.
    rounds: usize,
    /// How many events it has.
    backlog: usize,
    /// How many events are followed to where they are heard.
    followed: usize,
    /// How many rounds compare createOrder's statements.
    appending_rounds: usize,
    /// How long each way of them is measured in a round.
    seconds: u64,
    /// How many subscriptions are open at once.
    sockets: usize,
    /// How many of them each event must reach.
    reached: usize,
    /// How many events are told to those.
    told: usize,
}

/// What docs/performance.md tells.
pub(crate) const FULL: Plan = Plan {
    rounds: 3,
    backlog: 100_000,
    followed: 300,
    appending_rounds: 5,
    seconds: 2,
    sockets: 5_000,
    reached: 1_000,
    told: 20,
};
/// To see that it works.
pub(crate) const QUICK: Plan = Plan {
    rounds: 2,
    backlog: 5_000,
    followed: 50,
    appending_rounds: 2,
    seconds: 1,
    sockets: 500,
    reached: 100,
    told: 5,
};

/// What the part came to.
pub(crate) struct Results {
    plan: Plan,
    /// Moving a backlog.
    backlog: Rounds,
    /// From each commit to when its event was heard, the shortest first.
    delivered: Vec<Duration>,
    /// createOrder, and its statement with the event and without, by the number of clients.
    appending: Vec<(usize, Rounds)>,
    /// Subscriptions.
    subscribers: Subscribers,
}

/// Measures all of it, with state and logs in `folder`.
///
/// # Errors
/// When something does not start, or an event is not where it must be: the run is void then.
pub(crate) async fn measure(
    plan: Plan,
    data: &Dataset,
    folder: &Path,
    progress: &Progress,
) -> Result<Results> {
    let step = progress.step("Starting Postgres and RabbitMQ");
    let up = Up::start(Kind::Backends, folder).await?;
    step.done("ready");
    let backlog = Box::pin(backlog::measure(plan, &up, data, progress)).await?;
    let delivered = Box::pin(delivery::measure(plan, &up, data, progress)).await?;
    let appending = Box::pin(appending::measure(plan, &up, data, folder, progress)).await?;
    let subscribers = Box::pin(subscribers::measure(plan, &up, folder, progress)).await?;
    let step = progress.step("Stopping Postgres and RabbitMQ");
    up.stop().await?;
    step.done("");
    Ok(Results { plan, backlog, delivered, appending, subscribers })
}
