//! The command `portico`: see the library beside it.

use std::process::ExitCode;

fn main() -> ExitCode {
    portico::run()
}
