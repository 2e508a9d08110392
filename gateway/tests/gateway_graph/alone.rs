//! What a process counts, it counts for all of its tests: one that counts exactly runs in a process of its own.

use std::{env, process::Command};

/// Says to the test that it is by itself.
const ALONE: &str = "PORTICO_TEST_ALONE";

/// Whether this process runs nothing but `test`. Where it runs others too, another one is started that does not, and what
/// comes of it is what comes of the test.
pub(crate) fn alone(test: &str) -> bool {
    if env::var_os(ALONE).is_some() {
        return true;
    }
    let mut command = Command::new(env::current_exe().unwrap());
    let output = command.args(["--exact", test, "--nocapture"]).env(ALONE, "1").output().unwrap();
    let told = [output.stdout, output.stderr].concat();
    let told = String::from_utf8_lossy(&told);
    assert!(output.status.success() && told.contains("1 passed"), "{told}");
    false
}
