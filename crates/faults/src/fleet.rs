//! The processes of the system: replicas of each service, and the gateways. Each has an address of its own on this machine;
//! whoever calls a service knows the addresses of all its replicas.

use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use futures::future::try_join_all;
use portico::{ports, progress::Progress, state::State};

use crate::{
    backends::Backends,
    process::{Place, Process, Spec},
};

/// The name of the gateway's program.
pub(crate) const GATEWAY: &str = "gateway";
/// The names of the services' programs.
pub(crate) const SERVICES: [&str; 3] = ["user", "order", "payment"];

/// What all processes are told beside where they listen. The recoverer of payments is quicker than in production, or
/// each kill during a charge would cost half a minute; and gateways look
/// sooner whether a service is back.
const SETTINGS: [(&str, &str); 7] = [
    ("PORTICO_ENV", "production"),
    ("USER_REGISTRATIONS_PER_MINUTE", "1000000"),
    ("PAYMENT_PROVIDER_TIMEOUT", "2"),
    ("PAYMENT_RECOVER_AFTER", "4"),
    ("CIRCUIT_BREAKER_TIMEOUT", "1"),
    ("LOG_FORMAT", "human"),
    ("NO_COLOR", "1"),
];

/// How many processes there are.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Size {
    /// Of the user service.
    pub(crate) user: u8,
    /// Of order and of payment, each.
    pub(crate) others: u8,
    /// Gateways.
    pub(crate) gateways: u8,
}

impl Size {
    /// How many that are all in all.
    pub(crate) fn total(self) -> usize {
        SERVICES.iter().chain([&GATEWAY]).map(|program| usize::from(self.of(program))).sum()
    }

    fn of(self, program: &str) -> u8 {
        match program {
            "user" => self.user,
            GATEWAY => self.gateways,
            _ => self.others,
        }
    }
}

/// The processes.
pub(crate) struct Fleet {
    processes: Vec<Process>,
    /// For each program, where another one may listen.
    spares: BTreeMap<&'static str, Place>,
    folder: PathBuf,
}

impl Fleet {
    /// Starts all of them, the gateways with `settings` beside the usual ones, and waits until they are ready.
    ///
    /// # Errors
    /// When one does not start, with the end of its log.
    pub(crate) async fn start(
        backends: &Backends,
        size: Size,
        settings: &[(&str, &str)],
        folder: &Path,
        state: &State,
    ) -> Result<Self> {
        let mut common = common_settings(backends);
        let (mut specs, mut spares) = (Vec::new(), BTreeMap::new());
        for program in SERVICES.into_iter().chain([GATEWAY]) {
            let replicas = size.of(program);
            let mut places = places(replicas + 1)?;
            let urls: Vec<_> = places.iter().map(|place| format!("http://{}", place.address)).collect();
            common.push((format!("{}_GRPC_URL", program.to_uppercase()), urls.join(",")));
            spares.extend(places.pop().map(|spare| (program, spare)));
            let amqp = backends.amqp_through_proxy(program)?;
            for (place, replica) in places.into_iter().zip(1..) {
                let name = if replicas > 1 { format!("{program}-{replica}") } else { program.to_owned() };
                let mut environment = vec![("AMQP_URL".to_owned(), amqp.clone())];
                let of_gateways = settings.iter().filter(|_| program == GATEWAY);
                environment
                    .extend(of_gateways.map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
                specs.push(Spec { name, program, environment, place });
            }
        }
        let processes = specs.into_iter().map(|mut spec| {
            spec.environment.extend(common.iter().cloned());
            Process::new(spec, folder)
        });
        let mut fleet = Self { processes: processes.collect(), spares, folder: folder.to_owned() };
        fleet.start_all(state).await?;
        Ok(fleet)
    }

    async fn start_all(&mut self, state: &State) -> Result<()> {
        for process in &mut self.processes {
            process.start(state).await?;
        }
        try_join_all(self.processes.iter_mut().map(Process::until_ready)).await?;
        Ok(())
    }

    /// The names of all processes.
    pub(crate) fn names(&self) -> Vec<&str> {
        self.processes.iter().map(Process::name).collect()
    }

    /// The process of a name.
    ///
    /// # Errors
    /// When there is none.
    pub(crate) fn get(&mut self, name: &str) -> Result<&mut Process> {
        let found = self.processes.iter_mut().find(|process| process.name() == name);
        found.with_context(|| format!("there is no process {name}"))
    }

    /// The replica whose process id is `pid`.
    pub(crate) fn of_id(&self, pid: u32) -> Option<&str> {
        self.processes.iter().find(|process| process.id() == Some(pid)).map(Process::name)
    }

    /// The ids of the processes that run.
    pub(crate) fn ids(&self) -> Vec<u32> {
        self.processes.iter().filter_map(Process::id).collect()
    }

    /// Sees that all run, and waits until all are ready.
    ///
    /// # Errors
    /// When one has ended by itself or does not become ready.
    pub(crate) async fn until_ready(&mut self) -> Result<()> {
        try_join_all(self.processes.iter_mut().map(Process::until_ready)).await?;
        Ok(())
    }

    /// Asks all to stop, and waits for each whatever the others do.
    ///
    /// # Errors
    /// The first that had ended by itself or does not stop in time.
    pub(crate) async fn stop(&mut self, state: &State) -> Result<()> {
        let stopped = self.processes.iter_mut().map(|process| process.stop(state));
        futures::future::join_all(stopped).await.into_iter().collect()
    }

    /// Where gateways listen, and where another one may: host and port.
    pub(crate) fn gateways(&self) -> Vec<String> {
        let running =
            self.processes.iter().filter(|process| process.program() == GATEWAY).map(Process::place);
        running.chain(self.spares.get(GATEWAY).copied()).map(|place| place.address.to_string()).collect()
    }

    /// Replaces all processes of each of these programs, one after another, by others at other addresses: who is new is
    /// ready before who is old is asked to stop. The programs do so at the same time. Gives the names of those that are
    /// gone.
    ///
    /// # Errors
    /// When one does not start or stop in good order.
    pub(crate) async fn replace_all(
        &mut self,
        programs: &[&str],
        state: &State,
        progress: &Progress,
    ) -> Result<Vec<String>> {
        let (folder, spares) = (&self.folder, &self.spares);
        let groups = self.processes.chunk_by_mut(|one, other| one.program() == other.program());
        let groups = groups.filter(|group| programs.contains(&group[0].program()));
        let replaced = try_join_all(groups.map(async |group| {
            let mut gone = Vec::new();
            let mut free = group.first().and_then(|one| spares.get(one.program()).copied());
            for process in group {
                let place = free.replace(process.place()).context("there is no place left")?;
                let mut new = process.successor(place, folder);
                new.start(state).await?;
                new.until_ready().await?;
                let mut old = std::mem::replace(process, new);
                old.stop(state).await?;
                progress.note(&format!("{} is replaced by {}", old.name(), process.name()));
                gone.push(old.name().to_owned());
            }
            anyhow::Ok(gone)
        }));
        Ok(replaced.await?.concat())
    }
}

/// What all processes are told.
fn common_settings(backends: &Backends) -> Vec<(String, String)> {
    let settings = backends.urls().services().into_iter().chain(SETTINGS);
    let mut common: Vec<_> = settings.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    common.push(("USER_SECRET_KEY".to_owned(), format!("{}=", "A".repeat(43))));
    let log = std::env::var("RUST_LOG").unwrap_or_else(|_| "info".to_owned());
    common.push(("RUST_LOG".to_owned(), log));
    common
}

/// The same two ports at `count` addresses of this machine: 127.0.0.1 and those after it. Nobody takes them while a process
/// that was killed is down.
fn places(count: u8) -> Result<Vec<Place>> {
    let [port, admin] = ports::free()?;
    let at = |host: u8, port| SocketAddr::new(IpAddr::V4(Ipv4Addr::new(127, 0, 0, host)), port);
    Ok((1..=count).map(|host| Place { address: at(host, port), admin: at(host, admin) }).collect())
}
