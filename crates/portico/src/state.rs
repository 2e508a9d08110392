//! A folder that outlives the run that uses it: its lock, what runs in it, its secrets, its logs.
//!
//! Guarantees: one run at a time owns a folder (the lock is the kernel's, so it ends with its process however
//! that ends); whatever an earlier run left running is ended before anything new is started; secrets are made
//! once and can be read by their owner alone.

mod leftovers;
mod secrets;
mod throw_away;

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, ensure};
use nix::unistd::Uid;
use serde::{Deserialize, Serialize};
use tokio::sync::Mutex;
use tokio::time::sleep;

use crate::environment::{Owner, all_may_enter};
use crate::progress::Progress;
pub use leftovers::ProcessId;
use secrets::Secrets;

/// What runs in a folder, as the run itself wrote it down.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Running {
    /// The id of the `portico` that owns the folder.
    pub pid: u32,
    /// When it started, in seconds since 1970.
    pub since: u64,
    /// Where it answers, once it does.
    pub url: Option<String>,
    /// Where its admin port is, once it answers.
    pub admin: Option<String>,
    /// What a service needs to run beside it, by the names of the variables; empty until it is ready.
    pub variables: Vec<(String, String)>,
}

/// The answer to [`State::acquire`].
#[derive(Debug)]
pub enum Acquired {
    /// The folder is ours until the state is dropped.
    Ours(State),
    /// Another run owns it; `None` when that one has not yet written down what it is.
    Theirs(Option<Running>),
}

/// A state folder whose lock we hold.
#[derive(Debug)]
pub struct State {
    folder: PathBuf,
    started: u64,
    children: Mutex<Vec<ProcessId>>,
    secrets: Secrets,
    lock: File,
}

impl State {
    /// Takes `folder`, making it if need be.
    ///
    /// # Errors
    /// When the folder or a file in it cannot be made, read or locked.
    pub fn acquire(folder: &Path) -> Result<Acquired> {
        make_folder(folder)?;
        let mut options = OpenOptions::new();
        let lock = options.create(true).truncate(false).write(true).mode(0o600).open(folder.join("lock"));
        let lock = lock.with_context(|| format!("cannot write in {folder:?}"))?;
        match lock.try_lock() {
            Ok(()) => Self::of_locked(folder, lock).map(Acquired::Ours),
            Err(TryLockError::WouldBlock) => Ok(Acquired::Theirs(read_json(&folder.join("running.json"))?)),
            Err(TryLockError::Error(error)) => Err(error).with_context(|| format!("cannot lock {folder:?}")),
        }
    }

    fn of_locked(folder: &Path, lock: File) -> Result<Self> {
        let state = Self {
            folder: folder.to_owned(),
            started: SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs(),
            children: Mutex::new(read_json(&folder.join("children.json"))?.unwrap_or_default()),
            secrets: Secrets::read(&folder.join("secrets.json"))?,
            lock,
        };
        state.announce(None, None, &[])?;
        Ok(state)
    }

    /// The folder itself.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The folder with one log per child.
    pub fn logs(&self) -> PathBuf {
        self.folder.join("logs")
    }

    /// The secret called `name`: 32 random bytes in hexadecimal, made when it is first asked for.
    ///
    /// # Errors
    /// When a new one cannot be written down.
    pub async fn secret(&self, name: &str) -> Result<String> {
        self.secrets.get_or_make(name).await
    }

    /// Writes down for others, in a file that only the same user can read, where this run and its admin port answer and what a
    /// service needs to run beside it.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn announce(
        &self,
        url: Option<&str>,
        admin: Option<&str>,
        variables: &[(String, String)],
    ) -> Result<()> {
        let (url, admin) = (url.map(str::to_owned), admin.map(str::to_owned));
        let (pid, since, variables) = (std::process::id(), self.started, variables.to_vec());
        let running = Running { pid, since, url, admin, variables };
        write_json(&self.folder.join("running.json"), &running)
    }

    /// [`Self::private_folder`] for a backend: `owner` can also enter this one.
    ///
    /// # Errors
    /// As there, and when `owner` cannot.
    pub fn folder_of_backend(&self, name: &str, owner: Option<Owner>) -> Result<PathBuf> {
        let folder = self.private_folder(name, owner)?;
        ensure!(
            owner.is_none() || all_may_enter(&self.folder),
            "{name} does not run as root, and the user that it runs as cannot enter {}: set PORTICO_STATE_DIR to a \
             folder that all can pass through",
            self.folder.display()
        );
        Ok(folder)
    }

    /// Makes a folder inside this one which `owner` (or we, when there is none) can alone look into.
    ///
    /// # Errors
    /// When it cannot be made or given away.
    pub fn private_folder(&self, name: &str, owner: Option<Owner>) -> Result<PathBuf> {
        let folder = self.folder.join(name);
        make_folder(&folder)?;
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o700))?;
        if let Some(Owner { uid, gid }) = owner {
            chown(&folder, Some(uid), Some(gid)).with_context(|| format!("cannot give {folder:?} away"))?;
        }
        Ok(folder)
    }

    /// Writes a child down, so that the next run can end it if this one is killed.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub async fn remember(&self, child: ProcessId) -> Result<()> {
        let mut children = self.children.lock().await;
        children.push(child);
        write_json(&self.folder.join("children.json"), &*children)
    }

    /// Takes a child that has ended off the list.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub async fn forget(&self, pid: u32) -> Result<()> {
        let mut children = self.children.lock().await;
        children.retain(|child| child.pid != pid);
        write_json(&self.folder.join("children.json"), &*children)
    }

    /// Ends what an earlier run left running in this folder.
    ///
    /// # Errors
    /// When something does not end, or the list cannot be written.
    pub async fn end_leftovers(&self, progress: &Progress) -> Result<()> {
        let mut children = self.children.lock().await;
        // What was started last may need what was started before it.
        for child in std::mem::take(&mut *children).into_iter().rev() {
            if child.is_alive() {
                let step =
                    progress.step(&format!("Ending {} ({}) of a run that was killed", child.name, child.pid));
                child.end().await?;
                step.done("");
            }
        }
        write_json(&self.folder.join("children.json"), &*children)
    }

    /// Removes the folder with all that is in it, once nothing runs in it any more.
    ///
    /// # Errors
    /// When something does not end, or a file cannot be removed.
    pub async fn discard(self, progress: &Progress) -> Result<()> {
        self.end_leftovers(progress).await?;
        for _ in 0..20 {
            // A helper of what has just ended may still be writing its last file.
            // Whoever looks for what killed runs left may have found it half removed, and removed the rest.
            if fs::remove_dir_all(&self.folder).is_ok() || !self.folder.exists() {
                return Ok(());
            }
            sleep(Duration::from_millis(50)).await;
        }
        fs::remove_dir_all(&self.folder).with_context(|| format!("cannot remove {:?}", self.folder))
    }
}

/// Said aloud, and not left to the closing of the file: a child that is just being started holds it open too.
impl Drop for State {
    fn drop(&mut self) {
        let _ = self.lock.unlock();
    }
}

/// Makes `folder` and its parents. Root's folders can be passed through (not listed) by the backends' own uid.
pub(crate) fn make_folder(folder: &Path) -> Result<()> {
    if folder.is_dir() {
        return Ok(());
    }
    let mode = if Uid::effective().is_root() { 0o711 } else { 0o700 };
    let made = DirBuilder::new().recursive(true).mode(mode).create(folder);
    made.with_context(|| format!("cannot make the folder {folder:?}"))
}

/// Reads a file of ours. One that is missing, or that a crash left unreadable, counts as `None`.
fn read_json<T: for<'a> Deserialize<'a>>(path: &Path) -> Result<Option<T>> {
    match fs::read(path) {
        Ok(bytes) => Ok(serde_json::from_slice(&bytes).ok()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("cannot read {path:?}")),
    }
}

/// Replaces a file of ours in one step, so that a crash leaves the old one or the new one.
fn write_json<T: Serialize + ?Sized>(path: &Path, value: &T) -> Result<()> {
    let new = path.with_extension("new");
    write_private(&new, &serde_json::to_vec(value)?)?;
    fs::rename(&new, path).with_context(|| format!("cannot write {path:?}"))
}

/// Writes a file which `owner` (or we, when there is none) alone can read.
pub(crate) fn write_private_for(path: &Path, bytes: &[u8], owner: Option<Owner>) -> Result<()> {
    write_private(path, bytes)?;
    match owner {
        Some(Owner { uid, gid }) => {
            chown(path, Some(uid), Some(gid)).with_context(|| format!("cannot give {path:?} away"))
        }
        None => Ok(()),
    }
}

/// Writes a file which its owner alone can read, also when it was there before.
pub(crate) fn write_private(path: &Path, bytes: &[u8]) -> Result<()> {
    use std::io::Write;
    let mut options = OpenOptions::new();
    let file = options.create(true).truncate(true).write(true).mode(0o600).open(path);
    let written = file.and_then(|mut file| file.write_all(bytes).and_then(|()| file.sync_all()));
    written.with_context(|| format!("cannot write {path:?}"))
}

#[cfg(test)]
mod tests {
    use nix::sys::signal::Signal;

    use super::*;

    fn folder(name: &str) -> PathBuf {
        let folder = std::env::temp_dir().join(format!("portico-state-{}-{name}", std::process::id()));
        let _ = fs::remove_dir_all(&folder);
        folder
    }

    fn ours(folder: &Path) -> State {
        match State::acquire(folder).unwrap() {
            Acquired::Ours(state) => state,
            Acquired::Theirs(running) => panic!("taken by {running:?}"),
        }
    }

    #[tokio::test]
    async fn a_second_run_is_told_what_runs_and_the_lock_ends_with_its_owner() {
        let folder = folder("lock");
        let state = ours(&folder);
        state.announce(Some("http://127.0.0.1:4000"), None, &[("A".to_owned(), "b".to_owned())]).unwrap();
        let Acquired::Theirs(Some(running)) = State::acquire(&folder).unwrap() else { panic!("not locked") };
        assert_eq!(running.pid, std::process::id());
        assert_eq!(running.url.as_deref(), Some("http://127.0.0.1:4000"));
        assert_eq!(running.variables, [("A".to_owned(), "b".to_owned())]);
        drop(state);
        ours(&folder).discard(&Progress::on_stderr()).await.unwrap();
    }

    #[tokio::test]
    async fn a_secret_is_made_once_and_only_its_owner_can_read_it() {
        let folder = folder("secret");
        let state = ours(&folder);
        let (first, other) = (state.secret("one").await.unwrap(), state.secret("two").await.unwrap());
        assert_eq!(first.len(), 64);
        assert_ne!(first, other);
        drop(state);
        let state = ours(&folder);
        assert_eq!(state.secret("one").await.unwrap(), first);
        let mode = fs::metadata(folder.join("secrets.json")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        state.discard(&Progress::on_stderr()).await.unwrap();
    }

    #[tokio::test]
    async fn what_a_killed_run_left_behind_is_ended() {
        let folder = folder("leftover");
        let state = ours(&folder);
        let mut left = std::process::Command::new("sleep").arg("600").spawn().unwrap();
        state.remember(ProcessId::of("sleep", left.id(), Signal::SIGTERM).unwrap()).await.unwrap();
        drop(state);
        let reaped = std::thread::spawn(move || left.wait().unwrap());
        let state = ours(&folder);
        state.end_leftovers(&Progress::on_stderr()).await.unwrap();
        assert!(!reaped.join().unwrap().success());
        state.discard(&Progress::on_stderr()).await.unwrap();
    }

    #[tokio::test]
    async fn a_process_that_got_the_id_of_a_dead_child_is_left_alone() {
        let folder = folder("reused");
        let state = ours(&folder);
        let mut innocent = std::process::Command::new("sleep").arg("600").spawn().unwrap();
        let mut id = ProcessId::of("postgres", innocent.id(), Signal::SIGTERM).unwrap();
        id.started.push_str("-another-time");
        state.remember(id).await.unwrap();
        state.end_leftovers(&Progress::on_stderr()).await.unwrap();
        assert!(innocent.try_wait().unwrap().is_none());
        innocent.kill().unwrap();
        innocent.wait().unwrap();
        state.discard(&Progress::on_stderr()).await.unwrap();
    }
}
