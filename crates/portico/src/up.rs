//! `portico up`: brings the system up, says where it is, and takes it down again.

use std::fs::OpenOptions;
use std::io::{Write, stdout};
use std::net::SocketAddr;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, anyhow, bail};
use clap::Args;
use comfy_table::Table;
use comfy_table::presets::NOTHING;
use messaging::topology;
use runtime::Stop;
use runtime::lifecycle::DRAIN_DEADLINE;
use runtime::telemetry::{self, LogConfig};
use runtime::trace;
use tokio::task::JoinHandle;

use crate::backend::nginx::{Nginx, Source};
use crate::backend::{Backends, Events, Mode};
use crate::environment::Environment;
use crate::observability::{Observability, Programs, Targets};
use crate::progress::Progress;
use crate::settings::Settings;
use crate::signals::{Signals, exit_code_of};
use crate::state::{Acquired, Running, State};
use crate::system::System;
use crate::{demo, migrate};

/// The arguments of `up`.
#[derive(Debug, Default, Args)]
pub struct Up {
    /// Take a Postgres of our own whatever the environment names, and run everything else in this one process: events
    /// stay inside it
    #[arg(long)]
    embedded: bool,
    /// Bring up only what the services stand on, migrated, for services that you run yourself (see `portico env`)
    #[arg(long, conflicts_with = "embedded")]
    backends: bool,
    /// nginx before the gateway with --embedded too
    #[arg(long, conflicts_with = "backends")]
    nginx: bool,
    /// Prometheus and Grafana beside the system, where they are found (Prometheus also as the distribution's package)
    #[arg(long, conflicts_with = "backends")]
    observability: bool,
}

/// What was found to stand around the system.
struct Around {
    nginx: Option<Source>,
    watchers: Option<Programs>,
}

/// The system in this process, and how to end it.
struct Live {
    stop: Stop,
    ended: JoinHandle<Result<()>>,
    nginx: Option<Nginx>,
    observability: Option<Observability>,
    url: String,
}

/// Where a system is that answers.
struct Place<'a> {
    url: &'a str,
    nginx: Option<&'a Nginx>,
    observability: Option<&'a Observability>,
    /// The admin port.
    admin: SocketAddr,
    log: &'a Path,
}

impl Up {
    /// Runs until a signal asks for the end (exit code 0) or something fails (an error with the reason). A second
    /// signal does not wait for an orderly end.
    ///
    /// # Errors
    /// When something does not start, or fails later.
    pub async fn run(&self, environment: &Environment, progress: &Progress) -> Result<ExitCode> {
        let folder = environment.state_folder()?;
        let state = match State::acquire(&folder)? {
            Acquired::Ours(state) => state,
            Acquired::Theirs(running) => return already_runs(running.as_ref()),
        };
        let mut signals = Signals::listen()?;
        state.end_leftovers(progress).await?;
        let environment = if self.embedded { &environment.without_backends() } else { environment };
        let events = if self.embedded { Events::InProcess } else { Events::RabbitMqIfThere };
        let start = async {
            let backends = Backends::start(&state, Mode::Kept, events, environment, progress);
            let (backends, around) = tokio::join!(backends, self.find_around(environment, progress));
            anyhow::Ok((backends?, around))
        };
        let (mut backends, around) = tokio::select! {
            started = Box::pin(start) => started?,
            signal = signals.next() => return Ok(ExitCode::from(exit_code_of(signal as i32))),
        };
        let outcome = self.on(&mut backends, around, &state, &mut signals, environment, progress).await;
        tokio::select! {
            stopped = backends.stop(&state, progress) => stopped?,
            signal = signals.next() => return Ok(ExitCode::from(exit_code_of(signal as i32))),
        }
        outcome.map(|()| ExitCode::SUCCESS)
    }

    /// What stands before the gateway, unless that is to stand alone.
    async fn find_nginx(&self, environment: &Environment, progress: &Progress) -> Option<Source> {
        let alone = self.backends || (self.embedded && !self.nginx);
        if alone { None } else { Source::find(environment, progress).await }
    }

    /// All that stands around the system, as far as it is wanted.
    async fn find_around(&self, environment: &Environment, progress: &Progress) -> Around {
        let watchers = async {
            match self.observability {
                true => Programs::find(environment, progress).await,
                false => None,
            }
        };
        let (nginx, watchers) = tokio::join!(self.find_nginx(environment, progress), Box::pin(watchers));
        Around { nginx, watchers }
    }

    /// Everything above the backends, from its start to its end.
    async fn on(
        &self,
        backends: &mut Backends,
        around: Around,
        state: &State,
        signals: &mut Signals,
        environment: &Environment,
        progress: &Progress,
    ) -> Result<()> {
        let mut system = tokio::select! {
            started = self.start(backends, around, state, environment, progress) => started?,
            _ = signals.next() => return Ok(()),
        };
        let failure = tokio::select! {
            reason = backends.failed() => Some(anyhow!(reason)),
            ended = ended(&mut system) => Some(ended),
            _ = signals.next() => None,
        };
        if let Some(system) = system {
            tokio::select! {
                ended = system.end(state, progress) => ended?,
                _ = signals.next() => {}
            }
        }
        failure.map_or(Ok(()), Err)
    }

    /// Migrates, starts what was asked for and says where it is.
    async fn start(
        &self,
        backends: &Backends,
        Around { nginx, watchers }: Around,
        state: &State,
        environment: &Environment,
        progress: &Progress,
    ) -> Result<Option<Live>> {
        let step = progress.step("Migrating the databases");
        migrate::up_all(backends.urls()).await?;
        step.done("ready");
        if let Some(logins) = backends.logins() {
            // Before anyone listens: see `messaging::topology::QUEUES`.
            topology::declare_all(&environment.broker_at(&logins.all)?)
                .await
                .context("the queues can't be declared")?;
        }
        let mut settings = Settings::gather(backends, state, environment).await?;
        if nginx.as_ref().is_some_and(Source::is_ours) {
            settings = settings.behind_nginx(environment);
        }
        if self.backends {
            state.announce(None, None, settings.variables())?;
            print_table(None, backends, state, &settings)?;
            return Ok(None);
        }
        let log = start_logs(state, &settings.of::<gateway::Config>()?.logs)?;
        let step = progress.step("Starting the services and the gateway");
        let system = System::build(&settings).await?;
        let (gateway, admin) = (system.address()?.to_string(), system.admin_address()?);
        let stop = Stop::new();
        let started = system.start(&stop).await?;
        step.done("ready");
        let nginx = match nginx {
            Some(nginx) => Some(nginx.start(&gateway, state, environment, progress).await?),
            None => None,
        };
        let targets = Targets { system: admin.to_string(), rabbitmq: backends.rabbitmq_metrics() };
        let observability = match watchers {
            Some(programs) => Some(programs.start(&targets, state, environment, progress).await?),
            None => None,
        };
        let url = nginx.as_ref().map_or_else(|| format!("http://{gateway}"), Nginx::url);
        state.announce(Some(&url), Some(&format!("http://{admin}")), settings.variables())?;
        let observing = observability.as_ref();
        let place = Place { url: &url, nginx: nginx.as_ref(), observability: observing, admin, log: &log };
        print_table(Some(&place), backends, state, &settings)?;
        let for_task = stop.clone();
        let ended = tokio::spawn(async move { started.ended(&for_task).await });
        Ok(Some(Live { stop, ended, nginx, observability, url }))
    }
}

impl Live {
    /// Lets what is under way end, within the deadline that each process of Portico has. nginx takes nothing new from the
    /// same moment on; streams through it end because those of the gateway do.
    async fn end(self, state: &State, progress: &Progress) -> Result<()> {
        let step = progress.step(&format!("Letting requests to {} end", self.url));
        self.stop.cancel();
        let nginx = async {
            match self.nginx {
                Some(nginx) => nginx.stop(state).await,
                None => Ok(()),
            }
        };
        let system = async {
            if !self.ended.is_finished() {
                let _ = self.ended.await;
            }
        };
        let (ended, stopped) = tokio::join!(tokio::time::timeout(DRAIN_DEADLINE, system), nginx);
        if ended.is_ok() {
            step.done("ended");
        }
        if let Some(observability) = self.observability {
            observability.stop(state).await?;
        }
        stopped
    }
}

/// Why the system, or nginx before it, ended by itself; never, where there is none.
async fn ended(system: &mut Option<Live>) -> anyhow::Error {
    let Some(Live { ended, nginx, .. }) = system else { return std::future::pending().await };
    let nginx = async {
        match nginx {
            Some(nginx) => nginx.failed().await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        reason = nginx => anyhow!(reason),
        ended = ended => match ended {
            Ok(Err(error)) => error,
            Ok(Ok(())) => anyhow!("the services ended without a reason"),
            Err(panic) => anyhow!("the services broke down: {panic}"),
        },
    }
}

/// Logs of the services and the gateway go to a file: the terminal is for people.
fn start_logs(state: &State, config: &LogConfig) -> Result<PathBuf> {
    let folder = state.logs();
    std::fs::create_dir_all(&folder)?;
    let path = folder.join("portico.log");
    let file = OpenOptions::new().create(true).append(true).mode(0o600).open(&path);
    let file = file.with_context(|| format!("cannot write {}", path.display()))?;
    telemetry::start_logs_in(config, file);
    // Before anything makes its handles.
    telemetry::metrics();
    trace::start(&config.traces);
    tokio::spawn(telemetry::keep_metrics_small());
    Ok(path)
}

fn print_table(
    place: Option<&Place<'_>>,
    backends: &Backends,
    state: &State,
    settings: &Settings,
) -> Result<()> {
    let mut table = Table::new();
    table.load_style(NOTHING);
    if let Some(Place { url, nginx, observability, admin, log }) = place {
        table.add_row(["IDE".to_owned(), format!("{url}/")]);
        table.add_row(["GraphQL".to_owned(), format!("{url}/graphql")]);
        for (what, how) in nginx.iter().flat_map(|nginx| nginx.rows()) {
            table.add_row([what.to_owned(), how]);
        }
        table.add_row(["Status".to_owned(), format!("http://{admin}/status")]);
        for (what, how) in observability.iter().flat_map(|observability| observability.rows()) {
            table.add_row([what.to_owned(), how]);
        }
        table.add_row(["Services".to_owned(), "in this process".to_owned()]);
        table.add_row(["  log".to_owned(), log.display().to_string()]);
    }
    for (what, how) in backends.rows() {
        table.add_row([what.to_owned(), how]);
    }
    table.add_row(["State".to_owned(), state.folder().display().to_string()]);
    if place.is_some() && settings.is_development() {
        for (who, account) in [("a customer", demo::CUSTOMER), ("an admin", demo::ADMIN)] {
            table.add_row([format!("Log in as {who}"), format!("{} / {}", account.email, account.password)]);
        }
    }
    if let Some(logins) = backends.logins()
        && let Some((_, url)) = logins.accounts.iter().find(|(account, _)| *account == "subscriber")
    {
        table.add_row(["Subscribe as", url]);
    }
    if place.is_none() {
        table.add_row(["Settings", "eval \"$(portico env order)\", and so for each service"]);
    }
    writeln!(stdout(), "\n{}\n\nCtrl-C stops all of it.", table.trim_fmt())?;
    Ok(())
}

fn already_runs(running: Option<&Running>) -> Result<ExitCode> {
    let line = match running {
        Some(Running { pid, since, url, .. }) => {
            let since = SystemTime::now().duration_since(UNIX_EPOCH + Duration::from_secs(*since));
            let place = url.as_ref().map_or_else(String::new, |url| format!(" at {url}"));
            format!(
                "Portico already runs{place} (process {pid}, for {} s); `portico down` stops it",
                since.unwrap_or_default().as_secs()
            )
        }
        None => bail!("Portico is just starting in another process"),
    };
    writeln!(stdout(), "{line}")?;
    Ok(ExitCode::SUCCESS)
}
