//! The distribution's own packages, unpacked into a cache folder of ours: nothing is installed, nothing is
//! started by the system, and no right of root's is needed.
//!
//! `apt-get` works here on lists of its own in a folder of ours, so stale or missing lists of the system do not
//! matter, and which packages are missing on this very machine is worked out by its simulated `install`.
//!
//! Guarantees: what is in the cache is whole (it gets its name when all is unpacked), and two runs that need the
//! same packages fetch them once.

mod apt;

use std::env;
use std::ffi::OsString;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::environment::Environment;
use crate::progress::Progress;
use crate::state::make_folder;
use apt::Apt;

/// A machine of the Debian family, and the cache folder for its release.
#[derive(Debug)]
pub struct Packages {
    apt: Apt,
    folder: PathBuf,
    distribution: String,
    codename: String,
}

/// The release after Debian 12, whose archive is signed by keys that Debian 12 has.
const NEWER: &str = "trixie";

/// Packages that were unpacked.
#[derive(Clone, Debug)]
pub struct Unpacked {
    root: PathBuf,
}

impl Packages {
    /// The packages of this machine, or `None` when it is not of the Debian family.
    ///
    /// # Errors
    /// When there is no place for a cache.
    pub fn of_this_machine(environment: &Environment) -> Result<Option<Self>> {
        let release = OsRelease::read(&fs::read_to_string("/etc/os-release").unwrap_or_default());
        let (Some(apt), true) = (Apt::of(environment), release.of_debian_family()) else { return Ok(None) };
        let folder = environment.cache_folder()?.join("packages").join(release.folder_name());
        Ok(Some(Self { apt, folder, distribution: release.name, codename: release.codename }))
    }

    /// The packages of Debian 13 where this machine is a Debian 12, which lacks some or has them only in an old version;
    /// elsewhere the same as before. For programs that need nothing but the C library: the machine's own is kept.
    #[must_use]
    pub fn or_newer(mut self) -> Self {
        if self.codename == "bookworm" {
            self.apt = self.apt.of_release_after("bookworm", NEWER);
            self.distribution = "Debian 13".to_owned();
        }
        self
    }

    /// The packages `names` with all that they depend on and this machine lacks, under the cache's name `set`.
    ///
    /// # Errors
    /// When they cannot be fetched or unpacked; nothing is left in the cache then.
    pub async fn unpacked(&self, set: &str, names: &[&str], progress: &Progress) -> Result<Unpacked> {
        self.unpacked_and(set, names, progress, |_| Ok(())).await
    }

    /// As [`Self::unpacked`], with `change` made to them before anyone sees them.
    ///
    /// # Errors
    /// As there, and when `change` fails.
    pub async fn unpacked_and(
        &self,
        set: &str,
        names: &[&str],
        progress: &Progress,
        change: impl FnOnce(&Unpacked) -> Result<()>,
    ) -> Result<Unpacked> {
        let whole = Unpacked { root: self.folder.join(set) };
        if whole.root.is_dir() {
            return Ok(whole);
        }
        make_folder(&self.folder)?;
        let _lock = self.lock(set).await?;
        if whole.root.is_dir() {
            return Ok(whole);
        }
        self.sweep(set);
        let work = self.folder.join(format!("{set}.new-{:08x}", rand::random::<u32>()));
        let outcome = self.fetch(&work, names, progress).await.and_then(|new| {
            change(&new)?;
            fs::rename(&new.root, &whole.root).with_context(|| format!("cannot make {:?}", whole.root))
        });
        let tidied = fs::remove_dir_all(&work).with_context(|| format!("cannot remove {work:?}"));
        outcome?;
        tidied?;
        Ok(whole)
    }

    /// Removes what killed runs left half done. Their `apt-get` may still be writing there, until it finds that it
    /// can't: so no folder is used twice, and one that cannot be removed now is removed by the next run.
    fn sweep(&self, set: &str) {
        let begun = format!("{set}.new-");
        for entry in fs::read_dir(&self.folder).into_iter().flatten().flatten() {
            if entry.file_name().to_string_lossy().starts_with(&begun) {
                let _ = fs::remove_dir_all(entry.path());
            }
        }
    }

    /// Fetches and unpacks into `work`.
    async fn fetch(&self, work: &Path, names: &[&str], progress: &Progress) -> Result<Unpacked> {
        make_folder(work)?;
        let (what, distribution) = (names.join(" and "), &self.distribution);
        let step = progress.step(&format!("Fetching {what} from the packages of {distribution}, this once"));
        let missing = self.apt.missing(work, names).await?;
        let files = self.apt.download(work, &missing).await?;
        step.done(&format!("{} packages", files.len()));
        let step = progress.step(&format!("Unpacking them in {}", self.folder.display()));
        let root = work.join("root");
        make_folder(&root)?;
        self.apt.unpack(files, &root).await?;
        step.done("");
        Ok(Unpacked { root })
    }

    /// Waits for whoever fetches the same packages now.
    async fn lock(&self, set: &str) -> Result<File> {
        let path = self.folder.join(format!("{set}.lock"));
        let file = File::create(&path).with_context(|| format!("cannot write {path:?}"))?;
        tokio::task::spawn_blocking(move || file.lock().map(|()| file))
            .await?
            .with_context(|| format!("cannot lock {path:?}"))
    }
}

impl Unpacked {
    /// What stands for `/`.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The folders with libraries, in the form of `LD_LIBRARY_PATH`.
    pub fn library_path(&self) -> OsString {
        let parents = ["usr/lib", "lib"].map(|parent| self.root.join(parent));
        let folders = parents.iter().filter_map(|parent| fs::read_dir(parent).ok()).flatten().flatten();
        let folders = folders.filter(|entry| entry.file_name().to_string_lossy().contains("-linux-gnu"));
        // A folder with a colon in its name is the only thing that cannot be joined: the loader has no way to say it.
        env::join_paths(folders.map(|entry| entry.path())).unwrap_or_default()
    }
}

/// What `/etc/os-release` says (os-release(5)).
#[derive(Debug, Default, PartialEq, Eq)]
struct OsRelease {
    id: String,
    like: String,
    version: String,
    codename: String,
    name: String,
}

impl OsRelease {
    fn read(text: &str) -> Self {
        let value = |key: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
            line.unwrap_or_default().trim_matches('"').to_owned()
        };
        Self {
            id: value("ID"),
            like: value("ID_LIKE"),
            version: value("VERSION_ID"),
            codename: value("VERSION_CODENAME"),
            name: value("PRETTY_NAME"),
        }
    }

    fn of_debian_family(&self) -> bool {
        let mut families = self.like.split_whitespace().chain([self.id.as_str()]);
        families.any(|family| matches!(family, "debian" | "ubuntu"))
    }

    /// One folder for each release and kind of machine: libraries of one do not run on another.
    fn folder_name(&self) -> String {
        format!("{}-{}-{}", self.id, self.version, env::consts::ARCH)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ubuntu_and_its_relatives_are_of_the_debian_family_and_fedora_is_not() {
        let mint = OsRelease::read(
            "PRETTY_NAME=\"Linux Mint 21\"\nID=linuxmint\nID_LIKE=\"ubuntu debian\"\nVERSION_ID=\"21\"\n",
        );
        assert!(mint.of_debian_family());
        assert!(mint.folder_name().starts_with("linuxmint-21-"));
        assert!(OsRelease::read("ID=debian\n").of_debian_family());
        assert!(!OsRelease::read("ID=fedora\nVERSION_ID=40\n").of_debian_family());
        assert!(!OsRelease::read("").of_debian_family());
    }
}
