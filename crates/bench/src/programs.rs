//! The tools that are not ours: taken from the machine, or else from the distribution's packages, unpacked in the cache.

use std::{
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
    process::Stdio,
};

use anyhow::{Context, Result};
use portico::{environment::Environment, packages::Packages, progress::Progress};
use tokio::process::Command;

/// A program that was found.
#[derive(Clone)]
pub(crate) struct Tool {
    file: PathBuf,
    /// What the loader needs to be told when the libraries are not where the system keeps them.
    libraries: Option<OsString>,
}

impl Tool {
    /// wrk, of the package of that name.
    ///
    /// # Errors
    /// When it is neither installed nor to be fetched.
    pub(crate) async fn wrk() -> Result<Self> {
        Self::find("wrk", "wrk", |root| vec![root.join("usr/bin")]).await
    }

    /// pgbench, of the package of Postgres, and of its newest version.
    ///
    /// # Errors
    /// When it is neither installed nor to be fetched.
    pub(crate) async fn pgbench() -> Result<Self> {
        Self::find("pgbench", "postgresql", |root| {
            let versions = fs::read_dir(root.join("usr/lib/postgresql")).into_iter().flatten().flatten();
            let mut folders: Vec<_> = versions.map(|version| version.path().join("bin")).collect();
            folders.sort();
            folders.reverse();
            folders
        })
        .await
    }

    /// `folders` says where the package puts the program below a root.
    async fn find(name: &str, package: &str, folders: impl Fn(&Path) -> Vec<PathBuf>) -> Result<Self> {
        let environment = Environment::of_this_process();
        let installed = folders(Path::new("/")).into_iter().chain(environment.search_path());
        if let Some(file) = first(installed, name) {
            return Ok(Self { file, libraries: None });
        }
        let how = || format!("{name} was not found and cannot be fetched here: install it");
        let packages = Packages::of_this_machine(&environment)?.with_context(how)?;
        let unpacked = packages.unpacked(package, &[package], &Progress::on_stderr()).await?;
        let file = first(folders(unpacked.root()), name).with_context(how)?;
        Ok(Self { file, libraries: Some(unpacked.library_path()) })
    }

    /// A command that runs it, hears nothing and dies with us.
    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new(&self.file);
        command.envs(self.libraries.iter().map(|path| ("LD_LIBRARY_PATH", path)));
        command.stdin(Stdio::null()).kill_on_drop(true);
        command
    }
}

fn first(folders: impl IntoIterator<Item = PathBuf>, name: &str) -> Option<PathBuf> {
    folders.into_iter().map(|folder| folder.join(name)).find(|file| file.is_file())
}
