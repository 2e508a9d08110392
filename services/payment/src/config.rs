//! The settings of the payment service.

use messaging::BrokerConfig;
use std::time::Duration;

use clap::{Args, Parser};
use runtime::{
    config::Environment,
    grpc::{RoomConfig, TlsConfig},
    lifecycle::DrainConfig,
    postgres::Place,
    sessions::TokenConfig,
    telemetry::LogConfig,
};
use secrecy::SecretString;

/// The settings of the payment service.
#[derive(Parser, Clone, Debug)]
#[command(name = "payment", about = "Portico's payment service", version)]
pub struct Config {
    /// The database, `postgres://user:password@host:port/name`.
    #[arg(long, env = "PAYMENT_DATABASE_URL", hide_env_values = true)]
    pub database_url: SecretString,
    /// The most connections to the database at once for changes.
    #[arg(long, env = "PAYMENT_DATABASE_CONNECTIONS", default_value_t = 5)]
    pub database_connections: u32,
    /// A replica of that database, for admins' lists of payments, which may be a moment old then.
    #[arg(long, env = "PAYMENT_READ_DATABASE_URL", hide_env_values = true)]
    pub read_database_url: Option<SecretString>,
    /// The most connections at once for reads, and as many again to the replica.
    #[arg(long, env = "PAYMENT_READ_DATABASE_CONNECTIONS", default_value_t = 5)]
    pub read_database_connections: u32,
    /// Where it serves gRPC.
    #[arg(long, env = "PAYMENT_LISTEN", default_value = "127.0.0.1:50053")]
    pub listen: String,
    /// Where it serves /live, /ready and /metrics.
    #[arg(long, env = "PAYMENT_ADMIN_LISTEN", default_value = "127.0.0.1:9403")]
    pub admin_listen: String,
    /// The user service, from which signing keys and revocations come.
    #[arg(long, env = "USER_GRPC_URL", default_value = "http://127.0.0.1:50051")]
    pub user_grpc_url: String,
    /// Whether it runs for people who build or for people who use.
    #[arg(long, env = "PORTICO_ENV", value_enum, default_value = "production")]
    pub environment: Environment,
    /// How long things may take.
    #[command(flatten)]
    pub timing: Timing,
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
    /// How it logs.
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

/// How long things may take.
#[derive(Args, Clone, Copy, Debug)]
pub struct Timing {
    /// For how many seconds an order can be paid.
    #[arg(long, env = "PAYMENT_WINDOW", default_value = "1800", value_parser = seconds)]
    pub window: Duration,
    /// How many seconds one call of the provider may take. Less than GATEWAY_RPC_TIMEOUT, so that a client hears that its
    /// payment is undecided, and not only that the service is slow.
    #[arg(long, env = "PAYMENT_PROVIDER_TIMEOUT", default_value = "1.5", value_parser = seconds)]
    pub provider_timeout: Duration,
    /// After how many seconds the provider is asked about an attempt whose result is not known. More than
    /// PAYMENT_PROVIDER_TIMEOUT.
    #[arg(long, env = "PAYMENT_RECOVER_AFTER", default_value = "30", value_parser = seconds)]
    pub recover_after: Duration,
}

impl Timing {
    /// Refuses times that contradict each other: an attempt that is still being called must not be taken for lost.
    ///
    /// # Errors
    /// One line that names the variables.
    pub fn check(&self) -> anyhow::Result<()> {
        anyhow::ensure!(
            self.recover_after > self.provider_timeout,
            "PAYMENT_RECOVER_AFTER must be more than PAYMENT_PROVIDER_TIMEOUT"
        );
        Ok(())
    }
}

/// The longest time that can be set: a year.
const LONGEST: f64 = 365.0 * 24.0 * 60.0 * 60.0;

fn seconds(text: &str) -> Result<Duration, &'static str> {
    let seconds = text.parse::<f64>().ok().filter(|seconds| (0.001..=LONGEST).contains(seconds));
    seconds.map(Duration::from_secs_f64).ok_or("must be a number of seconds from 0.001 to a year")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(arguments: &[&str]) -> Result<Config, clap::Error> {
        let given = ["payment", "--database-url", "postgres://localhost/none"].iter().chain(arguments);
        runtime::config::parse(given)
    }

    #[test]
    fn times_are_seconds_and_rubbish_is_refused() {
        let config = parse(&["--window", "90.5"]).unwrap();
        assert_eq!(config.timing.window, Duration::from_millis(90_500));
        for rubbish in ["", "0", "-1", "NaN", "inf", "1e300", "30m"] {
            assert!(parse(&[&format!("--window={rubbish}")]).is_err(), "{rubbish}");
        }
    }

    #[test]
    fn an_attempt_that_is_still_called_can_not_be_set_to_count_as_lost() {
        let config = parse(&["--provider-timeout", "10", "--recover-after", "10"]).unwrap();
        assert!(config.timing.check().unwrap_err().to_string().contains("PAYMENT_RECOVER_AFTER"));
    }
}
