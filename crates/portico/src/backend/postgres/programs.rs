//! Where the programs of Postgres are.

use std::ffi::OsString;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::backend::bare_environment;
use crate::environment::Environment;
use crate::packages::Unpacked;

/// The oldest major version that the migrations are written for.
const OLDEST: u32 = 15;

/// Folders of which each child may hold `bin`: Debian's and Ubuntu's, the Postgres project's own for the Red Hat
/// family, Homebrew's on its three kinds of machine.
const PARENTS: [&str; 5] =
    ["/usr/lib/postgresql", "/usr", "/opt/homebrew/opt", "/usr/local/opt", "/home/linuxbrew/.linuxbrew/opt"];

/// `postgres` and `initdb` of one version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Programs {
    bin: PathBuf,
    version: u32,
    /// What the loader needs to be told when the libraries are not where the system keeps them.
    libraries: Option<OsString>,
    origin: &'static str,
}

impl Programs {
    /// The programs in `bin`, if both are there and the server tells a version that is new enough.
    fn in_folder(bin: &Path, libraries: Option<OsString>, origin: &'static str) -> Option<Self> {
        let postgres = bin.join("postgres");
        if !postgres.is_file() || !bin.join("initdb").is_file() {
            return None;
        }
        let mut asked = Command::new(postgres);
        asked.arg("--version").envs(libraries.iter().map(|path| ("LD_LIBRARY_PATH", path)));
        let version = major_version(&String::from_utf8(asked.output().ok()?.stdout).ok()?)?;
        (version >= OLDEST).then(|| Self { bin: bin.to_owned(), version, libraries, origin })
    }

    /// The file of one of the programs.
    pub(super) fn program(&self, name: &str) -> PathBuf {
        self.bin.join(name)
    }

    /// The major version.
    pub(super) fn version(&self) -> u32 {
        self.version
    }

    /// Where it comes from, in a word.
    pub(super) fn origin(&self) -> &'static str {
        self.origin
    }

    /// All of the environment that they need.
    pub(super) fn environment(&self) -> Vec<(&'static str, OsString)> {
        bare_environment(self.libraries.as_deref())
    }
}

impl fmt::Display for Programs {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}, {} ({})", self.version, self.origin, self.bin.display())
    }
}

/// The installed programs of version `wanted`, or else of the highest version there is.
pub(super) fn installed(environment: &Environment, wanted: Option<u32>) -> Option<Programs> {
    let known = PARENTS.iter().flat_map(|parent| children(Path::new(parent)));
    let known = known.filter(|folder| names_postgres(folder)).map(|folder| folder.join("bin"));
    let found = known.chain(environment.search_path());
    best(found.filter_map(|bin| Programs::in_folder(&bin, None, "installed")), wanted)
}

/// The programs among unpacked packages.
pub(super) fn unpacked(packages: &Unpacked, wanted: Option<u32>) -> Option<Programs> {
    let folders = children(&packages.root().join("usr/lib/postgresql"));
    let libraries = packages.library_path();
    let found = folders.map(|folder| {
        Programs::in_folder(&folder.join("bin"), Some(libraries.clone()), "packages unpacked in the cache")
    });
    best(found.flatten(), wanted)
}

/// Of equal versions, the one that was found first.
fn best(found: impl Iterator<Item = Programs>, wanted: Option<u32>) -> Option<Programs> {
    let fitting = found.filter(|programs| wanted.is_none_or(|wanted| programs.version == wanted));
    fitting.reduce(|best, next| if next.version > best.version { next } else { best })
}

fn children(folder: &Path) -> impl Iterator<Item = PathBuf> + use<> {
    fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path())
}

/// Whether a folder is called `15`, `pgsql-15`, `postgresql` or `postgresql@15`.
fn names_postgres(folder: &Path) -> bool {
    let name = folder.file_name().unwrap_or_default().to_string_lossy();
    let name = name.trim_end_matches(|c: char| c.is_ascii_digit());
    matches!(name, "" | "pgsql-" | "postgresql" | "postgresql@")
}

/// The 15 in `postgres (PostgreSQL) 15.20 (Debian 15.20-0+deb12u1)`. Tests of a version say `17beta1`.
fn major_version(told: &str) -> Option<u32> {
    let version = told.split_once("(PostgreSQL) ")?.1;
    let digits = version.split(|c: char| !c.is_ascii_digit()).next()?;
    digits.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(version: u32, bin: &str) -> Programs {
        Programs { bin: PathBuf::from(bin), version, libraries: None, origin: "installed" }
    }

    #[test]
    fn the_major_version_is_read_from_what_the_server_tells() {
        assert_eq!(major_version("postgres (PostgreSQL) 15.20 (Debian 15.20-0+deb12u1)\n"), Some(15));
        assert_eq!(major_version("postgres (PostgreSQL) 17beta1\n"), Some(17));
        assert_eq!(major_version("mysqld 8.0"), None);
    }

    #[test]
    fn the_highest_version_is_taken_and_of_two_equal_ones_the_first() {
        let found = [version(15, "/a"), version(17, "/b"), version(17, "/c")];
        assert_eq!(best(found.into_iter(), None), Some(version(17, "/b")));
    }

    #[test]
    fn data_that_is_there_decides_the_version() {
        let found = [version(15, "/a"), version(17, "/b")];
        assert_eq!(best(found.clone().into_iter(), Some(15)), Some(version(15, "/a")));
        assert_eq!(best(found.into_iter(), Some(16)), None);
    }

    #[test]
    fn folders_of_postgres_are_known_by_their_names() {
        for name in ["/usr/lib/postgresql/15", "/usr/pgsql-16", "/opt/homebrew/opt/postgresql@17"] {
            assert!(names_postgres(Path::new(name)), "{name}");
        }
        assert!(!names_postgres(Path::new("/usr/share")));
    }
}
