//! Node.js with npm.
//!
//! Debian's Node.js reads a few of its own modules from `/usr/share/nodejs` before it runs anything, a path that
//! is compiled into its library. In the unpacked copy that path is replaced by one of the same length: that of an
//! open file, which the script in front of the program opens on the unpacked folder.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::environment::Environment;
use crate::packages::{Packages, Unpacked};
use crate::progress::Progress;
use crate::tools::{script, scripts};

/// The oldest major version that the tests run on.
const OLDEST: u32 = 18;

const COMPILED_IN: &[u8] = b"/usr/share/nodejs";
const REPLACEMENT: &[u8] = b"/proc/self/fd/200";

/// The folder to put in front of PATH, or `None` when what is installed will do.
///
/// # Errors
/// When Node.js is neither installed nor to be fetched.
pub(super) async fn folder_to_add(environment: &Environment, progress: &Progress) -> Result<Option<PathBuf>> {
    if is_installed(environment) {
        return Ok(None);
    }
    let how =
        format!("Node.js {OLDEST} or later with npm was not found and cannot be fetched here: install it");
    let packages = Packages::of_this_machine(environment)?.context(how)?;
    let unpacked = packages.unpacked_and("node", &["nodejs", "npm"], progress, make_it_run).await?;
    Ok(Some(scripts(&unpacked)))
}

fn is_installed(environment: &Environment) -> bool {
    let (Some(node), Some(_)) = (environment.program("node"), environment.program("npm")) else {
        return false;
    };
    let told = Command::new(node).arg("--version").output();
    told.is_ok_and(|told| major_version(&String::from_utf8_lossy(&told.stdout)).is_some_and(|v| v >= OLDEST))
}

/// The 18 in `v18.20.4`.
fn major_version(told: &str) -> Option<u32> {
    told.trim().strip_prefix('v')?.split('.').next()?.parse().ok()
}

fn make_it_run(unpacked: &Unpacked) -> Result<()> {
    let root = unpacked.root();
    for library in libraries(root) {
        let bytes = fs::read(&library)?;
        fs::write(&library, replaced(&bytes, COMPILED_IN, REPLACEMENT))?;
    }
    if !root.join("usr/share/nodejs/npm/bin/npm-cli.js").is_file() {
        bail!("the distribution's npm is laid out in an unknown way: install Node.js {OLDEST} or later");
    }
    // The plain shell cannot open a file under a number of three digits; Bash can.
    let preparation = "exec 200<\"$root/usr/share/nodejs\" || exit";
    let node = "\"$root/usr/bin/node\"";
    let npm = "\"$root/usr/share/nodejs/npm/bin";
    script(unpacked, "node", preparation, node)?;
    script(unpacked, "npm", preparation, &format!("{node} {npm}/npm-cli.js\""))?;
    script(unpacked, "npx", preparation, &format!("{node} {npm}/npx-cli.js\""))
}

/// The files `libnode.so.N` wherever this kind of machine keeps its libraries.
fn libraries(root: &Path) -> Vec<PathBuf> {
    let children =
        |folder: &Path| fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    let files = children(&root.join("usr/lib")).flat_map(|folder| children(&folder).collect::<Vec<_>>());
    let name =
        |file: &PathBuf| file.file_name().unwrap_or_default().to_string_lossy().starts_with("libnode.so");
    files.filter(|file| name(file) && !file.is_symlink()).collect()
}

/// `bytes` with each `from` turned into `to`, which is as long: offsets inside the file stay as they are.
fn replaced(bytes: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    let mut at = 0;
    while let Some(found) = bytes[at..].windows(from.len()).position(|window| window == from) {
        bytes[at + found..at + found + from.len()].copy_from_slice(to);
        at += found + from.len();
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_read_from_what_node_tells() {
        assert_eq!(major_version("v18.20.4\n"), Some(18));
        assert_eq!(major_version("not node"), None);
    }

    #[test]
    fn every_compiled_in_path_is_replaced_and_nothing_moves() {
        assert_eq!(COMPILED_IN.len(), REPLACEMENT.len());
        let before = b"\0/usr/share/nodejs/a.js\0/usr/share/nodejs/b.js\0/usr/share/node";
        let after = b"\0/proc/self/fd/200/a.js\0/proc/self/fd/200/b.js\0/usr/share/node";
        assert_eq!(replaced(before, COMPILED_IN, REPLACEMENT), after);
    }
}
