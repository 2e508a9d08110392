//! `portico openapi`: the document of the REST interface, as `docs/openapi.json` holds it.

use std::io::{Write, stdout};
use std::process::ExitCode;

use anyhow::Result;

/// Prints the OpenAPI document.
///
/// # Errors
/// When the standard output is closed.
pub fn run() -> Result<ExitCode> {
    stdout().write_all(gateway::openapi().as_bytes())?;
    Ok(ExitCode::SUCCESS)
}
