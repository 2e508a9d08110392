//! The system with a process for each of its parts, on Postgres or with services that answer from memory; the handler
//! before the same services; and the gateway with the services from memory in one process.

use std::path::Path;

use anyhow::{Context, Result};
use portico::settings::Settings;

use crate::{
    memory::Key,
    processes::{Process, Spec, free_port},
};

/// Where the services have their data.
pub(crate) enum Backing {
    /// In Postgres; these are the variables that say where, and where RabbitMQ is, if there is one.
    Postgres(Vec<(String, String)>),
    /// In memory; the key is the one whose tokens are accepted.
    Memory(Key),
}

/// The gateway and the services.
pub(crate) struct System {
    /// The gateway first.
    pub(crate) processes: Vec<Process>,
    /// Where the graph is.
    pub(crate) graph: String,
    /// Where the services are.
    urls: Vec<(String, String)>,
}

/// A way to the answers.
pub(crate) struct Way {
    /// Its name in tables and plots.
    pub(crate) name: &'static str,
    /// Where it answers.
    pub(crate) url: String,
}

/// Where no RabbitMQ is: without it, a process would look for one in the usual place, which may be anyone's.
const NOBODY: &str = "amqp://127.0.0.1:1/%2f";

/// The gateway before services in processes of their own.
pub(crate) const GATEWAY: &str = "gateway";
/// The handler before the same.
pub(crate) const HANDLER: &str = "handler";
/// All in one process.
pub(crate) const EMBEDDED: &str = "embedded";

impl System {
    /// Starts it, with the logs in `folder`.
    ///
    /// # Errors
    /// When a part does not start.
    pub(crate) async fn start(backing: &Backing, folder: &Path) -> Result<Self> {
        Self::start_with(backing, vec![], folder).await
    }

    /// The same, with these settings of the gateway.
    ///
    /// # Errors
    /// When a part does not start.
    pub(crate) async fn start_with(
        backing: &Backing,
        of_gateway: Vec<(String, String)>,
        folder: &Path,
    ) -> Result<Self> {
        let (mut urls, mut processes) = (Vec::new(), Vec::new());
        for service in ["user", "order", "payment"] {
            let (port, admin) = (free_port()?, free_port()?);
            urls.push((variable(service, "GRPC_URL"), format!("http://127.0.0.1:{port}")));
            let spec = service_spec(service, backing, port, admin, &urls);
            processes.push(Process::start_and_wait(spec, folder, &ready_at(admin), port).await?);
        }
        let mut environment = urls.clone();
        environment.push(amqp_url(backing, GATEWAY));
        environment.extend(of_gateway);
        let (gateway, way) = start_gateway(GATEWAY, environment, folder).await?;
        processes.insert(0, gateway);
        Ok(Self { processes, graph: way.url, urls })
    }

    /// Starts another gateway before the services of this system, with these settings.
    ///
    /// # Errors
    /// When it does not start.
    pub(crate) async fn start_gateway(
        &self,
        name: &'static str,
        settings: Vec<(String, String)>,
        folder: &Path,
    ) -> Result<(Process, Way)> {
        let nobody = ("AMQP_URL".to_owned(), NOBODY.to_owned());
        let environment = self.urls.iter().cloned().chain([nobody]).chain(settings).collect();
        start_gateway(name, environment, folder).await
    }

    /// Starts the handler before the services of this system.
    ///
    /// # Errors
    /// When it does not start.
    pub(crate) async fn start_handler(&self, folder: &Path) -> Result<(Process, Way)> {
        let port = free_port()?;
        let spec = Spec {
            name: HANDLER,
            program: "bench",
            arguments: vec!["handler".into(), "--listen".into(), format!("127.0.0.1:{port}")],
            environment: self.urls.clone(),
        };
        let process = Process::start_and_wait(spec, folder, &ready_at(port), port).await?;
        Ok((process, Way { name: HANDLER, url: format!("http://127.0.0.1:{port}/graphql") }))
    }

    /// Stops all parts.
    ///
    /// # Errors
    /// When one had ended before, or does not stop.
    pub(crate) async fn stop(self) -> Result<()> {
        for process in self.processes {
            process.stop().await?;
        }
        Ok(())
    }
}

/// Starts the gateway and the services from memory in one process.
///
/// # Errors
/// When it does not start.
pub(crate) async fn start_embedded_in_memory(key: &Key, folder: &Path) -> Result<(Process, Way)> {
    let (port, admin) = (free_port()?, free_port()?);
    let mut arguments = vec!["embedded".to_owned()];
    arguments.extend(key.arguments());
    let environment = listen_variables(GATEWAY, port, admin).into();
    let spec = Spec { name: EMBEDDED, program: "bench", arguments, environment };
    let process = Process::start_and_wait(spec, folder, &ready_at(admin), port).await?;
    Ok((process, Way { name: EMBEDDED, url: format!("http://127.0.0.1:{port}/graphql") }))
}

async fn start_gateway(
    name: &'static str,
    mut environment: Vec<(String, String)>,
    folder: &Path,
) -> Result<(Process, Way)> {
    let (port, admin) = (free_port()?, free_port()?);
    environment.extend(listen_variables(GATEWAY, port, admin));
    let spec = Spec { name, program: "gateway", arguments: vec![], environment };
    let process = Process::start_and_wait(spec, folder, &ready_at(admin), port).await?;
    Ok((process, Way { name, url: format!("http://127.0.0.1:{port}/graphql") }))
}

/// Starts the order service on Postgres for tokens of `key`, beside a user service from memory. It finds no RabbitMQ: its
/// events stay where they are. Answers where it is.
///
/// # Errors
/// When one of the two does not start.
pub(crate) async fn start_order_service(
    variables: &[(String, String)],
    key: &Key,
    folder: &Path,
) -> Result<(Vec<Process>, String)> {
    let backings = [("user", Backing::Memory(key.clone())), ("order", Backing::Postgres(variables.to_vec()))];
    let (mut processes, mut urls) = (Vec::new(), Vec::new());
    for (service, backing) in &backings {
        let (port, admin) = (free_port()?, free_port()?);
        urls.push((variable(service, "GRPC_URL"), format!("http://127.0.0.1:{port}")));
        let mut spec = service_spec(service, backing, port, admin, &urls);
        spec.environment.push(("AMQP_URL".to_owned(), NOBODY.to_owned()));
        processes.push(Process::start_and_wait(spec, folder, &ready_at(admin), port).await?);
    }
    let (_, url) = urls.pop().context("the order service is not the last")?;
    Ok((processes, url))
}

fn service_spec(
    name: &'static str,
    backing: &Backing,
    port: u16,
    admin: u16,
    urls: &[(String, String)],
) -> Spec {
    let mut environment = urls.to_vec();
    let (program, arguments) = match backing {
        Backing::Postgres(variables) => {
            environment.extend(Settings::of_running(variables.clone()).of_service(name));
            environment.push(amqp_url(backing, name));
            environment.extend(listen_variables(name, port, admin));
            (name, vec![])
        }
        Backing::Memory(key) => {
            let (listen, admin_listen) = (format!("127.0.0.1:{port}"), format!("127.0.0.1:{admin}"));
            let arguments =
                ["memory", "--service", name, "--listen", &listen, "--admin-listen", &admin_listen];
            ("bench", arguments.map(str::to_owned).into_iter().chain(key.arguments()).collect())
        }
    };
    Spec { name, program, arguments, environment }
}

/// Where a process finds RabbitMQ.
fn amqp_url(backing: &Backing, account: &str) -> (String, String) {
    let url = match backing {
        Backing::Postgres(variables) => {
            Settings::of_running(variables.clone()).amqp_url(account).map(str::to_owned)
        }
        Backing::Memory(_) => None,
    };
    ("AMQP_URL".to_owned(), url.unwrap_or_else(|| NOBODY.to_owned()))
}

fn listen_variables(name: &str, port: u16, admin: u16) -> [(String, String); 2] {
    [
        (variable(name, "LISTEN"), format!("127.0.0.1:{port}")),
        (variable(name, "ADMIN_LISTEN"), format!("127.0.0.1:{admin}")),
    ]
}

fn variable(name: &str, what: &str) -> String {
    format!("{}_{what}", name.to_uppercase())
}

fn ready_at(port: u16) -> String {
    format!("http://127.0.0.1:{port}/ready")
}
