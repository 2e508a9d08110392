//! Chromium.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result, ensure};

use crate::environment::Environment;
use crate::packages::{Packages, Unpacked};
use crate::progress::Progress;
use crate::tools::{script, scripts};

/// The names under which it is installed, and that of its relative which takes the same commands.
const NAMES: [&str; 4] = ["chromium", "chromium-browser", "google-chrome-stable", "google-chrome"];

const HOW_TO_GET_IT: &str =
    "Chromium was not found and cannot be fetched here: install it, or set CHROMIUM to its file";

/// The file to run: what CHROMIUM names, what is installed, or a script in the cache.
///
/// # Errors
/// When it is neither installed nor to be fetched.
pub(super) async fn executable(environment: &Environment, progress: &Progress) -> Result<PathBuf> {
    if let Some(named) = environment.text("CHROMIUM") {
        return Ok(PathBuf::from(named));
    }
    if let Some(installed) = NAMES.iter().find_map(|name| environment.program(name)) {
        return Ok(installed);
    }
    let packages = Packages::of_this_machine(environment)?.context(HOW_TO_GET_IT)?;
    let names = ["chromium", "fonts-dejavu-core"];
    let unpacked = packages.unpacked_and("chromium", &names, progress, make_it_run).await?;
    Ok(scripts(&unpacked).join("chromium"))
}

/// The sandbox's helper must belong to root and carry its right, which an unpacked one does not; the tests look
/// at pages of our own alone. Without a configuration that names the unpacked fonts, it would have none.
fn make_it_run(unpacked: &Unpacked) -> Result<()> {
    let root = unpacked.root();
    // On Ubuntu the package only points at another way to install it.
    ensure!(root.join("usr/lib/chromium/chromium").is_file(), HOW_TO_GET_IT);
    let preparation = "export FONTCONFIG_FILE=$root/portico/fonts.conf";
    script(unpacked, "chromium", preparation, "\"$root/usr/lib/chromium/chromium\" --no-sandbox")?;
    fs::write(scripts(unpacked).join("fonts.conf"), FONTS).context("cannot write fonts.conf")
}

const FONTS: &str = "<?xml version=\"1.0\"?>
<!DOCTYPE fontconfig SYSTEM \"fonts.dtd\">
<fontconfig>
  <dir prefix=\"relative\">../usr/share/fonts</dir>
  <dir>/usr/share/fonts</dir>
  <cachedir prefix=\"xdg\">fontconfig</cachedir>
</fontconfig>
";
