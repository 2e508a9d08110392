//! RabbitMQ as `portico up` and `portico with` start it.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::process::Stdio;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::amqp::{Client, assert_refused};
use crate::run::{Folder, Up, code, eventually, portico, processes_in, processes_of_rabbitmq_in};

/// `portico up --backends`: what is tried here needs no services.
fn up(folder: &Folder) -> Up {
    Up::start_arguments(folder, &["up", "--backends"], &[])
}

/// Erlang's own helpers end a moment after the server.
fn until_nothing_runs(folder: &Folder) {
    eventually("nothing runs", || processes_in(folder).is_empty());
}

/// A variable that `portico env` prints.
fn variable(folder: &Folder, name: &str) -> String {
    let exports = portico(folder, &["env"]).output().unwrap();
    let exports = String::from_utf8(exports.stdout).unwrap();
    let value = exports.lines().find_map(|line| line.strip_prefix(&format!("export {name}='")));
    value.unwrap_or_else(|| panic!("no {name} in {exports}")).trim_end_matches('\'').to_owned()
}

#[tokio::test]
async fn each_account_says_its_own_events_and_subscribers_none() {
    let folder = Folder::new();
    let up = up(&folder);
    let url = |account: &str| variable(&folder, &format!("{account}_AMQP_URL"));
    let operator = Client::of(&variable(&folder, "AMQP_URL")).await;
    operator.declare_exchange().await.unwrap();

    let order = Client::of(&url("ORDER")).await;
    let subscriber = Client::of(up.row("Subscribe as")).await;
    subscriber.declare("subscriber.mine").await.unwrap();
    subscriber.bind("subscriber.mine", "#").await.unwrap();
    order.publish("portico.events", "order.created").await.unwrap();
    assert_eq!(subscriber.next_key("subscriber.mine").await.unwrap(), "order.created");
    for (account, own, foreign) in [
        ("USER", "session.revoked", "order.created"),
        ("ORDER", "order.deleted", "payment.success"),
        ("PAYMENT", "payment.success", "user.created"),
    ] {
        let client = Client::of(&url(account)).await;
        client.publish("portico.events", own).await.unwrap();
        assert_refused(client.publish("portico.events", foreign).await);
    }
    let gateway = Client::of(&url("GATEWAY")).await;
    for reader in [&subscriber, &gateway] {
        assert_refused(reader.publish("portico.events", "order.created").await);
        assert_refused(reader.publish("", "order.payment_outcomes").await);
        assert_refused(reader.declare("order.payment_outcomes").await);
    }
    assert_refused(order.declare("payment.order_created").await);
    let guest = Client::try_of(&format!("amqp://guest:guest@{}/%2f", address(up.row("Subscribe as")))).await;
    assert_refused(guest);
    up.signal(Signal::SIGINT);
    assert_eq!(code(up.finish().0), Ok(0));
}

fn address(url: &str) -> &str {
    url.rsplit_once('@').unwrap().1.split('/').next().unwrap()
}

#[tokio::test]
async fn what_a_queue_holds_is_there_again_after_down_and_up_and_nothing_runs_between() {
    let folder = Folder::new();
    let first = up(&folder);
    let client = Client::of(&variable(&folder, "AMQP_URL")).await;
    client.declare("kept").await.unwrap();
    client.publish("", "kept").await.unwrap();
    assert!(!processes_of_rabbitmq_in(&folder).is_empty());
    assert_eq!(code(portico(&folder, &["down"]).status().unwrap()), Ok(0));
    let (status, said) = first.finish();
    assert_eq!(code(status), Ok(0), "{said}");
    until_nothing_runs(&folder);
    assert_eq!(fs::read_to_string(folder.path().join("state/children.json")).unwrap(), "[]");

    let second = up(&folder);
    let client = Client::of(&variable(&folder, "AMQP_URL")).await;
    assert!(client.holds_something("kept").await);
    second.signal(Signal::SIGTERM);
    assert_eq!(code(second.finish().0), Ok(0));
    until_nothing_runs(&folder);
}

#[test]
fn the_rabbitmq_of_a_killed_run_is_ended_by_the_next() {
    let folder = Folder::new();
    let killed = up(&folder);
    let left = processes_of_rabbitmq_in(&folder);
    killed.signal(Signal::SIGKILL);
    assert_eq!(code(killed.finish().0), Err(9));
    assert_eq!(processes_of_rabbitmq_in(&folder), left, "the kernel ended them too: this test shows nothing");

    let next = up(&folder);
    let now = processes_of_rabbitmq_in(&folder);
    assert!(now.iter().all(|id| !left.contains(id)), "{left:?} {now:?}");
    next.signal(Signal::SIGINT);
    let (status, said) = next.finish();
    assert_eq!(code(status), Ok(0));
    assert!(said.contains("Ending rabbitmq") && said.contains("Ending epmd"), "{said}");
    until_nothing_runs(&folder);
}

#[test]
fn a_crash_of_rabbitmq_ends_all_with_the_reason() {
    let folder = Folder::new();
    let up = up(&folder);
    for id in processes_of_rabbitmq_in(&folder) {
        // Those that are its helpers end with it.
        let _ = kill(Pid::from_raw(id), Signal::SIGKILL);
    }
    let (status, said) = up.finish();
    assert_eq!(code(status), Ok(1));
    assert!(said.contains("rabbitmq ended by itself (killed by SIGKILL)"), "{said}");
    until_nothing_runs(&folder);
}

#[tokio::test]
async fn the_urls_that_with_exports_work_and_nothing_is_left_of_its_rabbitmq() {
    let folder = Folder::new();
    let script = "echo $AMQP_URL; echo $RABBITMQ_MANAGEMENT_URL; read wait";
    let mut command = portico(&folder, &["with", "--", "sh", "-c", script]);
    let mut process = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
    let (url, management) = (lines.next().unwrap().unwrap(), lines.next().unwrap().unwrap());

    let client = Client::of(&url).await;
    client.declare("tried").await.unwrap();
    client.publish("", "tried").await.unwrap();
    let overview = ureq::get(format!("{management}/api/overview")).call().unwrap();
    assert!(overview.status().is_success());
    process.stdin.take().unwrap().write_all(b"\n").unwrap();
    assert_eq!(code(process.wait().unwrap()), Ok(0));
    until_nothing_runs(&folder);
}

#[test]
fn a_rabbitmq_that_was_given_is_named_by_its_variable_and_its_password_is_not_told() {
    let folder = Folder::new();
    for arguments in [["up"].as_slice(), ["with", "--", "true"].as_slice()] {
        let mut command = portico(&folder, arguments);
        let refused = command.env("AMQP_URL", "amqp://ada:sesame@127.0.0.1:1/%2f").output().unwrap();
        let said = String::from_utf8(refused.stderr).unwrap();
        assert_eq!(code(refused.status), Ok(1), "{said}");
        assert!(said.contains("AMQP_URL") && !said.contains("sesame"), "{said}");
        until_nothing_runs(&folder);
    }
}

#[test]
fn nobody_outside_this_machine_reaches_rabbitmq() {
    let folder = Folder::new();
    let up = up(&folder);
    let listening = listening_addresses(&processes_of_rabbitmq_in(&folder));
    assert!(listening.len() >= 4, "{listening:?}");
    assert!(listening.iter().all(|address| LOOPBACK.contains(&address.as_str())), "{listening:?}");
    up.signal(Signal::SIGINT);
    up.finish();
}

/// 127.0.0.1 and ::1 as `/proc/net/tcp` and `tcp6` have them.
const LOOPBACK: [&str; 2] = ["0100007F", "00000000000000000000000001000000"];

/// The addresses on which these processes listen (proc_pid_net(5); state 0A is LISTEN).
fn listening_addresses(processes: &[i32]) -> Vec<String> {
    let links = |id: &i32| {
        let files = fs::read_dir(format!("/proc/{id}/fd")).into_iter().flatten().flatten();
        files.filter_map(|file| fs::read_link(file.path()).ok()).collect::<Vec<_>>()
    };
    let sockets: Vec<_> = processes.iter().flat_map(links).collect();
    let table = ["tcp", "tcp6"].map(|name| fs::read_to_string(format!("/proc/net/{name}")).unwrap()).concat();
    let row = |line: &str| {
        let fields: Vec<_> = line.split_whitespace().collect();
        let socket = format!("socket:[{}]", fields.get(9)?);
        let ours = fields[3] == "0A" && sockets.iter().any(|link| link.to_str() == Some(socket.as_str()));
        ours.then(|| fields[1].split(':').next().unwrap().to_owned())
    };
    table.lines().filter_map(row).collect()
}
