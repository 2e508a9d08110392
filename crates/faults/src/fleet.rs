//! The processes of the system: one of the user service, two of order and of payment, and the gateway. Each replica has
//! ports of its own; whoever calls a service goes through a proxy that reaches one of those that run.

use std::{
    net::{Ipv4Addr, SocketAddr},
    path::Path,
};

use anyhow::{Context, Result};
use futures::future::try_join_all;
use portico::{ports, state::State};

use crate::{
    backends::Backends,
    process::{Process, Spec},
    proxy::Proxy,
};

/// The services, and how many replicas each has.
const SERVICES: [(&str, usize); 3] = [("user", 1), ("order", 2), ("payment", 2)];
/// The name of the gateway's only process.
pub(crate) const GATEWAY: &str = "gateway";

/// What all processes are told beside where they listen. The recoverer of payments is quicker than in production, or
/// each kill during a charge would cost half a minute.
const SETTINGS: [(&str, &str); 6] = [
    ("PORTICO_ENV", "production"),
    ("USER_REGISTRATIONS_PER_MINUTE", "1000000"),
    ("PAYMENT_PROVIDER_TIMEOUT", "2"),
    ("PAYMENT_RECOVER_AFTER", "4"),
    ("LOG_FORMAT", "human"),
    ("NO_COLOR", "1"),
];

/// The processes.
pub(crate) struct Fleet {
    processes: Vec<Process>,
    /// Where the graph is: host and port.
    pub(crate) graph: String,
    /// The ways to the services.
    _doors: Vec<Proxy>,
}

impl Fleet {
    /// Starts all of them and waits until they are ready.
    ///
    /// # Errors
    /// When one does not start, with the end of its log.
    pub(crate) async fn start(backends: &Backends, folder: &Path, state: &State) -> Result<Self> {
        let settings = backends.urls().services().into_iter().chain(SETTINGS);
        let mut common: Vec<_> = settings.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        common.push(("USER_SECRET_KEY".to_owned(), format!("{}=", "A".repeat(43))));
        let log = std::env::var("RUST_LOG").unwrap_or_else(|_| "info".to_owned());
        common.push(("RUST_LOG".to_owned(), log));
        let (mut specs, mut doors) = (Vec::new(), Vec::new());
        for (service, replicas) in SERVICES {
            let mut targets = Vec::new();
            for replica in 1..=replicas {
                let name = if replicas > 1 { format!("{service}-{replica}") } else { service.to_owned() };
                let (spec, address) = spec(name, service, &backends.amqp_through_proxy(service)?)?;
                specs.push(spec);
                targets.push(address);
            }
            let door = Proxy::before(targets).await?;
            common.push((variable(service, "GRPC_URL"), format!("http://{}", door.address())));
            doors.push(door);
        }
        let (spec, graph) = spec(GATEWAY.to_owned(), GATEWAY, &backends.amqp_through_proxy(GATEWAY)?)?;
        specs.push(spec);
        let processes = specs.into_iter().map(|mut spec| {
            spec.environment.extend(common.iter().cloned());
            Process::new(spec, folder)
        });
        let mut fleet = Self { processes: processes.collect(), graph: graph.to_string(), _doors: doors };
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
}

/// What is special to one process, and where it listens.
fn spec(name: String, program: &'static str, amqp: &str) -> Result<(Spec, SocketAddr)> {
    let [address, admin] = free_addresses()?;
    let environment = vec![
        (variable(program, "LISTEN"), address.to_string()),
        (variable(program, "ADMIN_LISTEN"), admin.to_string()),
        ("AMQP_URL".to_owned(), amqp.to_owned()),
    ];
    Ok((Spec { name, program, environment, admin: admin.to_string() }, address))
}

/// Two that nobody listens on, and that nobody takes while a process that was killed is down.
fn free_addresses() -> Result<[SocketAddr; 2]> {
    Ok(ports::free()?.map(|port| (Ipv4Addr::LOCALHOST, port).into()))
}

fn variable(name: &str, what: &str) -> String {
    format!("{}_{what}", name.to_uppercase())
}
