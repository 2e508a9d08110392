//! `portico with -- COMMAND`.

use std::fs;
use std::process::{Output, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use sqlx::{Connection, PgConnection};

use crate::run::{
    Folder, assert_nothing_runs, code, eventually, portico_on_our_rabbitmq, processes, processes_in,
};

fn with(folder: &Folder, script: &str) -> Output {
    portico_on_our_rabbitmq(folder, &["with", "--", "sh", "-c", script]).output().unwrap()
}

/// What throw-away runs left in the cache.
fn left(folder: &Folder) -> Vec<String> {
    let runs = fs::read_dir(folder.path().join("cache/portico/runs")).unwrap();
    let names = runs.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.filter(|name| name != "gate").collect()
}

fn assert_nothing_is_left(folder: &Folder) {
    assert_nothing_runs(folder);
    assert!(left(folder).is_empty(), "{:?}", left(folder));
}

#[test]
fn the_command_finds_the_urls_and_its_exit_code_is_passed_on() {
    let folder = Folder::new();
    let output = with(&folder, "env; exit 7");
    let printed = String::from_utf8(output.stdout).unwrap();
    assert_eq!(code(output.status), Ok(7), "{}", String::from_utf8_lossy(&output.stderr));
    for service in ["user", "order", "payment"] {
        let variable = format!("{}_DATABASE_URL=postgres://portico_{service}:", service.to_uppercase());
        assert!(printed.contains(&variable), "{printed}");
    }
    assert!(printed.contains("\nDATABASE_URL=postgres://postgres:"), "{printed}");
    assert!(printed.contains("\nAMQP_URL=amqp://"), "{printed}");
    assert_nothing_is_left(&folder);
}

#[test]
fn a_signal_that_ends_the_command_gives_128_and_its_number() {
    let folder = Folder::new();
    assert_eq!(code(with(&folder, "kill -SEGV $$").status), Ok(128 + 11));
}

#[test]
fn a_command_that_does_not_exist_gives_127_and_leaves_nothing() {
    let folder = Folder::new();
    let output = portico_on_our_rabbitmq(&folder, &["with", "--", "no-such-program"]).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(code(output.status), Ok(127));
    assert!(said.contains("no-such-program"), "{said}");
    assert_nothing_is_left(&folder);
}

#[test]
fn sigterm_is_passed_on_to_the_command_whose_answer_counts() {
    let folder = Folder::new();
    let ready = folder.path().join("ready");
    let script = format!("trap 'exit 3' TERM; touch {}; while :; do sleep 0.05; done", ready.display());
    let mut process = portico_on_our_rabbitmq(&folder, &["with", "--", "sh", "-c", &script]).spawn().unwrap();
    eventually("the command runs", || ready.exists());
    kill(Pid::from_raw(process.id().cast_signed()), Signal::SIGTERM).unwrap();
    assert_eq!(code(process.wait().unwrap()), Ok(3));
    assert_nothing_is_left(&folder);
}

#[test]
fn a_second_signal_ends_a_command_that_does_not_listen() {
    let folder = Folder::new();
    let ready = folder.path().join("ready");
    let script = format!("trap '' TERM; touch {}; while :; do sleep 0.05; done", ready.display());
    let mut process = portico_on_our_rabbitmq(&folder, &["with", "--", "sh", "-c", &script]).spawn().unwrap();
    eventually("the command runs", || ready.exists());
    let ended = || process_ended(process.id());
    eventually("it ended", || {
        let _ = kill(Pid::from_raw(process.id().cast_signed()), Signal::SIGTERM);
        ended()
    });
    assert_eq!(code(process.wait().unwrap()), Ok(128 + 9));
    eventually("nothing runs", || processes_in(&folder).is_empty());
}

/// A zombie has ended.
fn process_ended(pid: u32) -> bool {
    fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| stat.contains(") Z "))
}

#[test]
fn two_runs_at_the_same_time_do_not_meet() {
    let folder = Folder::new();
    let start = || {
        let mut command =
            portico_on_our_rabbitmq(&folder, &["with", "--", "sh", "-c", "echo $DATABASE_URL; read wait"]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap()
    };
    let (one, other) = (start(), start());
    eventually("both clusters run", || processes_in(&folder).len() == 2);
    let (one, other) = (one.wait_with_output().unwrap(), other.wait_with_output().unwrap());
    assert_ne!(one.stdout, other.stdout);
    assert_nothing_is_left(&folder);
}

#[test]
fn what_a_killed_run_left_behind_is_tidied_away_by_the_next() {
    let folder = Folder::new();
    let ready = folder.path().join("ready");
    let script = format!("touch {0}; exec tail -f {0}", ready.display());
    let mut process = portico_on_our_rabbitmq(&folder, &["with", "--", "sh", "-c", &script]).spawn().unwrap();
    eventually("the command runs", || ready.exists());
    process.kill().unwrap();
    process.wait().unwrap();
    assert_eq!((left(&folder).len(), processes_in(&folder).len()), (1, 1));
    // The command itself is not ours to end.
    for command in processes(|line| line.starts_with("tail\0") && line.contains(ready.to_str().unwrap())) {
        kill(Pid::from_raw(command), Signal::SIGKILL).unwrap();
    }
    assert_eq!(code(with(&folder, "true").status), Ok(0));
    assert_nothing_is_left(&folder);
}

#[test]
fn a_crash_of_postgres_ends_the_command_and_tells_the_reason() {
    let folder = Folder::new();
    let ready = folder.path().join("ready");
    let script = format!("touch {}; exec sleep 600", ready.display());
    let mut command = portico_on_our_rabbitmq(&folder, &["with", "--", "sh", "-c", &script]);
    let process = command.stderr(Stdio::piped()).spawn().unwrap();
    eventually("the command runs", || ready.exists());
    for postgres in processes_in(&folder) {
        kill(Pid::from_raw(postgres), Signal::SIGKILL).unwrap();
    }
    let output = process.wait_with_output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(code(output.status), Ok(1), "{said}");
    assert!(said.contains("postgres ended by itself (killed by SIGKILL)"), "{said}");
    assert_nothing_is_left(&folder);
}

#[tokio::test]
async fn databases_on_a_server_that_was_given_are_dropped_again() {
    let folder = Folder::new();
    let mut command =
        portico_on_our_rabbitmq(&folder, &["with", "--", "sh", "-c", "echo $DATABASE_URL; read wait"]);
    let mut outer = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let server = first_line(&mut outer);

    let mut command =
        portico_on_our_rabbitmq(&folder, &["with", "--", "sh", "-c", "echo $USER_DATABASE_URL"]);
    let output = command.env("DATABASE_URL", &server).output().unwrap();
    assert_eq!(code(output.status), Ok(0), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(String::from_utf8(output.stdout).unwrap().contains("/portico_user_"));

    let mut server = PgConnection::connect(&server).await.unwrap();
    let count = "SELECT (SELECT count(*) FROM pg_database WHERE datname LIKE 'portico%\\_%\\_%')
                      + (SELECT count(*) FROM pg_roles WHERE rolname LIKE 'portico%\\_%\\_%')";
    let left: i64 = sqlx::query_scalar(count).fetch_one(&mut server).await.unwrap();
    assert_eq!(left, 0);
    drop(outer.stdin.take());
    outer.wait().unwrap();
}

fn first_line(process: &mut std::process::Child) -> String {
    use std::io::{BufRead, BufReader};
    let mut line = String::new();
    BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
    line.trim().to_owned()
}
