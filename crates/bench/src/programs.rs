//! The tools that are used and not ours.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// The program that the environment names in `variable`, or the file `name` in one of `folders`, or in PATH.
///
/// # Errors
/// When there is none, with what to do about it.
pub(crate) fn find(variable: &str, name: &str, folders: &[PathBuf]) -> Result<PathBuf> {
    if let Some(named) = std::env::var_os(variable).filter(|value| !value.is_empty()) {
        return Ok(named.into());
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = folders.iter().cloned().chain(std::env::split_paths(&path));
    let found = folders.map(|folder| folder.join(name)).find(|file| file.is_file());
    found.with_context(|| format!("{name} was not found: install it, or name it in {variable}"))
}

/// Debian's folders with the programs of Postgres, the newest first.
pub(crate) fn postgres_folders() -> Vec<PathBuf> {
    let versions = std::fs::read_dir(Path::new("/usr/lib/postgresql")).into_iter().flatten().flatten();
    let mut folders: Vec<_> = versions.map(|version| version.path().join("bin")).collect();
    folders.sort();
    folders.reverse();
    folders
}
