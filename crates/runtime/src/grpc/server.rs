//! The listening half of a service: its gRPC port and its admin port.

use std::net::SocketAddr;

use tokio::{net::TcpListener, task::JoinSet};
use tonic::transport::server::TcpIncoming;

use super::{Guarded, TlsConfig, guard::GrpcService};
use crate::{Stop, admin, admin::Check, config::Environment, lifecycle::join_all};

/// The two ports of a service, bound and not yet answering. Port 0 takes a free one.
pub struct Server {
    grpc: TcpListener,
    admin: TcpListener,
    tls: TlsConfig,
}

impl Server {
    /// Takes the ports.
    ///
    /// # Errors
    /// When one is taken, naming it.
    pub async fn bind(grpc: &str, admin: &str) -> anyhow::Result<Self> {
        Ok(Self { grpc: listen(grpc).await?, admin: listen(admin).await?, tls: TlsConfig::default() })
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
        self.grpc.local_addr()
    }

    /// Where health and metrics are served.
    ///
    /// # Errors
    /// When the system does not say.
    pub fn admin_address(&self) -> std::io::Result<SocketAddr> {
        self.admin.local_addr()
    }

    /// Serves until `stop`, then lets the calls under way end. gRPC health follows `checks`; reflection is on outside
    /// production.
    ///
    /// # Errors
    /// When a listener fails, or the certificate doesn't do.
    pub async fn serve<S: GrpcService>(
        self,
        service: Guarded<S>,
        environment: Environment,
        checks: Vec<Check>,
        stop: Stop,
    ) -> anyhow::Result<()> {
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
            .tcp_nodelay(true)
            .http2_keepalive_interval(Some(std::time::Duration::from_secs(30)))
            .add_service(health_service)
            .add_optional_service(reflection)
            .add_service(service);
        let mut tasks = JoinSet::new();
        let incoming = TcpIncoming::from(self.grpc).with_nodelay(Some(true));
        let stopped = stop.clone().cancelled_owned();
        tasks.spawn(async move { Ok(router.serve_with_incoming_shutdown(incoming, stopped).await?) });
        tasks.spawn(report_health::<S>(health, checks.clone(), stop.clone()));
        let admin_stop = stop.clone();
        tasks.spawn(async move { Ok(admin::serve(self.admin, checks, admin_stop).await?) });
        join_all(tasks, &stop).await
    }
}

async fn listen(address: &str) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address).await.map_err(|error| anyhow::anyhow!("can't listen at {address}: {error}"))
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
            () = stop.cancelled() => break,
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
