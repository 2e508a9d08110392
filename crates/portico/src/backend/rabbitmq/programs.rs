//! Where the programs of RabbitMQ and of Erlang, in which it is written, are.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::{env, fmt, fs};

use anyhow::{Context, Result, ensure};

use crate::environment::Environment;
use crate::packages::Unpacked;

/// The oldest version whose quorum queues hand a dead letter on only once it is safe in its next queue.
const OLDEST: [u32; 2] = [3, 10];

/// Folders with RabbitMQ's scripts: Debian's and the Red Hat family's, Homebrew's on its three kinds of machine.
const FOLDERS: [&str; 4] = [
    "/usr/lib/rabbitmq/bin",
    "/opt/homebrew/opt/rabbitmq/sbin",
    "/usr/local/opt/rabbitmq/sbin",
    "/home/linuxbrew/.linuxbrew/opt/rabbitmq/sbin",
];

/// Folders with Erlang's programs, besides those of PATH.
const ERLANGS: [&str; 4] = [
    "/usr/bin",
    "/opt/homebrew/opt/erlang/bin",
    "/usr/local/opt/erlang/bin",
    "/home/linuxbrew/.linuxbrew/opt/erlang/bin",
];

/// RabbitMQ's scripts of one version, and the Erlang that they run on.
#[derive(Clone, Debug)]
pub(super) struct Programs {
    scripts: PathBuf,
    /// The folder with `erl` and `epmd`.
    erlang: PathBuf,
    version: String,
    /// What the loader needs to be told when the libraries are not where the system keeps them.
    libraries: Option<OsString>,
    origin: &'static str,
}

impl Programs {
    /// The scripts in `folder`, if the server is there in a version that is new enough. Debian's `/usr/sbin` has a
    /// wrapper of the same name, which changes to a user and to folders of its own; beside the script itself stands
    /// `rabbitmq-env`.
    fn in_folder(
        folder: &Path,
        erlang: &Path,
        libraries: Option<OsString>,
        origin: &'static str,
    ) -> Option<Self> {
        let scripts = folder.join("rabbitmq-server");
        if !folder.join("rabbitmq-env").is_file() {
            return None;
        }
        let home = scripts.canonicalize().ok()?.parent()?.parent()?.to_owned();
        let version = fs::read_dir(home.join("plugins"))
            .ok()?
            .flatten()
            .find_map(|entry| version_of_plugin(&entry.file_name().to_string_lossy()).map(str::to_owned))?;
        is_new_enough(&version).then(|| Self {
            scripts: folder.to_owned(),
            erlang: erlang.to_owned(),
            version,
            libraries,
            origin,
        })
    }

    /// The file of one of RabbitMQ's scripts.
    pub(super) fn script(&self, name: &str) -> PathBuf {
        self.scripts.join(name)
    }

    /// The file of one of Erlang's programs.
    pub(super) fn erlang(&self, name: &str) -> PathBuf {
        self.erlang.join(name)
    }

    /// The version, such as `3.10.8`.
    pub(super) fn version(&self) -> &str {
        &self.version
    }

    /// Where it comes from, in a word.
    pub(super) fn origin(&self) -> &'static str {
        self.origin
    }

    /// What each of the programs needs in its environment, whatever it does. Our own stays out of it.
    pub(super) fn environment(&self) -> Vec<(&'static str, OsString)> {
        let folders = [self.erlang.as_path(), Path::new("/usr/bin"), Path::new("/bin")];
        let path = env::join_paths(folders).unwrap_or_else(|_| OsString::from("/usr/bin:/bin"));
        let mut variables = vec![("PATH", path), ("LANG", OsString::from("C.UTF-8"))];
        variables.extend(self.libraries.clone().map(|path| ("LD_LIBRARY_PATH", path)));
        variables
    }
}

impl fmt::Display for Programs {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}, {} ({})", self.version, self.origin, self.scripts.display())
    }
}

/// The installed programs.
pub(super) fn installed(environment: &Environment) -> Option<Programs> {
    let erlangs = environment.search_path().into_iter().chain(ERLANGS.map(PathBuf::from));
    // `/usr/bin/erl` is a link, and `epmd` need not be linked beside it.
    let erl =
        erlangs.filter_map(|folder| folder.join("erl").canonicalize().ok()).find(|erl| erl.is_file())?;
    let folders = FOLDERS.map(PathBuf::from).into_iter().chain(environment.search_path());
    folders.into_iter().find_map(|folder| Programs::in_folder(&folder, erl.parent()?, None, "installed"))
}

/// The programs among unpacked packages.
pub(super) fn unpacked(packages: &Unpacked) -> Option<Programs> {
    let inside = |folder: &str| packages.root().join(folder);
    let libraries = Some(packages.library_path());
    let origin = "packages unpacked in the cache";
    Programs::in_folder(&inside("usr/lib/rabbitmq/bin"), &inside("usr/lib/erlang/bin"), libraries, origin)
}

/// Lets an unpacked Erlang find itself: its script names the folder that the package would be installed in.
///
/// # Errors
/// When the script cannot be changed, or is laid out in an unknown way.
pub(super) fn let_erlang_find_itself(packages: &Unpacked) -> Result<()> {
    const COMPILED_IN: &str = "ROOTDIR=/usr/lib/erlang";
    const FOUND: &str = "ROOTDIR=$(dirname \"$(dirname \"$(readlink -f \"$0\")\")\")";
    let erl = packages.root().join("usr/lib/erlang/bin/erl");
    let script = fs::read_to_string(&erl).with_context(|| format!("cannot read {erl:?}"))?;
    ensure!(script.contains(COMPILED_IN), "the distribution's Erlang is laid out in an unknown way");
    fs::write(&erl, script.replace(COMPILED_IN, FOUND)).with_context(|| format!("cannot write {erl:?}"))
}

/// The 3.10.8 in `rabbit-3.10.8` and in `rabbit-3.10.8.ez`, which is the plugin that the server itself is.
fn version_of_plugin(name: &str) -> Option<&str> {
    let version = name.strip_prefix("rabbit-")?;
    Some(version.strip_suffix(".ez").unwrap_or(version))
}

fn is_new_enough(version: &str) -> bool {
    let mut numbers = version.split('.').map(|number| number.parse().unwrap_or(0));
    [numbers.next().unwrap_or(0), numbers.next().unwrap_or(0)] >= OLDEST
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_read_from_the_name_of_the_servers_own_plugin() {
        assert_eq!(version_of_plugin("rabbit-3.10.8"), Some("3.10.8"));
        assert_eq!(version_of_plugin("rabbit-4.1.0.ez"), Some("4.1.0"));
        assert_eq!(version_of_plugin("rabbit_common-3.10.8"), None);
        assert_eq!(version_of_plugin("rabbitmq_management-3.10.8"), None);
    }

    #[test]
    fn versions_are_compared_by_their_numbers() {
        for (version, new_enough) in [("3.9.13", false), ("3.10.0", true), ("3.8", false), ("4.0.2", true)] {
            assert_eq!(is_new_enough(version), new_enough, "{version}");
        }
    }
}
