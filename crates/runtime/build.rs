//! Tells the code by which compiler it is built.

use std::{env, process::Command};

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-env-changed=RUSTC");
    let rustc = env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let said = Command::new(rustc).arg("--version").output().ok().map(|output| output.stdout);
    let said = String::from_utf8_lossy(&said.unwrap_or_default()).into_owned();
    // "rustc 1.95.0 (59807616e 2026-04-14)"
    let version = said.split(' ').nth(1).unwrap_or("unknown");
    println!("cargo:rustc-env=RUSTC_VERSION={}", version.trim());
}
