//! Programs that some tests need and not every machine has: Node.js, Python, Chromium, Postgres' own for clients, and small
//! ones such as curl.
//!
//! Each is taken from the machine where it is installed, and else from the distribution's packages, unpacked in
//! the cache with a small script that tells the program where its own files are.

mod chromium;
mod nginx;
mod node;
mod postgres;
mod program;
mod python;

use std::ffi::OsString;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::{env, fs};

use anyhow::{Context, Result};

use crate::environment::Environment;
use crate::packages::Unpacked;
use crate::progress::Progress;

/// Which tools a command asks for.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// Node.js 18 or later, with npm.
    pub node: bool,
    /// Python 3 with pika.
    pub python: bool,
    /// Chromium.
    pub browser: bool,
    /// nginx with njs.
    pub nginx: bool,
    /// pg_dump, pg_restore and psql.
    pub postgres: bool,
    /// Programs that need only their libraries, by name.
    pub programs: Vec<String>,
}

/// How a command finds the tools.
#[derive(Debug, Default)]
pub struct Tools {
    variables: Vec<(&'static str, OsString)>,
}

impl Tools {
    /// Finds what is wanted, fetching what is not installed.
    ///
    /// # Errors
    /// When something is neither installed nor to be fetched.
    pub async fn find(wanted: Wanted, environment: &Environment, progress: &Progress) -> Result<Self> {
        let mut variables = Vec::new();
        let mut folders = Vec::new();
        if wanted.node {
            folders.extend(node::folder_to_add(environment, progress).await?);
        }
        if wanted.python {
            folders.extend(python::folder_to_add(environment, progress).await?);
        }
        if wanted.postgres {
            folders.extend(postgres::folder_to_add(environment, progress).await?);
        }
        for name in &wanted.programs {
            folders.extend(program::folder_to_add(name, environment, progress).await?);
        }
        if !folders.is_empty() {
            variables.push(("PATH", in_front_of_path(folders, environment)?));
        }
        if wanted.browser {
            variables.push(("CHROMIUM", chromium::executable(environment, progress).await?.into()));
        }
        if wanted.nginx {
            variables.extend(nginx::variables(environment, progress).await?);
        }
        Ok(Self { variables })
    }

    /// What to add to the command's environment.
    pub fn variables(&self) -> Vec<(&'static str, OsString)> {
        self.variables.clone()
    }
}

/// The file of a program that needs only its libraries, fetched where it is not installed.
///
/// # Errors
/// When it is neither installed nor to be fetched.
pub(crate) async fn program(name: &str, environment: &Environment, progress: &Progress) -> Result<PathBuf> {
    let fetched = program::folder_to_add(name, environment, progress).await?;
    let found = fetched.map(|folder| folder.join(name)).or_else(|| environment.program(name));
    found.with_context(|| format!("{name} was not found"))
}

/// Writes a script that runs an unpacked program, called `name`. `program` is a line of Bash in which `$root`
/// stands for the unpacked `/`; the loader finds the libraries there, and `preparation` runs before it.
fn script(unpacked: &Unpacked, name: &str, preparation: &str, program: &str) -> Result<()> {
    let text = format!(
        "#!/bin/bash
root=$(cd \"${{BASH_SOURCE[0]%/*}}/..\" && pwd) || exit
for folder in \"$root\"/{{usr/,}}lib/*-linux-gnu*{{,/pulseaudio}}; do
  [[ -d $folder ]] && LD_LIBRARY_PATH=$folder${{LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}}
done
export LD_LIBRARY_PATH
{preparation}
exec {program} \"$@\"
"
    );
    let path = scripts(unpacked).join(name);
    let written = fs::create_dir_all(scripts(unpacked)).and_then(|()| fs::write(&path, text));
    written
        .and_then(|()| fs::set_permissions(&path, fs::Permissions::from_mode(0o755)))
        .with_context(|| format!("cannot write {path:?}"))
}

/// The folder that [`script`] writes to: beside the packages' own, under a name that none of them has.
fn scripts(unpacked: &Unpacked) -> PathBuf {
    unpacked.root().join("portico")
}

fn in_front_of_path(folders: Vec<PathBuf>, environment: &Environment) -> Result<OsString> {
    let folders = folders.into_iter().chain(environment.search_path());
    env::join_paths(folders).context("a folder with a colon in its name cannot stand in PATH")
}
