//! Bringing a database to the newest schema: what `migrate` of each service and `portico migrate up` do.
//!
//! Two at the same time are safe: sqlx takes an advisory lock, and the second finds nothing left to do. A schema that is
//! newer than this binary stays as it is: migrations only add to what the version before uses.

use std::{fmt, str::FromStr, time::Duration};

use secrecy::{ExposeSecret, SecretString};
use sqlx::{
    Connection, PgConnection,
    migrate::{Migrate, MigrateError, Migrator},
    postgres::PgConnectOptions,
};
use tokio::time::{Instant, sleep, timeout};

use crate::postgres::{check_files, is_away, is_distrusted};

/// How long one attempt to connect may take, how long it is until the next, and how often a word is said meanwhile.
const ATTEMPT: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(500);
const WORD: Duration = Duration::from_secs(5);

/// Where a database stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Schema {
    /// The newest migration that it has.
    newest: Option<i64>,
    /// Whether this binary does not know that one.
    ahead: bool,
}

/// Why a database is not at the newest schema, in words that say what to do and hold no password.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The URL is none.
    #[error("the database's URL is none; it looks like postgres://user:password@host:5432/database")]
    Url(#[source] sqlx::Error),
    /// It names a file for TLS that doesn't do.
    #[error("{0}")]
    File(String),
    /// It did not answer in time.
    #[error("the database at {at} did not answer within {} s ({why}); see whether it runs, and whether the URL is right", patience.as_secs())]
    Away {
        /// Where it should be.
        at: String,
        /// How long it was waited for.
        patience: Duration,
        /// What the last attempt ended with.
        why: String,
    },
    /// It said no.
    #[error("the database at {at} lets nobody in with this URL: {why}")]
    Refused {
        /// Where it is.
        at: String,
        /// What it said.
        why: sqlx::Error,
    },
    /// A migration that was applied is not the one that this binary has.
    #[error(
        "migration {0} was applied in another form than this binary has: it is not the database of this version"
    )]
    Changed(i64),
    /// A migration failed; those before it are applied.
    #[error(
        "migration {version} failed and is rolled back, those before it are applied: {why}; mend the cause and migrate again"
    )]
    Failed {
        /// Which.
        version: i64,
        /// What the database said.
        why: sqlx::Error,
    },
    /// The database failed between the migrations.
    #[error("migrating ended half way: {0}; what was applied stays, so migrate again")]
    Interrupted(MigrateError),
}

/// Brings the database at `url` to the newest schema of `migrator`. One that does not answer is waited for as long as
/// `patience`, while `tell` says a word now and then.
///
/// # Errors
/// See [`Failure`].
pub async fn up(
    url: &SecretString,
    migrator: &Migrator,
    patience: Duration,
    tell: impl Fn(&str),
) -> Result<Schema, Failure> {
    check_files(url).map_err(Failure::File)?;
    let options = PgConnectOptions::from_str(url.expose_secret()).map_err(Failure::Url)?;
    let mut connection = connect(&options, patience, tell).await?;
    let mut lenient = Migrator::with_migrations(migrator.iter().cloned().collect());
    lenient.set_ignore_missing(true);
    lenient.run_direct(None, &mut connection, false).await?;
    let newest = newest(&mut connection, migrator).await?;
    // What is done is committed; the lock goes with the connection.
    let _ = connection.close().await;
    let ahead = newest.is_some_and(|version| !migrator.version_exists(version));
    Ok(Schema { newest, ahead })
}

/// The newest migration that a database has.
///
/// # Errors
/// When it fails.
pub async fn newest(connection: &mut PgConnection, migrator: &Migrator) -> Result<Option<i64>, MigrateError> {
    connection.ensure_migrations_table(&migrator.table_name).await?;
    let applied = connection.list_applied_migrations(&migrator.table_name).await?;
    Ok(applied.iter().map(|migration| migration.version).max())
}

async fn connect(
    options: &PgConnectOptions,
    patience: Duration,
    tell: impl Fn(&str),
) -> Result<PgConnection, Failure> {
    let at = format!("{}:{}", options.get_host(), options.get_port());
    let deadline = Instant::now() + patience;
    let mut next_word = Instant::now();
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let attempt = left.clamp(Duration::from_secs(1), ATTEMPT);
        let why = match timeout(attempt, PgConnection::connect_with(options)).await {
            Ok(Ok(connection)) => return Ok(connection),
            Ok(Err(why)) if !may_come(&why) => return Err(Failure::Refused { at, why }),
            Ok(Err(why)) => why.to_string(),
            Err(_) => "no answer".to_owned(),
        };
        let now = Instant::now();
        if now + PAUSE >= deadline {
            return Err(Failure::Away { at, patience, why });
        }
        if now >= next_word {
            tell(&format!(
                "waiting for the database at {at}, {} s more at most: {why}",
                (deadline - now).as_secs()
            ));
            next_word = now + WORD;
        }
        sleep(PAUSE).await;
    }
}

/// Whether waiting can help.
fn may_come(error: &sqlx::Error) -> bool {
    is_away(error) && !is_distrusted(error)
}

impl From<MigrateError> for Failure {
    fn from(error: MigrateError) -> Self {
        match error {
            MigrateError::VersionMismatch(version) => Self::Changed(version),
            MigrateError::ExecuteMigration(why, version) => Self::Failed { version, why },
            other => Self::Interrupted(other),
        }
    }
}

impl fmt::Display for Schema {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.newest, self.ahead) {
            (None, _) => write!(formatter, "has no migrations"),
            (Some(version), false) => write!(formatter, "at {version}"),
            (Some(version), true) => {
                write!(formatter, "at {version}, which is newer than this version needs")
            }
        }
    }
}
