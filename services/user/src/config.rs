//! The settings of the user service.

use clap::{Args, Parser, value_parser};
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

use crate::SecretKey;

/// The settings of the user service.
#[derive(Parser, Clone, Debug)]
#[command(name = "user", about = "Portico's user service: accounts, sessions, signing keys", version)]
pub struct Config {
    /// The Postgres database: postgres://user:password@host:port/database
    #[arg(long, env = "USER_DATABASE_URL", hide_env_values = true)]
    pub database_url: SecretString,
    /// The most connections to the database at once for changes.
    #[arg(long, env = "USER_DATABASE_CONNECTIONS", default_value_t = 5)]
    pub database_connections: u32,
    /// A replica of that database, for lists of accounts, which may be a moment old then.
    #[arg(long, env = "USER_READ_DATABASE_URL", hide_env_values = true)]
    pub read_database_url: Option<SecretString>,
    /// The most connections at once for reads, and as many again to the replica.
    #[arg(long, env = "USER_READ_DATABASE_CONNECTIONS", default_value_t = 5)]
    pub read_database_connections: u32,
    /// Where gRPC is served, as host:port.
    #[arg(long, env = "USER_LISTEN", default_value = "127.0.0.1:50051")]
    pub listen: String,
    /// Where health and metrics are served, as host:port.
    #[arg(long, env = "USER_ADMIN_LISTEN", default_value = "127.0.0.1:9401")]
    pub admin_listen: String,
    /// Whether people build with it or use it.
    #[arg(long, env = "PORTICO_ENV", value_enum, default_value = "production")]
    pub environment: Environment,
    /// The secret that protects signing keys and refresh tokens: 32 random bytes in base64. With another one all
    /// refresh tokens still work, but a retry of an exchange does not, and a new signing key is made.
    #[arg(long, env = "USER_SECRET_KEY", hide_env_values = true)]
    pub secret_key: SecretKey,
    /// After how many days a new key signs.
    #[arg(long, env = "USER_KEY_ROTATION_DAYS", default_value_t = 30, value_parser = value_parser!(u32).range(1..=3650))]
    pub key_rotation_days: u32,
    /// How logins slow down.
    #[command(flatten)]
    pub login: LoginLimits,
    /// Where events are told and heard.
    #[command(flatten)]
    pub broker: BrokerConfig,
    /// TLS of gRPC.
    #[command(flatten)]
    pub tls: TlsConfig,
    /// How many calls it takes.
    #[command(flatten)]
    pub room: RoomConfig,
    /// Whose tokens are given and accepted.
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

/// How failed logins slow down, and how many accounts may be made.
#[derive(Args, Clone, Debug)]
pub struct LoginLimits {
    /// How many logins may fail for one account from one address before the next must wait.
    #[arg(long, env = "USER_LOGIN_FREE_FAILURES", default_value_t = 3)]
    pub login_free_failures: u32,
    /// How many logins may fail from one address, for whatever accounts, before the next must wait.
    #[arg(long, env = "USER_LOGIN_FREE_FAILURES_PER_ADDRESS", default_value_t = 30)]
    pub login_free_failures_per_address: u32,
    /// The longest time, in seconds, that a next login is refused; it begins with 1 s and doubles.
    #[arg(long, env = "USER_LOGIN_LONGEST_DELAY_SECONDS", default_value_t = 60)]
    pub login_longest_delay_seconds: u32,
    /// The longest time, in milliseconds, by which answers for an account slow down when logins fail from many addresses.
    #[arg(long, env = "USER_LOGIN_LONGEST_WAIT_MS", default_value_t = 1000)]
    pub login_longest_wait_ms: u32,
    /// How many accounts may be made from one address in a minute.
    #[arg(long, env = "USER_REGISTRATIONS_PER_MINUTE", default_value_t = 20, value_parser = value_parser!(u32).range(1..))]
    pub registrations_per_minute: u32,
}

#[cfg(test)]
mod tests {
    use runtime::config::{one_line, parse};

    use super::*;

    const SECRET: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

    fn refused(arguments: &[&str]) -> String {
        let error =
            parse::<Config>([&["user", "--database-url", "postgres://x"], arguments].concat()).unwrap_err();
        one_line::<Config>(&error)
    }

    #[test]
    fn a_bad_secret_is_named_by_its_variable_in_one_line_that_does_not_repeat_it() {
        let line = refused(&["--secret-key", "hunter2"]);
        assert!(
            line.starts_with("user: USER_SECRET_KEY has a bad value: must be 32 bytes in base64"),
            "{line}"
        );
        assert!(!line.contains("hunter2") && !line.contains('\n'), "{line}");
    }

    #[test]
    fn limits_that_make_no_sense_are_refused_by_their_variable() {
        let line = refused(&["--secret-key", SECRET, "--key-rotation-days", "0"]);
        assert!(line.starts_with("user: USER_KEY_ROTATION_DAYS has a bad value"), "{line}");
        let line = refused(&["--secret-key", SECRET, "--registrations-per-minute", "0"]);
        assert!(line.starts_with("user: USER_REGISTRATIONS_PER_MINUTE has a bad value"), "{line}");
    }

    #[test]
    fn settings_do_not_print_their_secrets() {
        let arguments = ["user", "--database-url", "postgres://user:hunter2@host/db", "--secret-key", SECRET];
        let shown = format!("{:?}", parse::<Config>(arguments).unwrap());
        assert!(!shown.contains("hunter2") && !shown.contains("AAECAw"), "{shown}");
    }
}
