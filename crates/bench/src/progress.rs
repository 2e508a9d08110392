//! What is said to the person who waits: a line for each thing that takes time, on the standard error.

use std::{
    io::{Write, stderr},
    time::Instant,
};

/// A thing that is waited for; dropped without [`Step::done`], its line says that it failed.
#[must_use = "a step that is dropped at once says that it failed"]
pub(crate) struct Step {
    since: Instant,
    finished: bool,
}

/// Says what is now waited for.
pub(crate) fn step(what: &str) -> Step {
    write(&format!("- {what} ..."));
    Step { since: Instant::now(), finished: false }
}

impl Step {
    /// Adds to the open line.
    pub(crate) fn add(&self, what: &str) {
        write(&format!(" {what}"));
    }

    /// Ends the line with `result` (empty for none) and the time that it took.
    pub(crate) fn done(mut self, result: &str) {
        self.finished = true;
        let space = if result.is_empty() { "" } else { " " };
        write(&format!("{space}{result} ({:.1} s)\n", self.since.elapsed().as_secs_f64()));
    }
}

impl Drop for Step {
    fn drop(&mut self) {
        if !self.finished {
            write(" failed\n");
        }
    }
}

/// A standard error that is closed is no reason to stop.
fn write(text: &str) {
    let mut out = stderr().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}
