//! The plan of a run: bring everything up, let clients and faults loose on it, wait until it is quiet, check, take it down.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, anyhow, bail, ensure};
use clap::Parser;
use futures::FutureExt;
use portico::{backend::nginx::Nginx, environment::Environment, progress::Progress, state::State};
use runtime::Stop;
use tokio::{
    task::JoinSet,
    time::{interval, timeout},
};

use crate::{
    backends::Backends,
    checks::{self, Facts, Plan},
    client::{Client, Shop},
    faults::{self, Done, Faults},
    fleet::Fleet,
    ledger::Ledger,
    quiet, report, rolling,
    subscriber::Subscriber,
    told::Told,
};

/// How often is told how far it is.
const TELL: Duration = Duration::from_secs(15);
/// How much longer than asked for the faults may take, when things are slow to start again.
const MOST: u32 = 4;
const AT_LEAST: Duration = Duration::from_secs(240);
/// How long clients may take to finish what they began, once nothing is done to the system any more.
const LAST_ORDERS: Duration = Duration::from_secs(150);

/// Places and pays orders without pause while processes are killed, backends stopped and connections cut, and checks
/// afterwards that nothing was lost, nothing was done twice, and everything agrees.
///
/// It brings a Postgres and a RabbitMQ of its own and runs the services as processes, order and payment twice each. What
/// is done when comes from the seed, which is printed first and last; when exactly a fault strikes is up to the machine,
/// so the same seed makes a failure likely to come again, and not certain. docs/faults.md tells what is checked.
///
/// The exit code is 0 when every promise held and 1 when one was broken or the run could not be done; the logs are kept
/// then, in a folder that is printed.
#[derive(Parser, Debug)]
#[command(
    version,
    after_help = "Examples:
  make test-faults                            a run of two and a half minutes
  make test-faults FAULT_SECONDS=30           a short one, as in `make test`
  make test-faults FAULT_SEED=4711            the faults and the orders of an earlier run
  make test-rolling                           a rolling update, which no client notices"
)]
pub(crate) struct Run {
    /// For how many seconds faults strike; each kind strikes at least once, however long that takes
    #[arg(long, default_value_t = 150, value_parser = clap::value_parser!(u64).range(1..=3600))]
    seconds: u64,
    /// Where all that is random comes from; a new one each time when it is left out
    #[arg(long)]
    seed: Option<u64>,
    /// How many clients place orders at the same time
    #[arg(long, default_value_t = 6, value_parser = clap::value_parser!(u64).range(1..=64))]
    clients: u64,
    /// Do no harm: replace every process by another and restart RabbitMQ, without a client noticing it
    #[arg(long, conflicts_with = "seconds")]
    rolling: bool,
    /// Keep the logs of a run in which every promise held, too
    #[arg(long)]
    keep_logs: bool,
}

/// All that runs.
struct Stage<'a> {
    state: &'a State,
    progress: &'a Progress,
    backends: Backends,
    fleet: Fleet,
    subscriber: Subscriber,
    /// Before the gateways, where there are several.
    nginx: Option<Nginx>,
}

impl Run {
    /// Runs from its beginning to its end.
    ///
    /// # Errors
    /// When a promise was broken, or the run could not be done.
    pub(crate) async fn run(self, stopped: impl Future<Output = ()>) -> Result<()> {
        let seed = self.seed.unwrap_or_else(|| rand::random::<u32>().into());
        let (progress, cache) = (Progress::on_stderr(), Environment::of_this_process().cache_folder()?);
        progress.note(&format!("The seed is {seed}"));
        let state = State::throw_away(&cache.join("runs"), &progress).await?;
        // Dropped half-way, it asks what it started to end; what then still runs, ends with the folder.
        let (outcome, ended) = tokio::select! {
            outcome = Box::pin(self.on(seed, &state, &progress)) => (outcome, true),
            () = stopped => (Err(anyhow!("stopped by a signal")), false),
        };
        let kept = if self.keep_logs || (ended && outcome.is_err()) {
            keep_logs(&state, &cache.join(format!("faults-{seed}")))?
        } else {
            None
        };
        state.discard(&progress).await?;
        if let Some(kept) = kept {
            progress.note(&format!("The logs are in {}", kept.display()));
        }
        progress.note(&format!("The seed was {seed}"));
        outcome
    }

    async fn on(&self, seed: u64, state: &State, progress: &Progress) -> Result<()> {
        let begun = Instant::now();
        let plan = if self.rolling { Plan::Rolling } else { Plan::Faults };
        let mut stage = Stage::start(plan, state, progress).await?;
        let told = Arc::<Told>::default();
        let done = self.let_loose(seed, &mut stage, &told).await?;
        let outcome = stage.check(plan, &told, &done, begun).await;
        let step = progress.step("Stopping the services and the gateway");
        stage.fleet.stop(state).await?;
        if let Some(nginx) = stage.nginx {
            nginx.stop(state).await?;
        }
        step.done("");
        drop(stage.subscriber);
        stage.backends.stop(state, progress).await?;
        outcome
    }

    /// Clients and faults at the same time; afterwards the clients finish what they began.
    async fn let_loose(&self, seed: u64, stage: &mut Stage<'_>, told: &Arc<Told>) -> Result<Done> {
        let (closing, address) = (Stop::new(), stage.address()?);
        let shop = Shop {
            address,
            told: told.clone(),
            closing: closing.clone(),
            provider_answers: self.rolling,
            seed,
        };
        let mut clients = JoinSet::new();
        for number in 0..self.clients {
            clients.spawn(Client::new(number, shop.clone()).run());
        }
        let time = Duration::from_secs(self.seconds);
        let (state, progress) = (stage.state, stage.progress);
        let (backends, fleet) = (&mut stage.backends, &mut stage.fleet);
        let work = if self.rolling {
            rolling::roll(fleet, backends, (state, progress)).boxed()
        } else {
            let faults = Faults::new(seed, (state, progress), backends, fleet, &stage.subscriber);
            faults.strike(time).boxed()
        };
        let at_most = AT_LEAST.max(time * MOST);
        let done = tokio::select! {
            done = timeout(at_most, work) => {
                done.with_context(|| format!("it is not through after {} s", at_most.as_secs()))??
            }
            () = tell(told, progress) => bail!("nothing ends the telling"),
        };
        let step = progress.step("Letting the clients finish what they began");
        closing.cancel();
        let finished = timeout(LAST_ORDERS, async { while clients.join_next().await.is_some() {} });
        if finished.await.is_err() {
            told.wrong(format!("{} clients are not served to the end", clients.len()));
        }
        step.done("");
        Ok(done)
    }
}

/// Tells how far the clients are, for ever.
async fn tell(told: &Told, progress: &Progress) {
    let mut often = interval(TELL);
    often.tick().await;
    loop {
        often.tick().await;
        let line = {
            let told = told.lock();
            let repeats: u64 = told.repeats.values().sum();
            format!("{} orders, {} answers, {repeats} requests sent again", told.orders.len(), told.answers)
        };
        progress.note(&line);
    }
}

impl<'a> Stage<'a> {
    async fn start(plan: Plan, state: &'a State, progress: &'a Progress) -> Result<Self> {
        let backends = Backends::start(state, progress).await?;
        let step = progress.step("Starting the services and the gateway, a process each");
        let folder = state.private_folder("logs", None)?;
        let (size, of_gateways) = match plan {
            Plan::Faults => (faults::SIZE, &[][..]),
            Plan::Rolling => (rolling::SIZE, &rolling::GATEWAYS[..]),
        };
        let fleet = Fleet::start(&backends, size, of_gateways, &folder, state).await?;
        let nginx = match plan {
            Plan::Faults => None,
            Plan::Rolling => Some(rolling::stand_before(&fleet, state, progress).await?),
        };
        step.done("ready");
        let subscriber = Subscriber::start(backends.amqp("subscriber")?).await?;
        Ok(Self { state, progress, backends, fleet, subscriber, nginx })
    }

    /// Where clients find the graph: host and port.
    fn address(&self) -> Result<String> {
        match &self.nginx {
            Some(nginx) => Ok(nginx.url().trim_start_matches("http://").to_owned()),
            None => self.fleet.gateways().into_iter().next().context("there is no gateway"),
        }
    }

    /// Waits until it is quiet, checks everything and prints what it came to.
    async fn check(&self, plan: Plan, told: &Told, done: &Done, begun: Instant) -> Result<()> {
        let step = self.progress.step("Waiting until all is quiet");
        let restless = quiet::wait(&self.backends, self.progress).await?;
        step.done(if restless.is_none() { "quiet" } else { "it is not" });
        if let Some(left) = restless {
            told.wrong(left);
        }
        let (ledger, dead) =
            (Ledger::read(&self.backends).await?, quiet::dead_letters(&self.backends).await?);
        let (told, arrivals) = (told.lock(), self.subscriber.arrivals());
        let facts = Facts { ledger: &ledger, told: &told, arrivals: &arrivals, done, dead: &dead };
        let verdicts = checks::all(&facts, plan);
        report::print(&facts, &verdicts, begun.elapsed().as_secs())?;
        let broken = verdicts.iter().filter(|verdict| !verdict.broken.is_empty()).count();
        report::write(&facts, &verdicts, &self.state.logs())?;
        ensure!(broken == 0, "{broken} of {} promises are broken", verdicts.len());
        Ok(())
    }
}

/// Moves the logs to where they stay; `None` when there are none yet.
fn keep_logs(state: &State, folder: &Path) -> Result<Option<PathBuf>> {
    if !state.logs().is_dir() {
        return Ok(None);
    }
    if folder.is_dir() {
        fs::remove_dir_all(folder)?;
    }
    fs::rename(state.logs(), folder)
        .with_context(|| format!("cannot move the logs to {}", folder.display()))?;
    Ok(Some(folder.to_owned()))
}
