//! The settings of the order service.

use clap::Parser;
use messaging::BrokerConfig;
use runtime::{
    config::Environment,
    grpc::{RoomConfig, TlsConfig},
    lifecycle::DrainConfig,
    postgres::Place,
    sessions::TokenConfig,
    telemetry::LogConfig,
};
use secrecy::SecretString;

/// The order service: products, and the orders that are made of them.
#[derive(Parser, Clone, Debug)]
#[command(name = "order", about, version)]
pub struct Config {
    /// The Postgres database of the orders, `postgres://user:password@host/database`.
    #[arg(long, env = "ORDER_DATABASE_URL", hide_env_values = true)]
    pub database_url: SecretString,
    /// The most connections to the database at once for changes.
    #[arg(long, env = "ORDER_DATABASE_CONNECTIONS", default_value_t = 5)]
    pub database_connections: u32,
    /// A replica of that database, for products and admins' lists of orders, which may be a moment old then.
    #[arg(long, env = "ORDER_READ_DATABASE_URL", hide_env_values = true)]
    pub read_database_url: Option<SecretString>,
    /// The most connections at once for reads, and as many again to the replica.
    #[arg(long, env = "ORDER_READ_DATABASE_CONNECTIONS", default_value_t = 5)]
    pub read_database_connections: u32,
    /// Where gRPC is served, host:port.
    #[arg(long, env = "ORDER_LISTEN", default_value = "127.0.0.1:50052")]
    pub listen: String,
    /// Where health and metrics are served, host:port.
    #[arg(long, env = "ORDER_ADMIN_LISTEN", default_value = "127.0.0.1:9402")]
    pub admin_listen: String,
    /// The user service, from which the keys and revocations of tokens come.
    #[arg(long, env = "USER_GRPC_URL", default_value = "http://127.0.0.1:50051")]
    pub user_grpc_url: String,
    /// Whether it runs for people who build (gRPC reflection is on) or for people who use.
    #[arg(long, env = "PORTICO_ENV", value_enum, default_value = "production")]
    pub environment: Environment,
    /// Where events are told and heard.
    #[command(flatten)]
    pub broker: BrokerConfig,
    /// TLS of gRPC.
    #[command(flatten)]
    pub tls: TlsConfig,
    /// How many calls it takes.
    #[command(flatten)]
    pub room: RoomConfig,
    /// Whose tokens are accepted.
    #[command(flatten)]
    pub tokens: TokenConfig,
    /// How logs look.
    #[command(flatten)]
    pub logs: LogConfig,
    /// How it stops.
    #[command(flatten)]
    pub drain: DrainConfig,
}

impl Config {
    /// Where its database is.
    pub(crate) fn place(&self) -> Place<'_> {
        Place {
            url: &self.database_url,
            connections: self.database_connections,
            replica: self.read_database_url.as_ref(),
            read_connections: self.read_database_connections,
        }
    }
}
