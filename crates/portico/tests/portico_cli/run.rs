//! How the tests run `portico`, and what they look at afterwards.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::fs::symlink;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use portico::environment::Environment;

/// A folder of a test's own, that the backends' uid can enter; gone when dropped. Fetched packages are shared: each
/// test would fetch them anew on a machine without Postgres.
pub(crate) struct Folder(PathBuf);

impl Folder {
    pub(crate) fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = PathBuf::from("/tmp").join(format!("portico-cli-{}-{number}", std::process::id()));
        let packages = Environment::of_this_process().cache_folder().unwrap().join("packages");
        fs::create_dir_all(&packages).unwrap();
        fs::create_dir_all(path.join("cache/portico")).unwrap();
        symlink(packages, path.join("cache/portico/packages")).unwrap();
        Self(path)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// `portico` with its state and its cache in `folder`, and without the backends that the tests' own environment
/// may name.
pub(crate) fn portico(folder: &Folder, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_portico"));
    command.args(arguments).stdin(Stdio::null());
    command.env("PORTICO_STATE_DIR", folder.path().join("state"));
    command.env("XDG_CACHE_HOME", folder.path().join("cache"));
    // Free ports: many tests bring a system up at the same time.
    command.env("GATEWAY_LISTEN", "127.0.0.1:0").env("GATEWAY_ADMIN_LISTEN", "127.0.0.1:0");
    command.env("NGINX_LISTEN", "127.0.0.1:0").env_remove("NGINX_URL");
    for name in ["DATABASE_URL", "USER_DATABASE_URL", "ORDER_DATABASE_URL", "PAYMENT_DATABASE_URL"] {
        command.env_remove(name);
    }
    for name in ["AMQP_URL", "RABBITMQ_MANAGEMENT_URL"] {
        command.env_remove(name);
    }
    command
}

/// The same with the RabbitMQ that the tests run on, if any, for what is not about RabbitMQ: to start one takes long.
pub(crate) fn portico_on_our_rabbitmq(folder: &Folder, arguments: &[&str]) -> Command {
    let mut command = portico(folder, arguments);
    command.envs(std::env::var_os("AMQP_URL").map(|url| ("AMQP_URL", url)));
    command
}

/// A `portico up` that has said that it is ready.
pub(crate) struct Up {
    pub(crate) process: Child,
    pub(crate) printed: String,
}

impl Up {
    /// Starts it without RabbitMQ and reads what it prints until the last line of its table.
    pub(crate) fn start(folder: &Folder) -> Self {
        Self::start_with(folder, &[])
    }

    /// The same with `variables` in its environment.
    pub(crate) fn start_with(folder: &Folder, variables: &[(&str, &str)]) -> Self {
        Self::start_arguments(folder, &["up", "--embedded"], variables)
    }

    /// The same with these arguments.
    pub(crate) fn start_arguments(folder: &Folder, arguments: &[&str], variables: &[(&str, &str)]) -> Self {
        let mut command = portico(folder, arguments);
        command.envs(variables.iter().copied());
        let mut process = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let mut printed = String::new();
        for line in &mut lines {
            let line = line.unwrap();
            printed.push_str(&line);
            printed.push('\n');
            if line.starts_with("Ctrl-C") {
                return Self { process, printed };
            }
        }
        panic!("it ended before it was ready: {}", finish(&mut process).1);
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.process.id().cast_signed()), signal).unwrap();
    }

    /// Waits for the end; gives the status and what it said on the standard error.
    pub(crate) fn finish(mut self) -> (ExitStatus, String) {
        finish(&mut self.process)
    }

    /// The value in the row of the table that begins with `what`.
    pub(crate) fn row(&self, what: &str) -> &str {
        let row = self.printed.lines().find_map(|line| line.trim().strip_prefix(what));
        row.unwrap_or_else(|| panic!("no row {what} in:\n{}", self.printed)).trim()
    }
}

/// A test that fails half way, or has seen enough, leaves nothing running.
impl Drop for Up {
    fn drop(&mut self) {
        if matches!(self.process.try_wait(), Ok(None)) {
            self.signal(Signal::SIGTERM);
            let _ = self.process.wait();
        }
    }
}

fn finish(process: &mut Child) -> (ExitStatus, String) {
    let mut said = String::new();
    process.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    (process.wait().unwrap(), said)
}

/// The ids of all processes of the backends that run in `folder`. Of Postgres those whose command line names a file there:
/// its helpers rename themselves, and end with it.
pub(crate) fn processes_in(folder: &Folder) -> Vec<i32> {
    let path = folder.path().to_str().unwrap();
    let of_postgres = |line: &str| {
        let program = line.split('\0').next().unwrap_or_default();
        program.ends_with("/postgres") || program.ends_with("/initdb")
    };
    let mut found = processes(|line| of_postgres(line) && line.contains(path));
    found.extend(processes_of_rabbitmq_in(folder));
    found
}

/// Of RabbitMQ, those that work in its folder: the server, its helpers, Erlang's port mapper.
pub(crate) fn processes_of_rabbitmq_in(folder: &Folder) -> Vec<i32> {
    let works_there = |id: &i32| {
        let place = fs::read_link(format!("/proc/{id}/cwd")).unwrap_or_default();
        place.starts_with(folder.path()) && place.ends_with("rabbitmq")
    };
    processes(|_| true).into_iter().filter(works_there).collect()
}

/// The ids of all processes with such a command line, in which a NUL stands behind each word.
pub(crate) fn processes(wanted: impl Fn(&str) -> bool) -> Vec<i32> {
    let ids =
        fs::read_dir("/proc").unwrap().filter_map(|entry| entry.unwrap().file_name().to_str()?.parse().ok());
    let line = |id: &i32| fs::read(format!("/proc/{id}/cmdline")).unwrap_or_default();
    ids.filter(|id| wanted(&String::from_utf8_lossy(&line(id)))).collect()
}

pub(crate) fn assert_nothing_runs(folder: &Folder) {
    assert_eq!(processes_in(folder), Vec::<i32>::new());
}

/// Waits until `condition` holds, and fails when it does not within half a minute.
pub(crate) fn eventually(what: &str, condition: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !condition() {
        assert!(Instant::now() < deadline, "still not: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// The exit code, with a signal told apart from it.
pub(crate) fn code(status: ExitStatus) -> Result<i32, i32> {
    status.code().ok_or_else(|| status.signal().unwrap_or_default())
}
