//! Python 3 with pika, the AMQP client, and pip.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};

use crate::environment::Environment;
use crate::packages::{Packages, Unpacked};
use crate::progress::Progress;
use crate::tools::{script, scripts};

/// What is unpacked, below `usr/lib/python3/dist-packages`.
const MODULES: [&str; 2] = ["pika", "pip"];

/// The folder to put in front of PATH, or `None` when what is installed will do.
///
/// # Errors
/// When it is neither installed nor to be fetched.
pub(super) async fn folder_to_add(environment: &Environment, progress: &Progress) -> Result<Option<PathBuf>> {
    if is_installed(environment) {
        return Ok(None);
    }
    let how = "Python 3 with pika and pip was not found and cannot be fetched here: install it";
    let packages = Packages::of_this_machine(environment)?.context(how)?;
    let names = ["python3", "python3-pika", "python3-pip"];
    let unpacked = packages.unpacked_and("python-with-pip", &names, progress, make_it_run).await?;
    Ok(Some(scripts(&unpacked)))
}

fn is_installed(environment: &Environment) -> bool {
    environment.program("python3").is_some_and(|python| {
        let tried = Command::new(python).args(["-c", "import pika, pip"]).stderr(Stdio::null()).status();
        tried.is_ok_and(|status| status.success())
    })
}

/// Where the distribution's Python is installed and only modules were missing, only those are unpacked.
fn make_it_run(unpacked: &Unpacked) -> Result<()> {
    let modules = unpacked.root().join("usr/lib/python3/dist-packages");
    ensure!(
        MODULES.iter().any(|module| modules.join(module).is_dir()),
        "the distribution's pika and pip are laid out in an unknown way"
    );
    let preparation = "\
python=$root/usr/bin/python3
if [[ -x $python ]]; then export PYTHONHOME=$root/usr; else python=/usr/bin/python3; fi
export PYTHONPATH=${PYTHONPATH:+$PYTHONPATH:}$root/usr/lib/python3/dist-packages";
    script(unpacked, "python3", preparation, "\"$python\"")
}
