//! The Postgres pool, and what readiness asks of the database.

use std::{fs::File, io::ErrorKind, str::FromStr, time::Duration};

use secrecy::{ExposeSecret, SecretString};
use sqlx::{
    PgPool, PgTransaction,
    migrate::Migrator,
    postgres::{PgConnectOptions, PgPoolOptions},
};

use crate::{Kind, Refusal, admin::Check, grpc::certificates};

/// How long a request waits for a connection. The crate's default of 30 s is longer than any client waits.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(3);
/// How long one statement may run, so that a query whose caller went away gives its connection back.
const STATEMENT_TIMEOUT: &str = "5s";

/// A pool of at most `connections` to the database at `url`. It connects when it is first used, so that processes
/// start in any order. `application` is what the database's own views call us.
///
/// # Errors
/// When `url` is no Postgres URL, or one of the files for TLS that it names doesn't do.
pub fn pool(url: &SecretString, connections: u32, application: &str) -> Result<PgPool, sqlx::Error> {
    check_files(url).map_err(|why| sqlx::Error::Configuration(why.into()))?;
    let options = PgConnectOptions::from_str(url.expose_secret())?
        .application_name(application)
        .options([("statement_timeout", STATEMENT_TIMEOUT)]);
    Ok(PgPoolOptions::new()
        .max_connections(connections)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        // A ping before each use costs a round trip; a dead connection costs one failed request.
        .test_before_acquire(false)
        .connect_lazy_with(options))
}

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

/// Whether the database answers and has every migration that this binary knows.
pub fn check(pool: PgPool, migrator: &'static Migrator) -> Check {
    Check::new("database", move || {
        let pool = pool.clone();
        async move { migrated(&pool, migrator).await }
    })
}

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

/// Ends the transaction in which `outcome` came about, before the client hears of it: commits what is good, and takes
/// back what is not. A transaction that is merely dropped keeps its locks for a moment, and a client that comes again at
/// once would be told that its own idempotency key is in use.
///
/// # Errors
/// That of `outcome`, or of a commit that failed.
pub async fn end<T, E: From<sqlx::Error>>(tx: PgTransaction<'_>, outcome: Result<T, E>) -> Result<T, E> {
    match outcome {
        Ok(done) => {
            tx.commit().await?;
            Ok(done)
        }
        Err(refused) => {
            if let Err(lost) = tx.rollback().await {
                tracing::debug!(error = %lost, "a transaction ended with its connection");
            }
            Err(refused)
        }
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

/// What a client is told whose statement failed: to try again where the database is away, else only that it is a fault
/// of ours. The log tells the cause.
pub fn refusal(error: &sqlx::Error) -> Refusal {
    if is_away(error) {
        tracing::warn!(%error, "the database is away");
        return Refusal::new(Kind::Unavailable, "DATABASE_UNAVAILABLE", "try again in a moment");
    }
    Refusal::internal(error)
}
