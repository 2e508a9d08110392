//! `portico migrate up|down`: the schemas of the three databases.

use std::io::{Write, stdout};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result};
use clap::{Args, Subcommand};
use runtime::migrate::{Schema, newest};
use sqlx::migrate::Migrator;
use sqlx::{Connection, PgConnection};

use crate::attach::on_backends;
use crate::backend::{Events, Urls};
use crate::environment::Environment;
use crate::progress::Progress;

/// How long a database may take to answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// The arguments of `migrate`.
#[derive(Debug, Args)]
pub struct MigrateCommand {
    #[command(subcommand)]
    direction: Direction,
}

/// Which way.
#[derive(Clone, Copy, Debug, Subcommand)]
enum Direction {
    /// Bring each database to the newest schema
    Up,
    /// Take the newest migration of each database back
    Down,
}

impl MigrateCommand {
    /// Migrates the databases of the environment, of a running `up`, or else those of the state folder.
    ///
    /// # Errors
    /// When a database cannot be reached or a migration fails; that one is rolled back.
    pub async fn run(&self, environment: &Environment, progress: &Progress) -> Result<ExitCode> {
        let direction = self.direction;
        on_backends(Events::InProcess, environment, progress, async |settings| {
            for (service, migrator) in migrators() {
                let variable = format!("{}_DATABASE_URL", service.to_uppercase());
                let url = settings.get(&variable).with_context(|| format!("{variable} is not set"))?;
                let told = match direction {
                    Direction::Up => up(url, migrator).await.map(|schema| schema.to_string()),
                    Direction::Down => down(url, migrator).await,
                };
                let told = told.with_context(|| format!("the database of {service}"))?;
                writeln!(stdout(), "{service}: {told}")?;
            }
            Ok(())
        })
        .await?;
        Ok(ExitCode::SUCCESS)
    }
}

/// Brings the databases at `urls` to the newest schema.
///
/// # Errors
/// When one cannot be reached or a migration fails.
pub async fn up_all(urls: &Urls) -> Result<()> {
    for ((service, migrator), (_, url)) in migrators().into_iter().zip(urls.services()) {
        up(url, migrator).await.with_context(|| format!("the database of {service}"))?;
    }
    Ok(())
}

/// Each service's migrations, in the order of [`Urls::services`].
fn migrators() -> [(&'static str, &'static Migrator); 3] {
    [("user", &user::MIGRATOR), ("order", &order::MIGRATOR), ("payment", &payment::MIGRATOR)]
}

async fn up(url: &str, migrator: &Migrator) -> Result<Schema> {
    let tell = |word: &str| Progress::on_stderr().note(word);
    Ok(runtime::migrate::up(&url.into(), migrator, PATIENCE, tell).await?)
}

async fn down(url: &str, migrator: &Migrator) -> Result<String> {
    let mut connection = PgConnection::connect(url).await?;
    let Some(newest) = newest(&mut connection, migrator).await? else {
        return Ok("nothing to take back".to_owned());
    };
    let ups = migrator.iter().filter(|migration| migration.migration_type.is_up_migration());
    let target =
        ups.map(|migration| migration.version).filter(|version| *version < newest).max().unwrap_or(0);
    migrator.undo(&mut connection, target).await?;
    connection.close().await?;
    Ok(format!("{newest} taken back"))
}
