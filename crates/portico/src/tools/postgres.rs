//! Postgres' programs for clients: pg_dump, pg_restore and psql.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::environment::Environment;
use crate::packages::{Packages, Unpacked};
use crate::progress::Progress;
use crate::tools::{script, scripts};

const PROGRAMS: [&str; 3] = ["pg_dump", "pg_restore", "psql"];

const HOW: &str = "pg_dump was not found and cannot be fetched here: install Postgres' client programs";

/// The folder to put in front of PATH, or `None` when they are in it.
///
/// # Errors
/// When they are neither installed nor to be fetched.
pub(super) async fn folder_to_add(environment: &Environment, progress: &Progress) -> Result<Option<PathBuf>> {
    if PROGRAMS.iter().all(|name| environment.program(name).is_some()) {
        return Ok(None);
    }
    let packages = Packages::of_this_machine(environment)?.context(HOW)?;
    let unpacked = packages.unpacked_and("pg_dump", &["postgresql-client"], progress, make_them_run).await?;
    Ok(Some(scripts(&unpacked)))
}

/// Those of the version, and not Debian's own in `usr/bin`, which look for clusters of this machine.
fn make_them_run(unpacked: &Unpacked) -> Result<()> {
    let versions = fs::read_dir(unpacked.root().join("usr/lib/postgresql")).context(HOW)?;
    let folders = versions.flatten().map(|version| version.path().join("bin"));
    let folder = folders.into_iter().find(|folder| has_all(folder)).context(HOW)?;
    let folder = folder.strip_prefix(unpacked.root())?.display();
    PROGRAMS.iter().try_for_each(|name| script(unpacked, name, "", &format!("\"$root/{folder}/{name}\"")))
}

fn has_all(folder: &Path) -> bool {
    PROGRAMS.iter().all(|name| folder.join(name).is_file())
}
