//! The listening half of a service: its gRPC port and its admin port.

use std::net::SocketAddr;

use tokio::{net::TcpListener, task::JoinSet};
use tokio_util::task::TaskTracker;

use super::{Guarded, TlsConfig, guard::GrpcService, incoming::Incoming};
use crate::{Port, Stop, admin, admin::Check, config::Environment, lifecycle::join_all, status::Part};

/// The two ports of a service, bound and not yet answering. Port 0 takes a free one.
pub struct Server {
    grpc: Port,
    admin: TcpListener,
    tls: TlsConfig,
}

impl Server {
    /// Takes the ports.
    ///
    /// # Errors
    /// When one is taken, naming it.
    pub async fn bind(grpc: &str, admin: &str) -> anyhow::Result<Self> {
        Self::on(Port::open(grpc).await?, admin).await
    }

    /// The same, but for gRPC, which is refused until the checks hold for the first time or something seems to be away for
    /// longer: meanwhile clients go to another process.
    ///
    /// # Errors
    /// As [`Server::bind`].
    pub async fn bind_until_ready(grpc: &str, admin: &str) -> anyhow::Result<Self> {
        Self::on(Port::closed(grpc).await?, admin).await
    }

    async fn on(grpc: Port, admin: &str) -> anyhow::Result<Self> {
        let admin = Port::open(admin).await?.listen()?;
        Ok(Self { grpc, admin, tls: TlsConfig::default() })
    }

    /// The same, with gRPC by TLS where `tls` has a certificate. The admin port stays as it is: it faces no client.
    #[must_use]
    pub fn with_tls(mut self, tls: &TlsConfig) -> Self {
        self.tls = tls.clone();
        self
    }

    /// Where gRPC is served.
    ///
    /// # Errors
    /// When the system does not say.
    pub fn grpc_address(&self) -> std::io::Result<SocketAddr> {
        self.grpc.address()
    }

    /// Where health and metrics are served.
    ///
    /// # Errors
    /// When the system does not say.
    pub fn admin_address(&self) -> std::io::Result<SocketAddr> {
        self.admin.local_addr()
    }

    /// Serves until `stop`, then tells its clients to go elsewhere (GOAWAY) and lets the calls under way end. gRPC health
    /// follows `checks`, and says no from the announcement of `stop` on; readiness also says no while calls are refused for
    /// want of room. Reflection is on outside production.
    ///
    /// # Errors
    /// When a listener fails, or the certificate doesn't do.
    pub async fn serve<S: GrpcService>(
        self,
        service: Guarded<S>,
        environment: Environment,
        mut checks: Vec<Check>,
        stop: Stop,
    ) -> anyhow::Result<()> {
        let (faults, overload) = (service.faults().clone(), service.overload());
        checks.extend(faults.check());
        let (health, health_service) = tonic_health::server::health_reporter();
        let reflection = (environment == Environment::Development)
            .then(|| {
                tonic_reflection::server::Builder::configure()
                    .register_encoded_file_descriptor_set(proto::DESCRIPTORS)
                    .build_v1()
            })
            .transpose()?;
        let router = self
            .tls
            .serve(tonic::transport::Server::builder())?
            .http2_keepalive_interval(Some(std::time::Duration::from_secs(30)))
            .add_service(health_service)
            .add_optional_service(reflection)
            .add_service(service);
        let mut tasks = JoinSet::new();
        let (port, admin) = (self.grpc, self.admin.local_addr()?);
        let (ready, grpc_stop, grpc_faults) = (checks.clone(), stop.clone(), faults.clone());
        tasks.spawn(async move {
            if let Port::Closed(_) = port {
                admin::until_ready(&ready, &grpc_stop).await;
            }
            // The end of what comes in is its signal to stop: one of its own would leave the last connections untaken.
            let no_other = std::future::pending();
            let (ends, listener) = (TaskTracker::new(), port.listen()?);
            tracing::info!(grpc = %listener.local_addr()?, %admin, "{} listens", S::NAME);
            let incoming = Incoming::new(listener, grpc_faults, ends.clone(), grpc_stop).connections();
            router.serve_with_incoming_shutdown(incoming, no_other).await?;
            ends.close();
            ends.wait().await;
            Ok(())
        });
        tasks.spawn(report_health::<S>(health, checks.clone(), stop.clone()));
        let name = S::NAME.split('.').next().unwrap_or(S::NAME);
        let (ready, admin_stop) = ([checks, vec![overload]].concat(), stop.clone());
        let parts = vec![Part { name, checks: ready.clone(), faults }];
        tasks.spawn(async move { Ok(admin::serve(self.admin, ready, parts, admin_stop).await?) });
        join_all(tasks, &stop).await
    }
}

/// Tells gRPC health what the admin port's `/ready` would say.
async fn report_health<S: GrpcService>(
    health: tonic_health::server::HealthReporter,
    checks: Vec<Check>,
    stop: Stop,
) -> anyhow::Result<()> {
    let mut ticks = tokio::time::interval(std::time::Duration::from_secs(1));
    loop {
        tokio::select! {
            () = stop.announced() => break,
            _ = ticks.tick() => {}
        }
        let (ready, _) = admin::readiness(&checks).await;
        let status = if ready {
            tonic_health::ServingStatus::Serving
        } else {
            tonic_health::ServingStatus::NotServing
        };
        health.set_service_status(S::NAME, status).await;
        health.set_service_status("", status).await;
    }
    health.set_service_status(S::NAME, tonic_health::ServingStatus::NotServing).await;
    health.set_service_status("", tonic_health::ServingStatus::NotServing).await;
    Ok(())
}
