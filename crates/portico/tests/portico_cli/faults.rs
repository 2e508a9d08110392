//! `portico fault`: what is switched on is what clients meet, and production has no switches.

use std::net::TcpStream;

use serde_json::Value;

use crate::apart::{Process, settings_of};
use crate::graph::Graph;
use crate::run::{Folder, Up, code, eventually, portico};

/// Runs `portico fault`; gives its exit code and what it said, on either output.
fn fault(folder: &Folder, arguments: &[&str]) -> (Result<i32, i32>, String) {
    let output = portico(folder, &[&["fault"], arguments].concat()).output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    (code(output.status), String::from_utf8(said).unwrap())
}

fn reason(answer: &Value) -> &str {
    answer["errors"][0]["extensions"]["reason"].as_str().unwrap_or_default()
}

#[test]
fn a_switch_of_a_running_system_does_what_it_says_until_it_is_cleared() {
    let folder = Folder::new();
    let up = Up::start(&folder);
    let admin = Graph::at(up.row("GraphQL").trim_end_matches("/graphql"))
        .log_in("admin@example.com", "demo-admin-4711");
    let ask = || admin.ask("{ payments { data { id } } products { data { id } } }");

    let (code, said) = fault(&folder, &["set", "payment", "--error", "100%", "--internal"]);
    assert_eq!(code, Ok(0), "{said}");
    assert!(said.contains("100 % internal errors"), "{said}");
    let answer = ask();
    assert_eq!(reason(&answer), "FAULT_INJECTED", "{answer}");
    assert!(answer["data"]["payments"].is_null() && answer["data"]["products"].is_object(), "{answer}");

    // What is set takes the place of what was.
    assert_eq!(fault(&folder, &["set", "payment", "--unreachable"]).0, Ok(0));
    assert_eq!(reason(&ask()), "SERVICE_UNAVAILABLE");

    let (code, said) = fault(&folder, &["clear"]);
    assert!(code == Ok(0) && !said.contains("unreachable"), "{said}");
    eventually("payments are there again", || ask()["errors"].is_null());
}

#[test]
fn what_can_not_be_set_is_told_with_what_can() {
    let folder = Folder::new();
    let up = Up::start(&folder);
    let refused = |arguments: &[&str], exit: i32, told: &str| {
        let (code, said) = fault(&folder, arguments);
        assert!(code == Ok(exit) && said.contains(told), "{arguments:?}: {code:?} {said}");
    };
    refused(&["set", "paymet", "--latency", "2s"], 1, "gateway, order, payment, user");
    refused(&["set", "payment", "--error", "130%"], 64, "up to 100%");
    refused(&["set", "payment", "--latency", "2"], 64, "such as 250ms or 2s");
    refused(&["set", "payment"], 1, "say what is to go wrong");
    refused(&["set", "gateway", "--latency", "2s"], 1, "is not called by gRPC");
    drop(up);
    refused(&["list", "--admin", "http://127.0.0.1:9"], 1, "no answer from http://127.0.0.1:9");
}

#[test]
fn production_has_no_switches() {
    let folder = Folder::new();
    let _up = Up::start_with(&folder, &[("PORTICO_ENV", "production")]);
    let (code, said) = fault(&folder, &["set", "payment", "--latency", "2s"]);
    assert!(code == Ok(1) && said.contains("PORTICO_ENV=development"), "{said}");
}

#[test]
fn a_process_that_is_unreachable_refuses_who_connects_until_it_is_not() {
    let folder = Folder::new();
    let _backends = Up::start_arguments(&folder, &["up", "--backends"], &[]);
    let user = Process::start("user", &settings_of("user", &folder));
    let admin = format!("http://{}", user.admin);
    let connected = TcpStream::connect(&user.address).unwrap();
    let (code, said) = fault(&folder, &["set", "user", "--unreachable", "--admin", &admin]);
    assert_eq!(code, Ok(0), "{said}");
    eventually("it refuses", || TcpStream::connect(&user.address).is_err());
    connected.set_read_timeout(Some(std::time::Duration::from_secs(10))).unwrap();
    eventually("who is connected is cut off", || {
        let mut piece = [0; 1024];
        match std::io::Read::read(&mut &connected, &mut piece) {
            Ok(read) => read == 0,
            Err(error) => error.kind() != std::io::ErrorKind::WouldBlock,
        }
    });
    assert_eq!(fault(&folder, &["clear", "--admin", &admin]).0, Ok(0));
    eventually("it takes clients again", || TcpStream::connect(&user.address).is_ok());
}
