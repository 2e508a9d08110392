//! `portico sdl`: the graph's schema, as `schema.graphql` holds it.

use std::io::{Write, stdout};
use std::process::ExitCode;

use anyhow::Result;

/// Prints the schema: an Apollo Federation v2 subgraph.
///
/// # Errors
/// When the standard output is closed.
pub fn run() -> Result<ExitCode> {
    stdout().write_all(gateway::sdl().as_bytes())?;
    Ok(ExitCode::SUCCESS)
}
