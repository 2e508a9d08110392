//! The service as a process of its own.

use std::{process::Stdio, time::Duration};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use testkit::Database;
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::TcpStream,
    process::{Child, Command},
};

fn payment() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_payment"));
    command.env_clear().stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    command
}

/// The admin port that a process says it listens at.
async fn admin_address(child: &mut Child) -> String {
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    while let Some(line) = lines.next_line().await.unwrap() {
        if let Some((_, rest)) = line.split_once("admin=") {
            // Read on, so that the process never blocks on its log.
            tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
            return rest.split_whitespace().next().unwrap().to_owned();
        }
    }
    panic!("it ended before it listened");
}

async fn get(address: &str, path: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream
        .write_all(format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").as_bytes())
        .await
        .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

#[tokio::test]
async fn a_missing_or_contradicting_setting_ends_it_with_a_line_that_names_the_variable() {
    let missing = payment().output().await.unwrap();
    let said = String::from_utf8(missing.stderr).unwrap();
    assert_eq!(missing.status.code(), Some(64));
    assert!(said.lines().count() == 1 && said.contains("PAYMENT_DATABASE_URL"), "{said}");
    let contradicting = payment()
        .env("PAYMENT_DATABASE_URL", "postgres://localhost/none")
        .env("PAYMENT_RECOVER_AFTER", "1")
        .output()
        .await
        .unwrap();
    let said = String::from_utf8(contradicting.stderr).unwrap();
    assert!(!contradicting.status.success() && said.contains("PAYMENT_RECOVER_AFTER"), "{said}");
}

#[tokio::test]
async fn help_names_every_setting_and_no_value_of_a_secret() {
    let secret = "postgres://u:hunter2@localhost/none";
    let help = payment().arg("--help").env("PAYMENT_DATABASE_URL", secret).output().await.unwrap();
    let said = String::from_utf8(help.stdout).unwrap();
    for variable in [
        "PAYMENT_DATABASE_URL",
        "PAYMENT_LISTEN",
        "PAYMENT_ADMIN_LISTEN",
        "USER_GRPC_URL",
        "PAYMENT_WINDOW",
        "PAYMENT_PROVIDER_TIMEOUT",
        "PAYMENT_RECOVER_AFTER",
        "RUST_LOG",
    ] {
        assert!(said.contains(variable), "{variable} is not told");
    }
    assert!(!said.contains("hunter2"));
}

#[tokio::test]
async fn it_lives_without_the_user_service_is_not_ready_and_stops_when_asked() {
    let database = Database::new("payment").await;
    let mut child = payment()
        .env("PAYMENT_DATABASE_URL", database.url())
        .env("PAYMENT_LISTEN", "127.0.0.1:0")
        .env("PAYMENT_ADMIN_LISTEN", "127.0.0.1:0")
        // Port 9 is "discard": nobody is there.
        .env("USER_GRPC_URL", "http://127.0.0.1:9")
        .env("NO_COLOR", "1")
        .spawn()
        .unwrap();
    let admin = admin_address(&mut child).await;
    assert!(get(&admin, "/live").await.starts_with("HTTP/1.1 200"));
    let ready = get(&admin, "/ready").await;
    assert!(ready.starts_with("HTTP/1.1 503") && ready.contains("database: ok"), "{ready}");
    kill(Pid::from_raw(child.id().unwrap().cast_signed()), Signal::SIGTERM).unwrap();
    let ended = tokio::time::timeout(Duration::from_secs(10), child.wait()).await.expect("it does not stop");
    assert!(ended.unwrap().success());
}
