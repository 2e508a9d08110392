//! Processes by ids that are written down, and how what a killed run left behind is ended.

use std::time::Duration;

use anyhow::{Result, bail};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde::{Deserialize, Serialize};
use tokio::time::{Instant, sleep};

/// A process that is still the same one after its id was written down: ids are given out again, and the time
/// at which a process started tells the new one from the old.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessId {
    /// What it is, for people.
    pub name: String,
    /// Its id.
    pub pid: u32,
    /// When it started, in whatever form this system tells it.
    pub started: String,
    /// The number of the signal that asks it for an orderly end.
    #[serde(default)]
    pub gently: i32,
}

/// What comes after the gentle signal: to Postgres and to RabbitMQ, SIGQUIT is "stop at once".
const HARDER: [(Signal, Duration); 2] =
    [(Signal::SIGQUIT, Duration::from_secs(5)), (Signal::SIGKILL, Duration::from_secs(5))];

const PATIENCE: Duration = Duration::from_secs(15);

impl ProcessId {
    /// The process that has the id `pid` now and ends in good order by `gently`, or `None` when there is none.
    pub fn of(name: &str, pid: u32, gently: Signal) -> Option<Self> {
        Some(Self { name: name.to_owned(), pid, started: started(pid)?, gently: gently as i32 })
    }

    /// Whether this very process still runs.
    pub fn is_alive(&self) -> bool {
        started(self.pid).is_some_and(|started| started == self.started)
    }

    /// Ends it, by ever harder signals.
    ///
    /// # Errors
    /// When not even SIGKILL ends it.
    pub async fn end(&self) -> Result<()> {
        let gently = Signal::try_from(self.gently).unwrap_or(Signal::SIGTERM);
        for (signal, patience) in std::iter::once((gently, PATIENCE)).chain(HARDER) {
            let deadline = Instant::now() + patience;
            if self.is_alive() {
                // An error means that it ended between the look and the signal, or is not ours: the loop tells.
                let _ = kill(Pid::from_raw(self.pid.cast_signed()), signal);
            }
            while Instant::now() < deadline {
                if !self.is_alive() {
                    return Ok(());
                }
                sleep(Duration::from_millis(20)).await;
            }
        }
        bail!("{} (process {}), left by a run that was killed, does not end", self.name, self.pid)
    }
}

/// When the process started, or `None` when it has ended. A zombie has ended.
#[cfg(target_os = "linux")]
fn started(pid: u32) -> Option<String> {
    started_in_stat(&std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

#[cfg(not(target_os = "linux"))]
fn started(pid: u32) -> Option<String> {
    let listed =
        std::process::Command::new("ps").args(["-o", "lstart=", "-p", &pid.to_string()]).output().ok()?;
    let text = String::from_utf8(listed.stdout).ok()?.trim().to_owned();
    (!text.is_empty()).then_some(text)
}

/// Field 22 of `/proc/PID/stat`, in clock ticks since the machine started (proc_pid_stat(5)). The name in field 2
/// may hold spaces and brackets, so counting begins behind the last bracket.
fn started_in_stat(stat: &str) -> Option<String> {
    let mut fields = stat.get(stat.rfind(')')? + 1..)?.split_whitespace();
    let state = fields.next()?;
    if matches!(state, "Z" | "X") {
        return None;
    }
    fields.nth(22 - 3 - 1).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    const STAT: &str =
        "42 (a (b) c) S 1 42 42 0 -1 4194560 5 0 0 0 0 0 0 0 20 0 1 0 987654 1000 2 18446744073709551615";

    #[test]
    fn the_start_time_is_found_behind_a_name_with_brackets_and_spaces() {
        assert_eq!(started_in_stat(STAT).as_deref(), Some("987654"));
    }

    #[test]
    fn a_zombie_counts_as_ended() {
        assert_eq!(started_in_stat(&STAT.replace(") S ", ") Z ")), None);
    }

    #[test]
    fn this_process_is_alive_and_the_id_0_is_nobody() {
        assert!(ProcessId::of("test", std::process::id(), Signal::SIGTERM).unwrap().is_alive());
        assert_eq!(ProcessId::of("nobody", 0, Signal::SIGTERM), None);
    }
}
