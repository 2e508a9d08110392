//! State folders that end with their run.

use std::fs::{self, File};
use std::path::Path;

use anyhow::{Context, Result, bail};

use super::{Acquired, State, make_folder};
use crate::progress::Progress;

impl State {
    /// A new folder inside `parent` that nobody else uses. Those whose runs were killed are tidied away first.
    ///
    /// # Errors
    /// When the folder cannot be made, or what a killed run left does not end.
    pub async fn throw_away(parent: &Path, progress: &Progress) -> Result<Self> {
        make_folder(parent)?;
        let _gate = gate(parent).await?;
        for entry in fs::read_dir(parent)? {
            let folder = entry?.path();
            let swept = sweep(&folder, progress).await;
            // One that is gone was just removed by its own run, which may have been in the way.
            if folder.is_dir() {
                swept?;
            }
        }
        let folder = parent.join(format!("{:08x}", rand::random::<u32>()));
        match Self::acquire(&folder)? {
            Acquired::Ours(state) => Ok(state),
            Acquired::Theirs(_) => bail!("{folder:?} was just made, and yet another run owns it"),
        }
    }
}

/// Removes a folder whose run was killed.
async fn sweep(folder: &Path, progress: &Progress) -> Result<()> {
    if folder.is_dir()
        && let Acquired::Ours(left) = State::acquire(folder)?
    {
        left.discard(progress).await?;
    }
    Ok(())
}

/// One run at a time looks through the folders: between the making of a folder and the taking of its lock it
/// looks like one whose run was killed.
async fn gate(parent: &Path) -> Result<File> {
    let path = parent.join("gate");
    let file = File::create(&path).with_context(|| format!("cannot write {path:?}"))?;
    tokio::task::spawn_blocking(move || file.lock().map(|()| file))
        .await?
        .with_context(|| format!("cannot lock {path:?}"))
}
