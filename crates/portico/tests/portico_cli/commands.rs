//! The small commands: settings, migrations, the first admin, the schema, the end.

use std::io::Write;
use std::process::{Output, Stdio};

use crate::graph::Graph;
use crate::run::{Folder, Up, assert_nothing_runs, code, portico};

fn run(folder: &Folder, arguments: &[&str]) -> Output {
    portico(folder, arguments).output().unwrap()
}

fn run_with_input(folder: &Folder, arguments: &[&str], input: &str) -> Output {
    let mut command = portico(folder, arguments);
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

fn printed(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn the_first_admin_is_made_beside_a_running_system_and_can_log_in() {
    let folder = Folder::new();
    let up = Up::start(&folder);
    let create = ["admin", "create", "--email", "boss@example.com"];
    let weak = run_with_input(&folder, &create, "password1\n");
    assert_eq!(code(weak.status), Ok(1), "{}", said(&weak));
    let made = run_with_input(&folder, &create, "columns-and-arches-88\n");
    assert_eq!(code(made.status), Ok(0), "{}", said(&made));
    let again = run_with_input(&folder, &create, "columns-and-arches-88\n");
    assert_eq!(code(again.status), Ok(1));
    assert!(said(&again).contains("exists already"), "{}", said(&again));
    let admin = Graph::at(up.row("IDE")).log_in("boss@example.com", "columns-and-arches-88");
    assert_eq!(admin.ask("{ me { role } }")["data"]["me"]["role"], "ADMIN");
    assert_eq!(code(run(&folder, &["down"]).status), Ok(0));
    assert_eq!(code(up.finish().0), Ok(0));
    assert_nothing_runs(&folder);
}

#[test]
fn without_a_running_system_the_admin_is_made_all_the_same_and_is_there_at_the_next_start() {
    let folder = Folder::new();
    let create = ["admin", "create", "--email", "boss@example.com"];
    let migrated = run(&folder, &["migrate", "up"]);
    assert_eq!(code(migrated.status), Ok(0), "{}", said(&migrated));
    let made = run_with_input(&folder, &create, "columns-and-arches-88\n");
    assert_eq!(code(made.status), Ok(0), "{}", said(&made));
    assert_nothing_runs(&folder);
    let up = Up::start(&folder);
    Graph::at(up.row("IDE")).log_in("boss@example.com", "columns-and-arches-88");
    run(&folder, &["down"]);
    up.finish();
}

#[test]
fn a_migration_is_taken_back_and_applied_again() {
    let folder = Folder::new();
    let newest = printed(&run(&folder, &["migrate", "up"]));
    assert_eq!(newest.lines().count(), 3, "{newest}");
    let down = run(&folder, &["migrate", "down"]);
    assert_eq!(printed(&down).matches("taken back").count(), 3, "{}", said(&down));
    assert_eq!(printed(&run(&folder, &["migrate", "up"])), newest);
    assert_nothing_runs(&folder);
}

#[test]
fn the_schema_that_is_committed_is_that_of_the_code() {
    let schema = include_str!("../../../../schema.graphql");
    assert_eq!(printed(&run(&Folder::new(), &["sdl"])), schema, "`make sdl` writes it anew");
}

#[test]
fn env_and_down_say_when_nothing_runs() {
    let folder = Folder::new();
    let env = run(&folder, &["env"]);
    assert_eq!(code(env.status), Ok(1));
    assert!(said(&env).contains("portico up"), "{}", said(&env));
    let down = run(&folder, &["down"]);
    assert_eq!(code(down.status), Ok(0));
    assert!(said(&down).contains("does not run"), "{}", said(&down));
}

#[test]
fn a_command_line_that_is_not_understood_is_told_in_one_line_with_code_64() {
    for arguments in [vec!["bogus"], vec!["up", "--nope"], vec!["admin", "create"]] {
        let output = run(&Folder::new(), &arguments);
        assert_eq!(code(output.status), Ok(64), "{arguments:?}");
        assert_eq!(said(&output).lines().count(), 1, "{}", said(&output));
    }
}

#[test]
fn a_file_that_should_hold_a_secret_and_is_not_there_is_named_with_code_64() {
    let mut command = portico(&Folder::new(), &["migrate", "up"]);
    let output = command.env("ORDER_DATABASE_URL_FILE", "/there/is/none").output().unwrap();
    assert_eq!(code(output.status), Ok(64));
    assert!(said(&output).contains("ORDER_DATABASE_URL_FILE names \"/there/is/none\""), "{}", said(&output));
}

#[test]
fn in_production_there_are_no_demo_accounts_and_no_ide() {
    let folder = Folder::new();
    let up = Up::start_with(&folder, &[("PORTICO_ENV", "production")]);
    assert!(!up.printed.contains("Log in as"), "{}", up.printed);
    let graph = Graph::at(up.row("IDE"));
    let login =
        r#"mutation { login(input: {email: "ada@example.com", password: "demo-customer-4711"}) { token } }"#;
    assert_eq!(graph.refusal(login).as_deref(), Some("INVALID_CREDENTIALS"));
    assert!(graph.ask("{ __schema { types { name } } }")["data"].is_null());
    run(&folder, &["down"]);
    up.finish();
}
