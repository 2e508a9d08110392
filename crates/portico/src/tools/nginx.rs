//! nginx with njs: the one that `up` would take.

use std::ffi::OsString;

use anyhow::{Context, Result};

use crate::backend::nginx::programs;
use crate::environment::Environment;
use crate::progress::Progress;

/// NGINX, NGINX_NJS_MODULE, and in NGINX_LIBRARY_PATH what LD_LIBRARY_PATH must be for it, which may be nothing.
///
/// # Errors
/// When one of both is neither installed nor to be fetched.
pub(super) async fn variables(
    environment: &Environment,
    progress: &Progress,
) -> Result<Vec<(&'static str, OsString)>> {
    let how = "nginx with njs was not found and cannot be fetched here: install it";
    let found = programs::find(environment, progress).await.context(how)?;
    let module = found.module().context(how)?;
    Ok(vec![
        ("NGINX", found.nginx().into()),
        ("NGINX_NJS_MODULE", module.into()),
        ("NGINX_LIBRARY_PATH", found.libraries().unwrap_or_default().into()),
    ])
}
