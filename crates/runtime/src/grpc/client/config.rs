//! The settings of clients.

use std::{num::NonZeroUsize, time::Duration};

use clap::Args;

use crate::config::seconds;

/// How a process treats the services that it calls.
#[derive(Args, Clone, Debug)]
pub struct ClientConfig {
    /// How many calls are let through to a service that failed too often, to see whether it is back.
    #[arg(long, env = "CIRCUIT_BREAKER_MAX_REQUESTS", default_value = "3")]
    pub circuit_breaker_max_requests: NonZeroUsize,
    /// How long calls to a service are counted before the counting begins anew, in seconds.
    #[arg(long, env = "CIRCUIT_BREAKER_INTERVAL", default_value = "60", value_parser = seconds)]
    pub circuit_breaker_interval: Duration,
    /// How long a service that failed too often is left alone, in seconds.
    #[arg(long, env = "CIRCUIT_BREAKER_TIMEOUT", default_value = "30", value_parser = seconds)]
    pub circuit_breaker_timeout: Duration,
    /// How many calls may be under way to one service at once. With all of them waiting for it, there must be room for
    /// requests that need others: keep it well below GATEWAY_LIMIT_REQUESTS.
    #[arg(long, env = "RPC_CONCURRENCY", default_value = "200")]
    pub rpc_concurrency: NonZeroUsize,
}

#[cfg(test)]
pub(super) fn by_default() -> ClientConfig {
    #[derive(clap::Parser)]
    struct Config {
        #[command(flatten)]
        clients: ClientConfig,
    }
    crate::config::parse::<Config>(["test"]).unwrap().clients
}
