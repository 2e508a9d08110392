//! Random values that are made once and kept in one file.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use tokio::sync::Mutex;

use super::write_json;

/// The secrets of one state folder. Their values are not shown by `Debug`.
pub(super) struct Secrets {
    file: PathBuf,
    values: Mutex<BTreeMap<String, String>>,
}

impl Secrets {
    /// Reads the file, or begins an empty one. Unlike other files of ours, one that cannot be understood is an
    /// error: to make new secrets over old data would lock its owner out.
    pub(super) fn read(file: &Path) -> Result<Self> {
        let values = match std::fs::read(file) {
            Ok(bytes) => serde_json::from_slice(&bytes).with_context(|| format!("{file:?} is damaged"))?,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => BTreeMap::new(),
            Err(error) => return Err(error).with_context(|| format!("cannot read {file:?}")),
        };
        Ok(Self { file: file.to_owned(), values: Mutex::new(values) })
    }

    /// The value called `name`, written down before it is given out.
    pub(super) async fn get_or_make(&self, name: &str) -> Result<String> {
        let mut values = self.values.lock().await;
        if let Some(value) = values.get(name) {
            return Ok(value.clone());
        }
        let value = random_hex();
        values.insert(name.to_owned(), value.clone());
        write_json(&self.file, &*values)?;
        Ok(value)
    }
}

impl std::fmt::Debug for Secrets {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Secrets").field("file", &self.file).finish_non_exhaustive()
    }
}

/// 32 bytes of the system's randomness, in hexadecimal: safe in a URL and in SQL as it is.
fn random_hex() -> String {
    rand::random::<[u8; 32]>().iter().fold(String::with_capacity(64), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
