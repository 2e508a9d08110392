//! Postgres: connections, transactions, what readiness asks of a database, and what its failures mean.

mod database;
mod measure;
mod pool;
mod transaction;

use std::{fs::File, io::ErrorKind, time::Duration};

use secrecy::{ExposeSecret, SecretString};
use sqlx::{PgPool, migrate::Migrator};

use crate::{Kind, Refusal, grpc::certificates};

pub use database::{Database, Names, Place};
pub use pool::{Lease, Pool};
pub use transaction::{Runs, Transaction};

/// When one may come again who found all connections taken.
const COME_AGAIN: Duration = Duration::from_secs(1);

/// Looks at the files that a Postgres URL names for TLS, which would else be missed at each connection only.
///
/// # Errors
/// A line that names the parameter and the file.
pub(crate) fn check_files(url: &SecretString) -> Result<(), String> {
    let query = url.expose_secret().split_once('?').map_or("", |(_, query)| query);
    for (name, value) in query.split('&').filter_map(|pair| pair.split_once('=')) {
        let checked = match name {
            // Rare in the name of a file: it is left to the first connection.
            _ if value.contains('%') => Ok(()),
            "sslrootcert" | "sslcert" => certificates(value).map(drop),
            "sslkey" => File::open(value).map(drop).map_err(|error| format!("can't read {value}: {error}")),
            _ => Ok(()),
        };
        checked.map_err(|why| format!("{name} in the database's URL has a bad value: {why}"))?;
    }
    Ok(())
}

/// Whether the other side is there, and is not who it should be.
pub(crate) fn is_distrusted(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Tls(_) => true,
        // In this form rustls's errors come.
        sqlx::Error::Io(error) => error.kind() == ErrorKind::InvalidData,
        _ => false,
    }
}

/// Whether a database answers and has every migration that this binary knows.
async fn migrated(pool: &PgPool, migrator: &Migrator) -> Result<(), String> {
    let applied: Vec<i64> = sqlx::query_scalar("SELECT version FROM _sqlx_migrations WHERE success")
        .fetch_all(pool)
        .await
        .map_err(|error| match error {
            // 42P01: the table of migrations does not exist.
            sqlx::Error::Database(refused) if refused.code().as_deref() == Some("42P01") => {
                "not migrated; run `migrate` of this service".to_owned()
            }
            error if is_distrusted(&error) => "its certificate is not trusted".to_owned(),
            _ => "not reachable".to_owned(),
        })?;
    let missing = migrator
        .iter()
        .filter(|migration| {
            migration.migration_type.is_up_migration() && !applied.contains(&migration.version)
        })
        .count();
    if missing > 0 {
        Err(format!("{missing} migrations missing; run `migrate` of this service"))
    } else {
        Ok(())
    }
}

/// The name of the constraint that a statement broke, for the one place in a service that maps it to a refusal.
pub fn violated_constraint(error: &sqlx::Error) -> Option<&str> {
    error.as_database_error()?.constraint()
}

/// Whether the database went away, and did not say no: classes 08 and 57P of
/// <https://www.postgresql.org/docs/current/errcodes-appendix.html>, and what is no answer at all.
pub fn is_away(error: &sqlx::Error) -> bool {
    use sqlx::Error::{Database, Io, PoolClosed, PoolTimedOut, Protocol, Tls, WorkerCrashed};
    match error {
        Database(error) => error.code().is_some_and(|code| code.starts_with("08") || code.starts_with("57P")),
        Io(_) | Tls(_) | Protocol(_) | PoolTimedOut | PoolClosed | WorkerCrashed => true,
        _ => false,
    }
}

/// What a client is told whose statement failed: to try again where the database is away, has too much to do, or met too
/// many others at once; else only that it is a fault of ours. The log tells the cause.
pub fn refusal(error: &sqlx::Error) -> Refusal {
    if matches!(error, sqlx::Error::PoolTimedOut) {
        return Refusal::overloaded(COME_AGAIN);
    }
    if let Some(failure) = transaction::failure(error) {
        tracing::warn!(?failure, "a transaction failed again and again");
        return Refusal::overloaded(COME_AGAIN);
    }
    // 57014: stopped by the database's own clock.
    if error.as_database_error().is_some_and(|error| error.code().as_deref() == Some("57014")) {
        return Refusal::new(Kind::Timeout, "SERVICE_TIMEOUT", "a service took too long to answer");
    }
    if is_away(error) {
        tracing::warn!(%error, "the database is away");
        return Refusal::new(Kind::Unavailable, "DATABASE_UNAVAILABLE", "try again in a moment");
    }
    Refusal::internal(error)
}
