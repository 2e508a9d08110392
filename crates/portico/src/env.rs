//! `portico env`: the settings of what runs, for a service that someone runs beside it.

use std::io::{Write, stdout};
use std::process::ExitCode;

use anyhow::Result;

use crate::attach::running;
use crate::environment::Environment;

/// Prints a line of shell for each variable: `eval "$(portico env)"`.
///
/// # Errors
/// When nothing runs.
pub fn run(environment: &Environment) -> Result<ExitCode> {
    for (name, value) in running(environment)?.variables {
        writeln!(stdout(), "export {name}='{}'", value.replace('\'', r"'\''"))?;
    }
    Ok(ExitCode::SUCCESS)
}
