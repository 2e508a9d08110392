//! The settings of the gateway, from arguments and the environment.

mod documents;
mod limits;
mod rates;
mod requests;

use std::time::Duration;

use clap::{Args, Parser, ValueEnum};
use messaging::BrokerConfig;
use runtime::{
    config::{Environment, seconds},
    grpc::{ClientConfig, TlsConfig},
    lifecycle::DrainConfig,
    sessions::TokenConfig,
    telemetry::LogConfig,
};

pub use documents::{DocumentConfig, Trusting};
pub use limits::{LimitConfig, Limiting};
pub use rates::RateConfig;
pub use requests::{Origin, RequestConfig};

/// On or off.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Switch {
    /// On.
    On,
    /// Off.
    Off,
}

/// Settings of the gateway.
#[derive(Parser, Clone, Debug)]
#[command(name = "gateway", about = "The GraphQL gateway of Portico", version)]
pub struct Config {
    /// Where clients are answered, host:port. Port 0 takes a free one.
    #[arg(long, env = "GATEWAY_LISTEN", default_value = "127.0.0.1:4000")]
    pub listen: String,
    /// Where `/live`, `/ready` and `/metrics` are answered, host:port.
    #[arg(long, env = "GATEWAY_ADMIN_LISTEN", default_value = "127.0.0.1:9400")]
    pub admin_listen: String,
    /// Where the user service is.
    #[arg(long, env = "USER_GRPC_URL", default_value = "http://127.0.0.1:50051")]
    pub user_grpc_url: String,
    /// Where the order service is.
    #[arg(long, env = "ORDER_GRPC_URL", default_value = "http://127.0.0.1:50052")]
    pub order_grpc_url: String,
    /// Where the payment service is.
    #[arg(long, env = "PAYMENT_GRPC_URL", default_value = "http://127.0.0.1:50053")]
    pub payment_grpc_url: String,
    /// Whether this runs for people who build or for people who use.
    #[arg(long, env = "PORTICO_ENV", value_enum, default_value = "production")]
    pub environment: Environment,
    /// Whether `/` shows the IDE; by default it does in development.
    #[arg(long, env = "GATEWAY_IDE", value_enum)]
    pub ide: Option<Switch>,
    /// Whether clients may ask for the schema; by default they may in development and where the IDE is on.
    #[arg(long, env = "GATEWAY_INTROSPECTION", value_enum)]
    pub introspection: Option<Switch>,
    /// How long one call to a service may take, in seconds.
    #[arg(long, env = "GATEWAY_RPC_TIMEOUT", default_value = "2", value_parser = seconds)]
    pub rpc_timeout: Duration,
    /// How long one request may take in all, from its head to its answer, in seconds. A client may take less of it by the
    /// header `X-Portico-Timeout`.
    #[arg(long, env = "GATEWAY_REQUEST_TIMEOUT", default_value = "10", value_parser = seconds)]
    pub request_timeout: Duration,
    /// How much memory the parsed documents may take that are kept for the next request, in bytes.
    #[arg(long, env = "GATEWAY_DOCUMENT_CACHE_BYTES", default_value_t = 8 * 1024 * 1024)]
    pub document_cache_bytes: u64,
    /// Which requests are taken, and what answers tell browsers.
    #[command(flatten)]
    pub requests: RequestConfig,
    /// What one request may be.
    #[command(flatten)]
    pub limits: LimitConfig,
    /// How often clients may ask.
    #[command(flatten)]
    pub rates: RateConfig,
    /// Which documents are taken, and how long public answers may be kept.
    #[command(flatten)]
    pub documents: DocumentConfig,
    /// How long answers may stream, and to how many.
    #[command(flatten)]
    pub streams: StreamConfig,
    /// Where events are heard.
    #[command(flatten)]
    pub broker: BrokerConfig,
    /// How the services are called.
    #[command(flatten)]
    pub clients: ClientConfig,
    /// TLS on the way to the services.
    #[command(flatten)]
    pub tls: TlsConfig,
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

/// Settings of WebSockets, of event streams, and of the events that they carry.
#[derive(Args, Clone, Debug)]
pub struct StreamConfig {
    /// How long a WebSocket may take until it says `connection_init`, in seconds.
    #[arg(long, env = "GATEWAY_INIT_TIMEOUT", default_value = "5", value_parser = seconds)]
    pub init_timeout: Duration,
    /// How often a stream gives a sign of life, in seconds. A WebSocket that answers none of two is closed.
    #[arg(long, env = "GATEWAY_KEEPALIVE", default_value = "20", value_parser = seconds)]
    pub keepalive: Duration,
    /// How long a client may leave what is sent to it unread before its connection is dropped, in seconds.
    #[arg(long, env = "GATEWAY_WRITE_TIMEOUT", default_value = "10", value_parser = seconds)]
    pub write_timeout: Duration,
    /// How many operations a WebSocket may have under way at once.
    #[arg(long, env = "GATEWAY_OPERATIONS_PER_SOCKET", default_value_t = 100)]
    pub operations_per_socket: usize,
    /// How many WebSockets and event streams a user may have open at once.
    #[arg(long, env = "GATEWAY_SOCKETS_PER_USER", default_value_t = 50)]
    pub sockets_per_user: usize,
    /// How many events are kept for clients who come back.
    #[arg(long, env = "GATEWAY_EVENT_WINDOW", default_value_t = 10_000)]
    pub event_window: usize,
    /// How much memory these may take, in bytes of JSON.
    #[arg(long, env = "GATEWAY_EVENT_WINDOW_BYTES", default_value_t = 16 * 1024 * 1024)]
    pub event_window_bytes: usize,
}

impl Config {
    /// Looks at what can only be judged with all settings at hand: trusted documents must be valid and within the limits.
    ///
    /// # Errors
    /// A line that names the setting.
    pub fn check(&self) -> Result<(), String> {
        crate::http::check_trusted(self)
    }

    /// Whether `/` shows the IDE.
    pub fn shows_ide(&self) -> bool {
        self.ide.map_or(self.environment == Environment::Development, |switch| switch == Switch::On)
    }

    /// Whether clients may ask for the schema. The IDE can't complete or explain a field without it.
    pub fn allows_introspection(&self) -> bool {
        let by_default = self.environment == Environment::Development || self.shows_ide();
        self.introspection.map_or(by_default, |switch| switch == Switch::On)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(arguments: &[&str]) -> Config {
        runtime::config::parse(std::iter::once(&"gateway").chain(arguments)).unwrap()
    }

    #[test]
    fn in_production_the_schema_and_the_ide_are_hidden_unless_they_are_switched_on() {
        let shown =
            |arguments: &[&str]| (config(arguments).shows_ide(), config(arguments).allows_introspection());
        assert_eq!(shown(&[]), (false, false));
        assert_eq!(shown(&["--environment", "development"]), (true, true));
        assert_eq!(shown(&["--ide", "on"]), (true, true));
        assert_eq!(shown(&["--environment", "development", "--ide", "off"]), (false, true));
        assert_eq!(shown(&["--ide", "on", "--introspection", "off"]), (true, false));
    }
}
