//! Programs that some tests need and few machines have: Node.js and Chromium.
//!
//! Each is taken from the machine where it is installed, and else from the distribution's packages, unpacked in
//! the cache with a small script that tells the program where its own files are.

mod chromium;
mod node;

use std::env;
use std::ffi::OsString;
use std::path::PathBuf;

use anyhow::{Context, Result};

use crate::environment::Environment;
use crate::progress::Progress;

/// Which tools a command asks for.
#[derive(Clone, Copy, Debug)]
pub struct Wanted {
    /// Node.js 18 or later, with npm.
    pub node: bool,
    /// Chromium.
    pub browser: bool,
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
        if wanted.node
            && let Some(folder) = node::folder_to_add(environment, progress).await?
        {
            variables.push(("PATH", in_front_of_path(folder, environment)?));
        }
        if wanted.browser {
            variables.push(("CHROMIUM", chromium::executable(environment, progress).await?.into()));
        }
        Ok(Self { variables })
    }

    /// What to add to the command's environment.
    pub fn variables(&self) -> Vec<(&'static str, OsString)> {
        self.variables.clone()
    }
}

fn in_front_of_path(folder: PathBuf, environment: &Environment) -> Result<OsString> {
    let folders = [folder].into_iter().chain(environment.search_path());
    env::join_paths(folders).context("a folder with a colon in its name cannot stand in PATH")
}
