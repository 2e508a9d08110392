//! What is started for a measurement: the services on Postgres or from memory, and the three ways to them: the gateway
//! and the handler in processes of their own, and the gateway with the services in one process.

use std::path::Path;

use anyhow::Result;

use crate::{
    memory::Key,
    processes::{Process, Spec, free_port},
};

/// Where the services keep their data.
pub(crate) enum Backing {
    /// In the databases that the environment names; the secret is the user service's.
    Postgres {
        /// `USER_SECRET_KEY`.
        secret: String,
    },
    /// In memory; the key is the one whose tokens are accepted.
    Memory(Key),
}

/// The processes that run.
pub(crate) struct System {
    /// The gateway and the three services.
    pub(crate) separate: Vec<Process>,
    /// The handler and the one process with all in it; started when they are measured.
    beside: Vec<Process>,
    /// The graph at the gateway.
    pub(crate) gateway: String,
    urls: Vec<(&'static str, String)>,
    backing: Backing,
}

/// A way to the same answers.
pub(crate) struct Way {
    /// Its name in tables and plots.
    pub(crate) name: &'static str,
    /// Where it answers.
    pub(crate) url: String,
}

/// The gateway's process and those of the services.
pub(crate) const SEPARATE: &str = "gateway";
/// The handler, before the same services.
pub(crate) const HANDLER: &str = "handler";
/// All in one process.
pub(crate) const EMBEDDED: &str = "embedded";

impl System {
    /// Starts the services and the gateway, with their logs in `folder`.
    ///
    /// # Errors
    /// When one of them does not start.
    pub(crate) async fn start(backing: Backing, folder: &Path) -> Result<Self> {
        let mut urls = Vec::new();
        let mut separate = Vec::new();
        for service in ["user", "order", "payment"] {
            let (port, admin) = (free_port()?, free_port()?);
            urls.push((grpc_variable(service), format!("http://127.0.0.1:{port}")));
            let spec = service_spec(service, &backing, port, admin, &urls);
            separate.push(Process::start(spec, folder).await?);
        }
        let (port, admin) = (free_port()?, free_port()?);
        let mut environment = urls.clone();
        environment.extend(gateway_settings(port, admin));
        let spec = Spec {
            name: SEPARATE,
            program: "gateway",
            arguments: vec![],
            environment,
            ready: ready_at(admin),
        };
        separate.insert(0, Process::start(spec, folder).await?);
        Ok(Self {
            separate,
            beside: vec![],
            gateway: format!("http://127.0.0.1:{port}/graphql"),
            urls,
            backing,
        })
    }

    /// Starts what the gateway is measured beside, and gives all three ways.
    ///
    /// # Errors
    /// When one of them does not start.
    pub(crate) async fn start_beside(&mut self, folder: &Path) -> Result<Vec<Way>> {
        let port = free_port()?;
        let handler = Spec {
            name: HANDLER,
            program: "bench",
            arguments: vec!["handler".into(), "--listen".into(), format!("127.0.0.1:{port}")],
            environment: self.urls.clone(),
            ready: ready_at(port),
        };
        self.beside.push(Process::start(handler, folder).await?);
        let (embedded, admin) = (free_port()?, free_port()?);
        self.beside.push(Process::start(self.embedded_spec(embedded, admin, folder), folder).await?);
        Ok(vec![
            Way { name: SEPARATE, url: self.gateway.clone() },
            Way { name: HANDLER, url: format!("http://127.0.0.1:{port}/graphql") },
            Way { name: EMBEDDED, url: format!("http://127.0.0.1:{embedded}/graphql") },
        ])
    }

    fn embedded_spec(&self, port: u16, admin: u16, folder: &Path) -> Spec {
        let mut environment = gateway_settings(port, admin).to_vec();
        let (program, arguments) = match &self.backing {
            Backing::Postgres { secret } => {
                environment.push(("USER_SECRET_KEY", secret.clone()));
                environment.push(("PORTICO_STATE_DIR", folder.join("state").display().to_string()));
                ("portico", vec!["up".into(), "--embedded".into()])
            }
            Backing::Memory(key) => {
                let mut arguments = vec!["embedded".to_owned()];
                arguments.extend(key.arguments());
                ("bench", arguments)
            }
        };
        Spec {
            name: EMBEDDED,
            program,
            arguments,
            environment,
            ready: format!("http://127.0.0.1:{port}/health"),
        }
    }

    /// Stops what the gateway was measured beside.
    ///
    /// # Errors
    /// When one of them had ended, or does not stop.
    pub(crate) async fn stop_beside(&mut self) -> Result<()> {
        for process in self.beside.drain(..) {
            process.stop().await?;
        }
        Ok(())
    }

    /// Stops all.
    ///
    /// # Errors
    /// As [`System::stop_beside`].
    pub(crate) async fn stop(mut self) -> Result<()> {
        self.stop_beside().await?;
        for process in self.separate {
            process.stop().await?;
        }
        Ok(())
    }
}

fn service_spec(
    name: &'static str,
    backing: &Backing,
    port: u16,
    admin: u16,
    urls: &[(&'static str, String)],
) -> Spec {
    let (listen, admin_listen) = (format!("127.0.0.1:{port}"), format!("127.0.0.1:{admin}"));
    let mut environment = urls.to_vec();
    let (program, arguments) = match backing {
        Backing::Postgres { secret } => {
            let (listen_variable, admin_variable) = listen_variables(name);
            environment.push((listen_variable, listen));
            environment.push((admin_variable, admin_listen));
            environment.push(("USER_SECRET_KEY", secret.clone()));
            (name, vec![])
        }
        Backing::Memory(key) => {
            let mut arguments: Vec<String> =
                ["memory", "--service", name, "--listen", &listen, "--admin-listen", &admin_listen]
                    .map(Into::into)
                    .into();
            arguments.extend(key.arguments());
            ("bench", arguments)
        }
    };
    Spec { name, program, arguments, environment, ready: ready_at(admin) }
}

fn gateway_settings(port: u16, admin: u16) -> [(&'static str, String); 2] {
    [("GATEWAY_LISTEN", format!("127.0.0.1:{port}")), ("GATEWAY_ADMIN_LISTEN", format!("127.0.0.1:{admin}"))]
}

fn ready_at(port: u16) -> String {
    format!("http://127.0.0.1:{port}/ready")
}

fn grpc_variable(service: &str) -> &'static str {
    match service {
        "user" => "USER_GRPC_URL",
        "order" => "ORDER_GRPC_URL",
        _ => "PAYMENT_GRPC_URL",
    }
}

fn listen_variables(service: &str) -> (&'static str, &'static str) {
    match service {
        "user" => ("USER_LISTEN", "USER_ADMIN_LISTEN"),
        "order" => ("ORDER_LISTEN", "ORDER_ADMIN_LISTEN"),
        _ => ("PAYMENT_LISTEN", "PAYMENT_ADMIN_LISTEN"),
    }
}
