//! What is said to a person while it happens: one line for each thing that is waited for.
//!
//! Everything goes to the standard error, so that the standard output stays for results. Colours appear on a
//! terminal alone, and not there either when `NO_COLOR` is set (<https://no-color.org>).

use std::io::{IsTerminal, Write, stderr};
use std::time::Instant;

/// Where progress is written, and whether in colours.
#[derive(Clone, Copy, Debug)]
pub struct Progress {
    colours: bool,
}

/// A thing that is waited for; dropped without [`Step::done`], it says that it failed.
#[must_use = "a step that is dropped at once says that it failed"]
#[derive(Debug)]
pub struct Step {
    progress: Progress,
    since: Instant,
    finished: bool,
}

const GREEN: &str = "32";
const RED: &str = "31";
const FAINT: &str = "2";

impl Progress {
    /// Writes to the standard error.
    pub fn on_stderr() -> Self {
        let unwanted = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        Self { colours: stderr().is_terminal() && !unwanted }
    }

    /// Says what is now waited for. The line stays open until the step is done.
    pub fn step(&self, what: &str) -> Step {
        self.write(&format!("{} {what} ...", self.paint(FAINT, "-")));
        Step { progress: *self, since: Instant::now(), finished: false }
    }

    /// Says a thing that took no time.
    pub fn note(&self, what: &str) {
        self.write(&format!("{} {what}\n", self.paint(FAINT, "-")));
    }

    /// Says why the command failed.
    pub fn failure(&self, why: &str) {
        self.write(&format!("{} {why}\n", self.paint(RED, "portico:")));
    }

    fn paint(&self, colour: &str, text: &str) -> String {
        if self.colours { format!("\u{1b}[{colour}m{text}\u{1b}[0m") } else { text.to_owned() }
    }

    /// A standard error that is closed is no reason to stop.
    fn write(&self, text: &str) {
        let mut out = stderr().lock();
        let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    }
}

impl Step {
    /// Ends the line with `result` (empty for none) and the time that it took.
    pub fn done(mut self, result: &str) {
        self.finished = true;
        let space = if result.is_empty() { "" } else { " " };
        let took = format!("{:.1} s", self.since.elapsed().as_secs_f64());
        let line =
            format!("{space}{} {}\n", self.progress.paint(GREEN, result), self.progress.paint(FAINT, &took));
        self.progress.write(&line);
    }
}

impl Drop for Step {
    fn drop(&mut self) {
        if !self.finished {
            self.progress.write(&format!(" {}\n", self.progress.paint(RED, "failed")));
        }
    }
}
