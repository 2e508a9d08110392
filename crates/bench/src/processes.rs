//! The processes that are measured: started, waited for, looked at, and stopped in the end whatever happens.

use std::{
    fs::{self, File},
    net::{Ipv4Addr, TcpListener},
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use anyhow::{Context, Result, bail};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use tokio::{
    net::TcpStream,
    process::{Child, Command},
    time::{Instant, sleep, timeout},
};

use crate::client::Client;

/// How long a process may take until it is ready.
const START: Duration = Duration::from_secs(30);
/// How long it may take to stop. RabbitMQ takes longest, after many messages.
const STOP: Duration = Duration::from_secs(60);
/// What would lead a process to backends that are not this run's.
const NOT_OURS: [&str; 7] = [
    "DATABASE_URL",
    "USER_DATABASE_URL",
    "ORDER_DATABASE_URL",
    "PAYMENT_DATABASE_URL",
    "AMQP_URL",
    "RABBITMQ_MANAGEMENT_URL",
    "NGINX_URL",
];

/// How often a second the kernel counts in /proc/PID/stat (USER_HZ, 100 wherever Linux runs).
const TICKS_PER_SECOND: u64 = 100;

/// What is to be started.
pub(crate) struct Spec {
    /// Its name, in messages and of its log.
    pub(crate) name: &'static str,
    /// The program, in the folder of this one.
    pub(crate) program: &'static str,
    /// Its arguments.
    pub(crate) arguments: Vec<String>,
    /// What it finds in its environment beside ours, of which the backends are left out.
    pub(crate) environment: Vec<(String, String)>,
}

/// A process that runs. Dropped without [`Process::stop`], it is asked to stop and not waited for.
pub(crate) struct Process {
    /// Its name.
    pub(crate) name: &'static str,
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts it, with its log in `folder`.
    ///
    /// # Errors
    /// When it can't be started.
    pub(crate) fn start(spec: Spec, folder: &Path) -> Result<Self> {
        let program = beside_this_program(spec.program)?;
        let log = folder.join(format!("{}.log", spec.name));
        let file = File::create(&log).with_context(|| format!("cannot write {}", log.display()))?;
        let mut command = Command::new(&program);
        for variable in NOT_OURS {
            command.env_remove(variable);
        }
        // The load comes from one address, and is what is measured.
        command.env("RATE_LIMITS", "off");
        command.args(spec.arguments).envs(spec.environment);
        command.stdin(Stdio::null()).stdout(file.try_clone()?).stderr(file);
        let child = command.spawn().with_context(|| format!("cannot start {}", program.display()))?;
        Ok(Self { name: spec.name, child, log })
    }

    /// Starts it and waits until `url` answers 200 and somebody listens at `port`: a process opens its port once it is ready.
    ///
    /// # Errors
    /// When it can't be started, ends, or is not ready in time, with the end of its log.
    pub(crate) async fn start_and_wait(spec: Spec, folder: &Path, url: &str, port: u16) -> Result<Self> {
        let mut process = Self::start(spec, folder)?;
        process.wait_until_ready(url, port).await?;
        Ok(process)
    }

    /// Waits until a line of its log begins with `line`.
    ///
    /// # Errors
    /// When it ends or takes longer than `at_most`, with the end of its log.
    pub(crate) async fn wait_until_it_says(&mut self, line: &str, at_most: Duration) -> Result<()> {
        let until = Instant::now() + at_most;
        while !fs::read_to_string(&self.log)?.lines().any(|said| said.starts_with(line)) {
            self.must_run()?;
            if Instant::now() > until {
                bail!("{} is not ready after {} s:\n{}", self.name, at_most.as_secs(), self.end_of_log());
            }
            sleep(Duration::from_millis(50)).await;
        }
        Ok(())
    }

    /// Waits until `url` answers 200 and somebody listens at `port`.
    ///
    /// # Errors
    /// When it ends or is not ready in time, with the end of its log.
    async fn wait_until_ready(&mut self, url: &str, port: u16) -> Result<()> {
        let until = Instant::now() + START;
        while !is_ready(url).await || TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await.is_err() {
            self.must_run()?;
            if Instant::now() > until {
                bail!("{} is not ready after {} s:\n{}", self.name, START.as_secs(), self.end_of_log());
            }
            sleep(Duration::from_millis(50)).await;
        }
        Ok(())
    }

    /// Sees that it has not ended.
    ///
    /// # Errors
    /// When it has, with the end of its log.
    pub(crate) fn must_run(&mut self) -> Result<()> {
        match self.child.try_wait()? {
            None => Ok(()),
            Some(status) => bail!("{} ended by itself ({status}):\n{}", self.name, self.end_of_log()),
        }
    }

    /// How much memory it holds now (its resident set), in bytes.
    ///
    /// # Errors
    /// When it no longer runs, or the system does not say (proc(5) is Linux's).
    pub(crate) fn memory(&self) -> Result<u64> {
        let pid = self.child.id().with_context(|| format!("{} has ended", self.name))?;
        let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
        resident(&status)
            .with_context(|| format!("the system does not say how much memory {} holds", self.name))
    }

    /// How long it has kept a processor busy until now, to a hundredth of a second.
    ///
    /// # Errors
    /// When it no longer runs, or the system does not say (proc(5) is Linux's).
    pub(crate) fn processor_time(&self) -> Result<Duration> {
        let pid = self.child.id().with_context(|| format!("{} has ended", self.name))?;
        let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
        busy(&stat).with_context(|| format!("the system does not say how busy {} was", self.name))
    }

    /// Stops it and waits for its end.
    ///
    /// # Errors
    /// When it had ended before, with the end of its log, or does not stop in time.
    pub(crate) async fn stop(mut self) -> Result<()> {
        self.must_run()?;
        self.ask_to_stop();
        let stopped = timeout(STOP, self.child.wait()).await;
        stopped.with_context(|| format!("{} does not stop", self.name))??;
        Ok(())
    }

    /// Until it is waited for, its id belongs to no other process; one that has ended hears nothing, which is as good.
    fn ask_to_stop(&self) {
        if let Some(pid) = self.child.id() {
            let _ = kill(Pid::from_raw(pid.cast_signed()), Signal::SIGTERM);
        }
    }

    fn end_of_log(&self) -> String {
        let text = fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<_> = text.lines().collect();
        lines[lines.len().saturating_sub(15)..].join("\n")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.ask_to_stop();
    }
}

/// A port that nobody listens on at this moment.
///
/// # Errors
/// When there is none.
pub(crate) fn free_port() -> Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}

/// The program `name` in the folder of this one.
///
/// # Errors
/// When it was not built.
pub(crate) fn beside_this_program(name: &str) -> Result<PathBuf> {
    let program = std::env::current_exe()?.with_file_name(name);
    if !program.is_file() {
        bail!("{} is not there; `make bench` builds all that is measured", program.display());
    }
    Ok(program)
}

async fn is_ready(url: &str) -> bool {
    let asked = async { Client::connect(url).await?.get().await };
    timeout(Duration::from_secs(2), asked)
        .await
        .is_ok_and(|answer| answer.is_ok_and(|answer| answer.status == 200))
}

/// User and system time, the fields 14 and 15. The second is the program's name, which may hold anything.
fn busy(stat: &str) -> Option<Duration> {
    let fields = stat.rsplit_once(')')?.1.split_whitespace();
    let ticks = fields.skip(11).take(2).map(|field| field.parse::<u64>().ok()).sum::<Option<u64>>()?;
    Some(Duration::from_millis(ticks * 1000 / TICKS_PER_SECOND))
}

/// The bytes of the line `VmRSS:   12345 kB`.
fn resident(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok().map(|kilobytes| kilobytes * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_on_the_processor_is_that_of_the_program_and_of_the_system_for_it() {
        let stat = "12 (a ) b) S 1 12 12 0 -1 4194560 500 0 2 0 150 25 9 9 20 0 3 0 100 1 1";
        assert_eq!(busy(stat), Some(Duration::from_millis(1_750)));
        assert_eq!(busy("12 (a) S"), Some(Duration::ZERO));
        assert_eq!(busy("nothing"), None);
    }

    #[test]
    fn the_resident_set_is_read_in_bytes() {
        assert_eq!(resident("VmPeak:\t 9 kB\nVmRSS:\t   12345 kB\n"), Some(12_345 * 1024));
        assert_eq!(resident("Name:\tgateway\n"), None);
    }
}
