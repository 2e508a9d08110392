//! Where the program nginx is, and its module njs.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::backend::bare_environment;
use crate::environment::Environment;
use crate::packages::{Packages, Unpacked};
use crate::progress::Progress;

/// The oldest version that takes the place of its first log lines as an argument.
const OLDEST: [u32; 2] = [1, 20];

/// Files besides those of PATH, where an ordinary user's has no `/usr/sbin`: Debian's and the Red Hat family's,
/// Homebrew's on its three kinds of machine.
const FILES: [&str; 4] = [
    "/usr/sbin/nginx",
    "/opt/homebrew/bin/nginx",
    "/usr/local/bin/nginx",
    "/home/linuxbrew/.linuxbrew/bin/nginx",
];

/// The file of the module.
const MODULE: &str = "ngx_http_js_module.so";

/// Where Debian's packages have the program and the module, below a root.
const IN_PACKAGE: [&str; 2] = ["usr/sbin/nginx", "usr/lib/nginx/modules/ngx_http_js_module.so"];

/// An nginx, and the njs that belongs to it.
#[derive(Clone, Debug)]
pub(crate) struct Programs {
    nginx: PathBuf,
    module: Option<PathBuf>,
    version: String,
    /// What the loader needs to be told when the libraries are not where the system keeps them.
    libraries: Option<OsString>,
    origin: &'static str,
}

impl Programs {
    fn of_file(nginx: &Path, libraries: Option<OsString>, origin: &'static str) -> Option<Self> {
        if !nginx.is_file() {
            return None;
        }
        let mut asked = Command::new(nginx);
        asked.arg("-V").envs(libraries.iter().map(|path| ("LD_LIBRARY_PATH", path)));
        let told = String::from_utf8(asked.output().ok()?.stderr).ok()?;
        let version = version(&told).filter(|version| is_new_enough(version))?.to_owned();
        let module = folder_of_modules(&told).map(|folder| folder.join(MODULE)).filter(|file| file.is_file());
        Some(Self { nginx: nginx.to_owned(), module, version, libraries, origin })
    }

    /// Its file.
    pub(crate) fn nginx(&self) -> &Path {
        &self.nginx
    }

    /// The file of njs, where it is there.
    pub(crate) fn module(&self) -> Option<&Path> {
        self.module.as_deref()
    }

    /// What LD_LIBRARY_PATH must be for it, where that matters.
    pub(crate) fn libraries(&self) -> Option<&OsStr> {
        self.libraries.as_deref()
    }

    /// The version, such as `1.22.1`.
    pub(crate) fn version(&self) -> &str {
        &self.version
    }

    /// Where it comes from, in a word.
    pub(crate) fn origin(&self) -> &'static str {
        self.origin
    }

    /// The same without njs.
    pub(crate) fn without_module(self) -> Self {
        Self { module: None, ..self }
    }

    /// All of the environment that it needs.
    pub(crate) fn environment(&self) -> Vec<(&'static str, OsString)> {
        bare_environment(self.libraries.as_deref())
    }
}

impl fmt::Display for Programs {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}, {} ({})", self.version, self.origin, self.nginx.display())
    }
}

/// The installed program with the installed njs, with that of the packages, or without it; else both from the packages;
/// `None` where there is none of these. A module that can't be had is told.
pub(crate) async fn find(environment: &Environment, progress: &Progress) -> Option<Programs> {
    let files = environment.search_path().into_iter().map(|folder| folder.join("nginx"));
    let mut files = files.chain(FILES.map(PathBuf::from));
    let installed = files.find_map(|file| Programs::of_file(&file, None, "installed"));
    match installed {
        Some(installed) if installed.module.is_some() => Some(installed),
        Some(installed) => Some(with_fetched_module(installed, environment, progress).await),
        None => fetched(environment, progress).await,
    }
}

/// The packages' njs is of the packages' version: where that is another, their nginx comes with it.
async fn with_fetched_module(
    installed: Programs,
    environment: &Environment,
    progress: &Progress,
) -> Programs {
    let Some(unpacked) = unpacked("nginx-njs", &["libnginx-mod-http-js"], environment, progress).await else {
        return installed;
    };
    let [nginx, module] = IN_PACKAGE.map(|file| unpacked.root().join(file));
    let libraries = Some(unpacked.library_path());
    let pair = Programs::of_file(&nginx, libraries.clone(), "packages unpacked in the cache");
    let programs = pair.unwrap_or(Programs { libraries, ..installed });
    Programs { module: Some(module).filter(|file| file.is_file()), ..programs }
}

async fn fetched(environment: &Environment, progress: &Progress) -> Option<Programs> {
    let both = unpacked("nginx", &["nginx", "libnginx-mod-http-js"], environment, progress).await;
    let unpacked = match both {
        Some(both) => both,
        None => unpacked("nginx-alone", &["nginx"], environment, progress).await?,
    };
    let [nginx, module] = IN_PACKAGE.map(|file| unpacked.root().join(file));
    let programs =
        Programs::of_file(&nginx, Some(unpacked.library_path()), "packages unpacked in the cache")?;
    Some(Programs { module: Some(module).filter(|file| file.is_file()), ..programs })
}

async fn unpacked(
    set: &str,
    names: &[&str],
    environment: &Environment,
    progress: &Progress,
) -> Option<Unpacked> {
    let packages = Packages::of_this_machine(environment).ok()??;
    match packages.unpacked(set, names, progress).await {
        Ok(unpacked) => Some(unpacked),
        Err(error) => {
            progress.note(&format!("{} can't be fetched: {error:#}", names.join(" and ")));
            None
        }
    }
}

/// The 1.22.1 in `nginx version: nginx/1.22.1 (Ubuntu)`.
fn version(told: &str) -> Option<&str> {
    told.split_once("nginx/")?.1.split(|c: char| c.is_whitespace()).next()
}

fn is_new_enough(version: &str) -> bool {
    let mut parts = version.split('.').map_while(|part| part.parse::<u32>().ok());
    let version = [parts.next().unwrap_or_default(), parts.next().unwrap_or_default()];
    version >= OLDEST
}

/// The folder in `--modules-path=/usr/lib/nginx/modules`.
fn folder_of_modules(told: &str) -> Option<PathBuf> {
    let path = told.split_once("--modules-path=")?.1.split_whitespace().next()?;
    Some(PathBuf::from(path.trim_matches('\'')))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOLD: &str = "nginx version: nginx/1.22.1\nbuilt with OpenSSL 3.0.22\nconfigure arguments: \
         --prefix=/usr/share/nginx --modules-path=/usr/lib/nginx/modules --with-compat\n";

    #[test]
    fn the_version_and_the_place_of_modules_are_read_from_what_nginx_tells() {
        assert_eq!(version(TOLD), Some("1.22.1"));
        assert_eq!(folder_of_modules(TOLD).as_deref(), Some(Path::new("/usr/lib/nginx/modules")));
        assert_eq!(version("Tengine version: 3"), None);
    }

    #[test]
    fn a_version_that_is_too_old_is_not_taken() {
        assert!(is_new_enough("1.20.0") && is_new_enough("1.29.3") && is_new_enough("2.0"));
        assert!(!is_new_enough("1.18.0") && !is_new_enough(""));
    }
}
