//! A program that needs nothing but its libraries, from the distribution's package, mostly of the same name.

use std::path::PathBuf;

use anyhow::{Context, Result, ensure};

use crate::environment::Environment;
use crate::packages::Packages;
use crate::progress::Progress;
use crate::tools::{script, scripts};

/// Which package has a program, if its name is another.
const PACKAGES: [(&str, &str); 1] = [("promtool", "prometheus")];

/// What Debian 12 has not, or not in a version that reads today's files.
const NEWER: [&str; 3] = ["kustomize", "docker-compose", "kubectl"];

/// The folder to put in front of PATH, or `None` when the program is installed.
///
/// # Errors
/// When it is neither installed nor to be fetched.
pub(super) async fn folder_to_add(
    name: &str,
    environment: &Environment,
    progress: &Progress,
) -> Result<Option<PathBuf>> {
    ensure!(
        name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-'),
        "{name:?} is no program's name"
    );
    if environment.program(name).is_some() {
        return Ok(None);
    }
    let how = || format!("{name} was not found and cannot be fetched here: install it");
    let packages = Packages::of_this_machine(environment)?.with_context(how)?;
    let packages = if NEWER.contains(&name) { packages.or_newer() } else { packages };
    let package = PACKAGES.iter().find(|(program, _)| *program == name).map_or(name, |(_, package)| package);
    let make_it_run = |unpacked: &crate::packages::Unpacked| {
        ensure!(unpacked.root().join("usr/bin").join(name).is_file(), how());
        script(unpacked, name, "", &format!("\"$root/usr/bin/{name}\""))
    };
    let unpacked = packages.unpacked_and(name, &[package], progress, make_it_run).await?;
    Ok(Some(scripts(&unpacked)))
}
