//! `portico documents manifest`: the trusted documents of a gateway, out of the .graphql files of its clients.

use std::fs;
use std::io::{Write, stdout};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use clap::{Args, Subcommand};
use gateway::{DocumentFile, LimitConfig};

/// The arguments of `documents`.
#[derive(Args, Clone, Debug)]
pub struct DocumentsCommand {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand, Clone, Debug)]
enum Action {
    /// Print the manifest of all operations in the .graphql and .gql files of a folder (GATEWAY_TRUSTED_DOCUMENTS)
    Manifest(Manifest),
}

#[derive(Args, Clone, Debug)]
struct Manifest {
    /// The folder, with all that is below it
    folder: PathBuf,
    /// The limits that the gateway will have
    #[command(flatten)]
    limits: LimitConfig,
}

impl DocumentsCommand {
    /// Prints what was asked for.
    ///
    /// # Errors
    /// When files can't be read, or what they hold is not good: each fault is a line with its file and its place.
    pub fn run(&self) -> Result<ExitCode> {
        let Action::Manifest(manifest) = &self.action;
        let files = manifest.files()?;
        let made = gateway::manifest(&files, &manifest.limits);
        let json = made.map_err(|faults| {
            let faults: Vec<String> = faults.iter().map(ToString::to_string).collect();
            anyhow::anyhow!("the documents are not good:\n{}", faults.join("\n"))
        })?;
        stdout().write_all((json + "\n").as_bytes())?;
        Ok(ExitCode::SUCCESS)
    }
}

impl Manifest {
    fn files(&self) -> Result<Vec<DocumentFile>> {
        let mut paths = Vec::new();
        collect(&self.folder, &mut paths)?;
        paths.sort();
        if paths.is_empty() {
            bail!("there is no .graphql or .gql file in {}", self.folder.display());
        }
        let read = |path: &PathBuf| {
            let text = fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
            Ok(DocumentFile { name: path.display().to_string(), text })
        };
        paths.iter().map(read).collect()
    }
}

/// Adds the files below `folder` that may hold documents. A link to a folder is not followed: it may lead back.
fn collect(folder: &Path, paths: &mut Vec<PathBuf>) -> Result<()> {
    let entries = fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))?;
    for entry in entries {
        let entry = entry?;
        let path = entry.path();
        if entry.file_type()?.is_dir() {
            collect(&path, paths)?;
        } else if path.extension().is_some_and(|kind| kind == "graphql" || kind == "gql") {
            paths.push(path);
        }
    }
    Ok(())
}
