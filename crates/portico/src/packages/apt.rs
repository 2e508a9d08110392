//! `apt-get` and `dpkg`, run so that they touch nothing of the system's.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::thread::available_parallelism;

use anyhow::{Context, Result, anyhow, bail};
use tokio::process::Command;
use tokio::task::JoinSet;

use crate::child::indented;
use crate::environment::Environment;
use crate::state::make_folder;

/// The two programs.
#[derive(Clone, Debug)]
pub(super) struct Apt {
    apt_get: PathBuf,
    dpkg: PathBuf,
    /// This machine's release and the one to take packages from, where that is another.
    releases: Option<(&'static str, &'static str)>,
}

/// Libraries that the running system's loader and we ourselves hang on: never replaced by another version.
const NEVER: [&str; 3] = ["libc6", "libc-bin", "libgcc-s1"];

/// The keys of all of Debian's releases, where Debian's own package puts them.
const KEYS: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

impl Apt {
    /// The programs, if this machine has both.
    pub(super) fn of(environment: &Environment) -> Option<Self> {
        let (apt_get, dpkg) = (environment.program("apt-get")?, environment.program("dpkg")?);
        Some(Self { apt_get, dpkg, releases: None })
    }

    /// The same with the packages of the release `newer`, from where this machine has those of its own release `this`.
    pub(super) fn of_release_after(self, this: &'static str, newer: &'static str) -> Self {
        Self { releases: Some((this, newer)), ..self }
    }

    /// The packages, as `name=version`, that installing `names` would bring to this machine. Reads the
    /// distribution's lists anew, into `work`.
    pub(super) async fn missing(&self, work: &Path, names: &[&str]) -> Result<Vec<String>> {
        make_folder(&work.join("state/lists/partial"))?;
        make_folder(&work.join("cache/archives/partial"))?;
        fs::write(work.join("apt.conf"), configuration(work))?;
        if let Some((this, newer)) = self.releases {
            self.turn_to(work, this, newer).await?;
        }
        let updated =
            run(self.apt(work).args(["-q", "update"]), "the distribution's lists cannot be fetched").await?;
        let mut simulated = self.apt(work);
        simulated.args(["-s", "--no-install-recommends", "install"]).args(names);
        // A source that does not answer is only complained of by `update`, since another may have what we need.
        let told = run(&mut simulated, "the packages that are needed cannot be worked out").await;
        let told = told.map_err(|error| anyhow!("{error}\n{}", indented(&updated.complaints, 4)))?;
        Ok(told.text.lines().filter_map(to_be_installed).collect())
    }

    /// Puts the archive of the release `newer` in the place of this machine's sources.
    async fn turn_to(&self, work: &Path, this: &str, newer: &str) -> Result<()> {
        let told =
            run(self.apt(work).args(["--print-uris", "update"]), "the sources cannot be listed").await?;
        let archive = archive_of(&told.text, this).context("no source has the packages of this release")?;
        let sources = work.join("sources.list");
        fs::write(&sources, format!("deb [signed-by={KEYS}] {archive} {newer} main\n"))?;
        let only = format!("Dir::Etc::sourcelist {sources:?};\nDir::Etc::sourceparts \"-\";\n");
        fs::write(work.join("apt.conf"), configuration(work) + &only).context("cannot write apt.conf")
    }

    /// Downloads `packages` into a folder of `work`, and gives the files.
    pub(super) async fn download(&self, work: &Path, packages: &[String]) -> Result<Vec<PathBuf>> {
        let folder = work.join("files");
        make_folder(&folder)?;
        if !packages.is_empty() {
            let mut download = self.apt(work);
            download.args(["-q", "download"]).args(packages).current_dir(&folder);
            run(&mut download, "the packages cannot be downloaded").await?;
        }
        let files = fs::read_dir(&folder)?.map(|entry| Ok(entry?.path()));
        files.collect::<std::io::Result<_>>().context("cannot read what was downloaded")
    }

    /// Unpacks `files` into `root`, as many at once as there are processors.
    pub(super) async fn unpack(&self, files: Vec<PathBuf>, root: &Path) -> Result<()> {
        let lanes = available_parallelism().map_or(1, usize::from);
        let mut running = JoinSet::new();
        for file in files {
            if running.len() == lanes
                && let Some(done) = running.join_next().await
            {
                done??;
            }
            let mut command = quiet(&self.dpkg);
            command.arg("-x").arg(file).arg(root);
            running.spawn(async move { run(&mut command, "a package cannot be unpacked").await.map(drop) });
        }
        while let Some(done) = running.join_next().await {
            done??;
        }
        Ok(())
    }

    fn apt(&self, work: &Path) -> Command {
        let mut command = quiet(&self.apt_get);
        command.arg("-c").arg(work.join("apt.conf"));
        command
    }
}

/// Read after the system's own configuration, whose sources, proxies and keys stay in force. Its hooks do not:
/// they tidy up the system's folders, which are none of our business and closed to an ordinary user.
fn configuration(work: &Path) -> String {
    let work = work.display();
    format!(
        "#clear APT::Update::Pre-Invoke;\n#clear APT::Update::Post-Invoke;\n#clear APT::Update::Post-Invoke-Success;\n\
         #clear DPkg::Post-Invoke;\n\
         Dir::State \"{work}/state\";\nDir::State::status \"/var/lib/dpkg/status\";\nDir::Cache \"{work}/cache\";\n\
         Acquire::Languages \"none\";\nAcquire::Retries \"3\";\nAPT::Sandbox::User \"root\";\n"
    )
}

/// `libpq5=15.20-0+deb12u1` of the line `Inst libpq5 [15.18] (15.20-0+deb12u1 Debian:12 [amd64])`.
fn to_be_installed(line: &str) -> Option<String> {
    let rest = line.strip_prefix("Inst ")?;
    let name = rest.split_whitespace().next()?;
    let version = rest.split_once(" (")?.1.split_whitespace().next()?;
    let plain = name.split(':').next()?;
    (!NEVER.contains(&plain)).then(|| format!("{name}={version}"))
}

/// `http://mirror.example/debian` of a line such as `'http://mirror.example/debian/dists/bookworm/InRelease' ...`.
fn archive_of<'a>(uris: &'a str, release: &str) -> Option<&'a str> {
    let end = format!("/dists/{release}/InRelease");
    uris.lines().find_map(|line| line.strip_prefix('\'')?.split_once('\'')?.0.strip_suffix(&end))
}

fn quiet(program: &Path) -> Command {
    let mut command = Command::new(program);
    command.env("LC_ALL", "C").env("DEBIAN_FRONTEND", "noninteractive");
    command.stdin(Stdio::null()).process_group(0).kill_on_drop(true);
    command
}

/// What a program said.
struct Told {
    text: String,
    complaints: String,
}

/// Runs `command` to its end; an error tells `failure` and what it complained of.
async fn run(command: &mut Command, failure: &str) -> Result<Told> {
    let output = command.output().await.with_context(|| failure.to_owned())?;
    let complaints = String::from_utf8_lossy(&output.stderr).into_owned();
    if !output.status.success() {
        bail!("{failure}:\n{}", indented(&complaints, 8));
    }
    Ok(Told { text: String::from_utf8_lossy(&output.stdout).into_owned(), complaints })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_to_be_installed_is_read_not_the_one_that_it_replaces() {
        let line =
            "Inst libpq5 [15.18-0+deb12u1] (15.20-0+deb12u1 Debian-Security:12/oldstable-security [amd64])";
        assert_eq!(to_be_installed(line).as_deref(), Some("libpq5=15.20-0+deb12u1"));
        let line = "Inst libllvm14 (1:14.0.6-12 Debian:12.12/oldstable [amd64]) []";
        assert_eq!(to_be_installed(line).as_deref(), Some("libllvm14=1:14.0.6-12"));
    }

    #[test]
    fn the_archive_is_the_one_that_has_this_release() {
        let uris = "'http://mirror.example/debian-security/dists/bookworm-security/InRelease' a_InRelease 0 \n\
                    'http://mirror.example/debian/dists/bookworm/InRelease' b_InRelease 0 \n";
        assert_eq!(archive_of(uris, "bookworm"), Some("http://mirror.example/debian"));
        assert_eq!(archive_of(uris, "bullseye"), None);
    }

    #[test]
    fn lines_about_other_things_name_no_package() {
        assert_eq!(to_be_installed("Conf libpq5 (15.20-0+deb12u1 Debian:12 [amd64])"), None);
        assert_eq!(to_be_installed("Reading package lists..."), None);
    }

    #[test]
    fn the_library_that_everything_runs_on_is_never_replaced() {
        assert_eq!(to_be_installed("Inst libc6 [2.36-9] (2.36-10 Debian:12 [amd64])"), None);
    }
}
