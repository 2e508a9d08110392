//! `portico events catalogue`: what subscribers can rely on, written from the protos and never by hand.
//!
//! | file | for |
//! |---|---|
//! | `events.md` | people |
//! | `events/asyncapi.json` | programs: AsyncAPI 3.0 with a JSON Schema of each event |
//! | `events/contract.txt` | ourselves: all that was ever promised, a line each, see [`contract`] |
//!
//! A change that breaks a subscriber is refused, and nothing is written.

mod asyncapi;
pub mod contract;
mod envelope;
mod example;
mod page;
mod schema;
pub mod shape;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use clap::Args;

use self::contract::Contract;
use self::shape::Event;

const PAGE: &str = "events.md";
const ASYNCAPI: &str = "events/asyncapi.json";
const CONTRACT: &str = "events/contract.txt";

/// The arguments of `events catalogue`.
#[derive(Args, Clone, Debug)]
pub struct Catalogue {
    /// The folder to write to
    #[arg(long, default_value = "docs")]
    folder: PathBuf,
    /// Write it even if subscribers break: only while there can't be any
    #[arg(long)]
    allow_breaking: bool,
}

impl Catalogue {
    /// Writes the catalogue.
    ///
    /// # Errors
    /// When it would break a promise that `events/contract.txt` holds, or when a file can't be read or written.
    pub fn run(&self) -> Result<ExitCode> {
        let events = shape::events()?;
        if !self.allow_breaking {
            let promised = read(&self.folder.join(CONTRACT))?.parse::<Contract>()?;
            let breaks = promised.broken_by(&Contract::of(&events));
            if !breaks.is_empty() {
                bail!(contract::advice(&breaks));
            }
        }
        for (file, text) in files(&events)? {
            let path = self.folder.join(file);
            let folder = path.parent().unwrap_or(&self.folder);
            fs::create_dir_all(folder)
                .and_then(|()| fs::write(&path, text))
                .with_context(|| format!("cannot write {path:?}"))?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn read(path: &Path) -> Result<String> {
    fs::read_to_string(path).with_context(|| format!("cannot read {path:?}, which holds what was promised"))
}

/// The text of each file, under its name in the folder.
fn files(events: &[Event]) -> Result<[(&'static str, String); 3]> {
    let asyncapi = serde_json::to_string_pretty(&asyncapi::document(events))? + "\n";
    let contract = Contract::of(events).to_string();
    Ok([(PAGE, page::of(events)), (ASYNCAPI, asyncapi), (CONTRACT, contract)])
}

#[cfg(test)]
mod tests;
