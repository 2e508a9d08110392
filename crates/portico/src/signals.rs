//! What a terminal or a supervisor asks of us: to stop.

use std::io::stdin;

use anyhow::{Context, Result};
use nix::sys::signal::Signal;
use nix::unistd::{getpgrp, tcgetpgrp};
use tokio::signal::unix::{Signal as Stream, SignalKind, signal};

/// The signals that mean "stop". From [`Signals::listen`] on they no longer end the process by themselves.
#[derive(Debug)]
pub struct Signals {
    interrupt: Stream,
    terminate: Stream,
    /// Heard for the sake of the children too: whoever started us in the background may have had it ignored, which they
    /// would inherit, and dropped children are ended by it.
    quit: Stream,
    /// None under `nohup`, whose very purpose is that it is not heard.
    hang_up: Option<Stream>,
}

impl Signals {
    /// Begins to listen.
    ///
    /// # Errors
    /// When the system refuses the handlers.
    pub fn listen() -> Result<Self> {
        let listen = |kind| signal(kind).context("cannot listen for signals");
        Ok(Self {
            interrupt: listen(SignalKind::interrupt())?,
            terminate: listen(SignalKind::terminate())?,
            quit: listen(SignalKind::quit())?,
            hang_up: if hang_up_is_ignored() { None } else { Some(listen(SignalKind::hangup())?) },
        })
    }

    /// The next one that arrives. Cancelling it loses nothing.
    pub async fn next(&mut self) -> Signal {
        let hang_up = async {
            match &mut self.hang_up {
                Some(hang_up) => hang_up.recv().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = self.interrupt.recv() => Signal::SIGINT,
            _ = self.terminate.recv() => Signal::SIGTERM,
            _ = self.quit.recv() => Signal::SIGQUIT,
            _ = hang_up => Signal::SIGHUP,
        }
    }
}

/// Whether whoever started us told the system to keep SIGHUP from us (`SigIgn` in proc_pid_status(5), a mask in
/// hexadecimal whose lowest bit is signal 1). Elsewhere than on Linux, we do not know.
fn hang_up_is_ignored() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).is_some_and(|mask| mask & 1 == 1)
}

/// Whether a Ctrl-C at the terminal reaches our whole process group by itself, so that passing it on to a child
/// in that group would make it arrive twice.
pub fn terminal_tells_our_children() -> bool {
    tcgetpgrp(stdin()).is_ok_and(|foreground| foreground == getpgrp())
}

/// The exit code of a process that `signal` ended, as shells give it.
pub fn exit_code_of(signal: i32) -> u8 {
    u8::try_from(128 + signal).unwrap_or(u8::MAX)
}
