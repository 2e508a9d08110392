//! The binary's own subcommands, each as a process: `health` and `migrate`.

use std::{
    process::{Output, Stdio},
    time::Duration,
};

use sqlx::PgPool;
use testkit::{Database, Proxy, until};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    net::TcpListener,
    process::{Child, Command},
};

use crate::support::SECRET_KEY;

/// The binary with these variables of Portico and no others.
fn user(arguments: &[&str], variables: &[(&str, &str)]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_user"));
    command.args(arguments).env_clear().envs(variables.iter().copied());
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    command
}

async fn run(arguments: &[&str], variables: &[(&str, &str)]) -> Output {
    tokio::time::timeout(Duration::from_secs(30), user(arguments, variables).output()).await.unwrap().unwrap()
}

fn printed(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// A database with no tables at all.
async fn empty() -> Database {
    let database = Database::new("user").await;
    user::MIGRATOR.undo(database.pool(), 0).await.unwrap();
    database
}

async fn applied(pool: &PgPool) -> Vec<i64> {
    sqlx::query_scalar("SELECT version FROM _sqlx_migrations ORDER BY version").fetch_all(pool).await.unwrap()
}

/// The versions that the binary knows.
fn known() -> Vec<i64> {
    let ups = user::MIGRATOR.iter().filter(|migration| migration.migration_type.is_up_migration());
    ups.map(|migration| migration.version).collect()
}

fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// The same database behind another address.
fn behind(address: std::net::SocketAddr, url: &str) -> String {
    let (server, database) = url.rsplit_once('/').unwrap();
    let (login, _) = server.rsplit_once('@').unwrap();
    format!("{login}@{address}/{database}")
}

fn server_of(url: &str) -> String {
    let (server, _) = url.rsplit_once('/').unwrap();
    server.rsplit_once('@').unwrap().1.to_owned()
}

/// What a process says on its standard error, until a line with `word`.
async fn line_with(word: &str, process: &mut Child) -> String {
    let mut lines = BufReader::new(process.stderr.take().unwrap()).lines();
    let found = async {
        loop {
            let line = lines.next_line().await.unwrap().unwrap_or_else(|| panic!("it ended without {word}"));
            if line.contains(word) {
                break line;
            }
        }
    };
    let line = tokio::time::timeout(Duration::from_secs(30), found).await.unwrap();
    // Read on, or it could not say more.
    tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
    line
}

#[tokio::test]
async fn health_asks_the_process_with_the_same_admin_port_and_needs_no_other_setting() {
    let database = Database::new("user").await;
    let port = free_port();
    let everywhere = format!("0.0.0.0:{port}");
    let admin = ("USER_ADMIN_LISTEN", everywhere.as_str());

    let before = run(&["health"], &[admin]).await;
    assert_eq!(before.status.code(), Some(1));
    assert_eq!(said(&before).lines().count(), 1, "{}", said(&before));
    assert!(
        said(&before).starts_with(&format!("user: no answer from 127.0.0.1:{port}: ")),
        "{}",
        said(&before)
    );

    let settings = [
        admin,
        ("USER_LISTEN", "127.0.0.1:0"),
        ("USER_DATABASE_URL", database.url()),
        ("USER_SECRET_KEY", SECRET_KEY),
        ("AMQP_URL", "amqp://127.0.0.1:1/%2f"),
    ];
    let _process = user(&[], &settings).stderr(Stdio::null()).spawn().unwrap();
    until("the process is ready", async || run(&["health"], &[admin]).await.status.success()).await;
    assert_eq!(printed(&run(&["health"], &[admin]).await), "user: ready\n");

    user::MIGRATOR.undo(database.pool(), 0).await.unwrap();
    let lacking = run(&["health"], &[admin]).await;
    assert_eq!(lacking.status.code(), Some(1));
    assert!(said(&lacking).contains("not ready: database: "), "{}", said(&lacking));
    assert_eq!(said(&lacking).lines().count(), 1, "{}", said(&lacking));
}

#[tokio::test]
async fn migrate_brings_an_empty_database_to_the_newest_schema_and_does_nothing_the_second_time() {
    let database = empty().await;
    let url = [("USER_DATABASE_URL", database.url())];
    for _ in 0..2 {
        let output = run(&["migrate"], &url).await;
        assert_eq!(output.status.code(), Some(0), "{}", said(&output));
        assert_eq!(printed(&output), format!("user: at {}\n", known().last().unwrap()));
        assert_eq!(applied(database.pool()).await, known());
    }
}

#[tokio::test]
async fn many_that_migrate_at_the_same_time_all_succeed_and_apply_each_migration_once() {
    let database = empty().await;
    let url = [("USER_DATABASE_URL", database.url())];
    let outputs = futures::future::join_all((0..4).map(|_| run(&["migrate"], &url))).await;
    for output in outputs {
        assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    }
    assert_eq!(applied(database.pool()).await, known());
}

#[tokio::test]
async fn migrate_waits_for_a_database_that_comes_later_and_says_so() {
    let database = empty().await;
    let door = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = door.local_addr().unwrap();
    let url = behind(address, database.url());
    let mut process = user(&["migrate"], &[("USER_DATABASE_URL", &url)]).spawn().unwrap();
    // Closes at once, as a port does behind which nothing runs yet.
    drop(door.accept().await.unwrap());
    let word = line_with("waiting for the database", &mut process).await;
    assert!(word.contains(&address.to_string()) && !word.contains("postgres://"), "{word}");
    let _open = Proxy::at(door, server_of(database.url()));
    assert_eq!(process.wait().await.unwrap().code(), Some(0));
    assert_eq!(applied(database.pool()).await, known());
}

#[tokio::test]
async fn migrate_gives_up_at_its_deadline_in_one_line_without_the_password() {
    let url = "postgres://user:hunter2@127.0.0.1:1/user";
    let output = run(&["migrate", "--migrate-timeout", "1"], &[("USER_DATABASE_URL", url)]).await;
    assert_eq!(output.status.code(), Some(1));
    let last = said(&output).lines().last().unwrap().to_owned();
    assert!(last.starts_with("user: the database at 127.0.0.1:1 did not answer within 1 s ("), "{last}");
    assert!(!said(&output).contains("hunter2"), "{}", said(&output));
}

#[tokio::test]
async fn migrate_does_not_wait_where_waiting_cannot_help() {
    let database = empty().await;
    let missing = database.url().rsplit_once('/').unwrap().0.to_owned() + "/there_is_no_such_database";
    let output = run(&["migrate"], &[("USER_DATABASE_URL", &missing)]).await;
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(said(&output).lines().count(), 1, "{}", said(&output));
    assert!(said(&output).contains("there_is_no_such_database"), "{}", said(&output));
}

#[tokio::test]
async fn an_older_binary_leaves_a_newer_schema_as_it_is() {
    let database = Database::new("user").await;
    sqlx::raw_sql(
        "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
         VALUES (99991231000000, 'of a later version', true, '\\x00', 0)",
    )
    .execute(database.pool())
    .await
    .unwrap();
    let output = run(&["migrate"], &[("USER_DATABASE_URL", database.url())]).await;
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    assert!(printed(&output).contains("newer than this version"), "{}", printed(&output));
}

#[tokio::test]
async fn a_missing_setting_of_a_subcommand_is_named_and_help_teaches_both() {
    let output = run(&["migrate"], &[]).await;
    assert_eq!(output.status.code(), Some(64));
    assert!(said(&output).starts_with("user migrate: USER_DATABASE_URL is not set"), "{}", said(&output));
    let help = printed(&run(&["--help"], &[]).await);
    assert!(help.contains("Ask the process") && help.contains("Bring the database"), "{help}");
    let help = printed(&run(&["migrate", "--help"], &[]).await);
    assert!(help.contains("MIGRATE_TIMEOUT") && help.contains("USER_DATABASE_URL"), "{help}");
    let late = run(&["--listen", "127.0.0.1:0", "health"], &[]).await;
    assert_eq!((late.status.code(), said(&late).lines().count()), (Some(64), 1), "{}", said(&late));
}

#[tokio::test]
async fn a_secret_may_stand_in_a_file_and_one_that_is_set_twice_or_missing_is_refused_by_its_name() {
    let database = empty().await;
    let folder = std::env::temp_dir().join(format!("portico-user-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let file = folder.join("url").display().to_string();
    std::fs::write(&file, format!("{}\n", database.url())).unwrap();
    let output = run(&["migrate"], &[("USER_DATABASE_URL_FILE", &file)]).await;
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    assert_eq!(applied(database.pool()).await, known());

    let twice = [
        ("USER_DATABASE_URL_FILE", file.as_str()),
        ("USER_DATABASE_URL", "postgres://user:hunter2@host/user"),
    ];
    let secret = ("USER_SECRET_KEY", SECRET_KEY);
    for arguments in [&["migrate"][..], &[]] {
        let refused = run(arguments, &[twice[0], twice[1], secret]).await;
        assert_eq!(refused.status.code(), Some(64), "{arguments:?}");
        let line = said(&refused);
        assert!(line.contains("USER_DATABASE_URL and USER_DATABASE_URL_FILE are both set"), "{line}");
        assert!(!line.contains("hunter2") && line.lines().count() == 1, "{line}");
    }
    std::fs::remove_dir_all(&folder).unwrap();
    let missing = run(&[], &[twice[0], secret]).await;
    assert_eq!(missing.status.code(), Some(64));
    assert!(said(&missing).starts_with("user: USER_DATABASE_URL_FILE names "), "{}", said(&missing));
    assert_eq!(said(&missing).lines().count(), 1, "{}", said(&missing));
    let help = run(&["--help"], &[twice[0]]).await;
    assert_eq!(help.status.code(), Some(0));
    for variable in ["USER_DATABASE_URL_FILE", "USER_SECRET_KEY_FILE", "AMQP_URL_FILE"] {
        assert!(printed(&help).contains(variable), "{variable}");
    }
}

#[tokio::test]
async fn the_service_runs_with_all_its_secrets_in_files() {
    let database = Database::new("user").await;
    let folder = std::env::temp_dir().join(format!("portico-user-secrets-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let file = |name: &str, value: &str| {
        std::fs::write(folder.join(name), value).unwrap();
        folder.join(name).display().to_string()
    };
    let settings = [
        ("USER_LISTEN", "127.0.0.1:0"),
        ("USER_ADMIN_LISTEN", &*format!("127.0.0.1:{}", free_port())),
        ("USER_DATABASE_URL_FILE", &*file("url", database.url())),
        ("USER_SECRET_KEY_FILE", &*file("key", SECRET_KEY)),
        ("AMQP_URL_FILE", &*file("amqp", "amqp://127.0.0.1:1/%2f\n")),
    ];
    let _process = user(&[], &settings).stderr(Stdio::null()).spawn().unwrap();
    until("the process is ready", async || run(&["health"], &settings[1..2]).await.status.success()).await;
    std::fs::remove_dir_all(&folder).unwrap();
}
