//! `portico events`.

use std::io::{BufRead, BufReader};
use std::process::{Child, ChildStdout, Output, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use crate::amqp::Client;
use crate::graph::Graph;
use crate::run::{Folder, Up, code, eventually, portico};

fn events(folder: &Folder, arguments: &[&str]) -> Output {
    portico(folder, &[&["events"], arguments].concat()).output().unwrap()
}

/// What it prints, once it has ended well.
fn printed(folder: &Folder, arguments: &[&str]) -> String {
    let output = events(folder, arguments);
    assert_eq!(code(output.status), Ok(0), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn refused(folder: &Folder, arguments: &[&str]) -> String {
    let output = events(folder, arguments);
    assert_eq!(code(output.status), Ok(1), "{arguments:?}");
    String::from_utf8(output.stderr).unwrap()
}

/// A `tail` that listens.
struct Tail {
    process: Child,
    lines: std::io::Lines<BufReader<ChildStdout>>,
}

impl Tail {
    fn start(folder: &Folder, arguments: &[&str]) -> Self {
        let mut command = portico(folder, &[&["events", "tail"], arguments].concat());
        let mut process = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut said = BufReader::new(process.stderr.take().unwrap()).lines();
        assert!(said.next().unwrap().unwrap().contains("Listening"));
        let lines = BufReader::new(process.stdout.take().unwrap()).lines();
        Self { process, lines }
    }

    fn next(&mut self) -> String {
        self.lines.next().unwrap().unwrap()
    }

    fn stop(mut self) {
        kill(Pid::from_raw(self.process.id().cast_signed()), Signal::SIGINT).unwrap();
        assert_eq!(code(self.process.wait().unwrap()), Ok(0));
    }
}

fn place_an_order(up: &Up) {
    let customer = Graph::at(up.row("IDE")).log_in("ada@example.com", "demo-customer-4711");
    let order = r#"mutation { createOrder(input: {shippingAddress: "1 Main Street", idempotencyKey: "one",
        items: [{productId: "prod-2", quantity: 1}]}) { id } }"#;
    let answer = customer.ask(order);
    assert!(answer["data"]["createOrder"]["id"].is_string(), "{answer}");
}

#[tokio::test]
async fn what_is_said_is_seen_and_what_cannot_be_handled_is_looked_at_redriven_and_dropped() {
    let folder = Folder::new();
    let up = Up::start_arguments(&folder, &["up"], &[]);
    let mut as_json = Tail::start(&folder, &["--json", "--routing-key", "order.*"]);
    let mut for_people = Tail::start(&folder, &["--routing-key", "order.created"]);
    place_an_order(&up);
    let event: Value = serde_json::from_str(&as_json.next()).unwrap();
    assert_eq!(event["type"], "portico.order.created.v1");
    let line = for_people.next();
    assert!(line.contains("order.created") && line.contains(event["subject"].as_str().unwrap()), "{line}");
    assert!(!line.contains('\u{1b}'), "{line}");
    as_json.stop();
    for_people.stop();

    eventually("the order has its relay", || {
        let status = printed(&folder, &["outbox", "status"]);
        status.lines().filter(|line| line.contains(" 0 ") && line.ends_with("leads")).count() == 3
    });
    let first = printed(&folder, &["outbox", "status", "--json"]).lines().next().unwrap().to_owned();
    assert_eq!(serde_json::from_str::<Value>(&first).unwrap()["waiting"], 0);

    assert!(printed(&folder, &["dead-letters", "list"]).contains("no dead letters"));
    let operator = Client::of(&url(&folder)).await;
    // Not an event, where the payment service expects one.
    operator.publish("payment.order_created", "work").await.unwrap();
    let list = || printed(&folder, &["dead-letters", "list", "--json"]);
    eventually("it rests", || list().lines().count() == 1);
    let letter: Value = serde_json::from_str(&list()).unwrap();
    let id = letter["id"].as_str().unwrap();
    assert_eq!(letter["consumer"], "payment.order_created");
    assert!(printed(&folder, &["dead-letters", "list"]).contains(id));
    assert!(printed(&folder, &["dead-letters", "show", id]).contains("{}"));
    assert!(refused(&folder, &["dead-letters", "show", "nobody"]).contains("nobody"));
    let redriven = printed(&folder, &["dead-letters", "redrive", "--consumer", "payment.order_created"]);
    assert_eq!(redriven, "1 dead letter redriven\n");
    eventually("it rests again", || list().lines().count() == 1);
    assert_eq!(printed(&folder, &["dead-letters", "drop", "--all"]), "1 dead letter dropped\n");
    assert_eq!(list(), "");
    up.signal(Signal::SIGINT);
    assert_eq!(code(up.finish().0), Ok(0));
}

/// The administrator's URL.
fn url(folder: &Folder) -> String {
    let exports = String::from_utf8(portico(folder, &["env"]).output().unwrap().stdout).unwrap();
    let line = exports.lines().find_map(|line| line.strip_prefix("export AMQP_URL='")).unwrap();
    line.trim_end_matches('\'').to_owned()
}

#[test]
fn without_rabbitmq_a_tail_says_what_to_do_and_the_rest_works() {
    let folder = Folder::new();
    let up = Up::start(&folder);
    let said = refused(&folder, &["tail"]);
    assert!(said.contains("RabbitMQ") && said.contains("--embedded"), "{said}");
    assert!(printed(&folder, &["dead-letters", "list"]).contains("no dead letters"));
    assert_eq!(printed(&folder, &["dead-letters", "redrive", "--all"]), "0 dead letters redriven\n");
    assert_eq!(printed(&folder, &["outbox", "status"]).lines().count(), 4);
    up.signal(Signal::SIGINT);
    up.finish();
    let said = refused(&folder, &["tail"]);
    assert!(said.contains("portico up"), "{said}");
}

#[test]
fn to_redrive_or_drop_is_to_say_which() {
    let folder = Folder::new();
    for action in ["redrive", "drop"] {
        let output = events(&folder, &["dead-letters", action]);
        assert_eq!(code(output.status), Ok(64));
    }
}
