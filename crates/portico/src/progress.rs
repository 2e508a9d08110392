//! What is said to a person while it happens: one line for each thing that is waited for.
//!
//! Everything goes to the standard error, so that the standard output stays for results. Colours appear on a
//! terminal alone, and not there either when `NO_COLOR` is set (<https://no-color.org>). Two things that are waited for
//! at the same time have a line each for their beginning and their end.

use std::io::{IsTerminal, Write, stderr};
use std::sync::{Mutex, MutexGuard, PoisonError};
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
    what: String,
    number: u64,
    since: Instant,
    finished: bool,
}

/// The lines of this process's standard error, of which there is one.
#[derive(Debug)]
struct Lines {
    /// How many steps there have been.
    steps: u64,
    /// The step whose line has no end yet.
    open: Option<u64>,
}

static LINES: Mutex<Lines> = Mutex::new(Lines { steps: 0, open: None });

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
        let mut lines = Lines::lock();
        lines.write_new(&self.beginning(what));
        lines.steps += 1;
        lines.open = Some(lines.steps);
        let (what, number) = (what.to_owned(), lines.steps);
        Step { progress: *self, what, number, since: Instant::now(), finished: false }
    }

    /// Says a thing that took no time.
    pub fn note(&self, what: &str) {
        Lines::lock().write_new(&format!("{} {what}\n", self.paint(FAINT, "-")));
    }

    /// Says why the command failed.
    pub fn failure(&self, why: &str) {
        Lines::lock().write_new(&format!("{} {why}\n", self.paint(RED, "portico:")));
    }

    fn beginning(&self, what: &str) -> String {
        format!("{} {what} ...", self.paint(FAINT, "-"))
    }

    fn paint(&self, colour: &str, text: &str) -> String {
        if self.colours { format!("\u{1b}[{colour}m{text}\u{1b}[0m") } else { text.to_owned() }
    }
}

impl Lines {
    fn lock() -> MutexGuard<'static, Self> {
        LINES.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes at the beginning of a line.
    fn write_new(&mut self, text: &str) {
        let end = if self.open.take().is_some() { "\n" } else { "" };
        write(&format!("{end}{text}"));
    }
}

/// A standard error that is closed is no reason to stop.
fn write(text: &str) {
    let mut out = stderr().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

impl Step {
    /// Ends the line with `result` (empty for none) and the time that it took.
    pub fn done(mut self, result: &str) {
        self.finished = true;
        let space = if result.is_empty() { "" } else { " " };
        let took = format!("{:.1} s", self.since.elapsed().as_secs_f64());
        self.end_line(&format!(
            "{space}{} {}\n",
            self.progress.paint(GREEN, result),
            self.progress.paint(FAINT, &took)
        ));
    }

    /// Ends its line, or writes one anew when another has begun since.
    fn end_line(&self, end: &str) {
        let mut lines = Lines::lock();
        if lines.open == Some(self.number) {
            lines.open = None;
            write(end);
        } else {
            lines.write_new(&format!("{}{end}", self.progress.beginning(&self.what)));
        }
    }
}

impl Drop for Step {
    fn drop(&mut self) {
        if !self.finished {
            self.end_line(&format!(" {}\n", self.progress.paint(RED, "failed")));
        }
    }
}
