//! Asking another process for its health, as `grpc.health.v1` has it.

use tonic::Code;
use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};

use super::Transport;
use crate::admin::Check;

/// Whether the process behind `transport` says that this service of its (`order.v1.OrderService`) is well.
pub fn health(transport: &Transport, service: &'static str) -> Check {
    let client = HealthClient::new(transport.clone());
    Check::new("health", move || {
        let mut client = client.clone();
        async move {
            let answer = client.check(HealthCheckRequest { service: service.to_owned() }).await;
            match answer.map(|answer| answer.into_inner().status()) {
                Ok(ServingStatus::Serving) => Ok(()),
                Ok(_) => Err("it says that it is not ready".to_owned()),
                Err(status) if status.code() == Code::Unavailable => Err("it can't be reached".to_owned()),
                Err(status) => Err(format!("it does not say: {:?}", status.code())),
            }
        }
    })
}
