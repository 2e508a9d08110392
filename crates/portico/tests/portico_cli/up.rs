//! `portico up`.

use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Output, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use sqlx::{AssertSqlSafe, Connection, PgConnection};

use crate::run::{
    Folder, Up, assert_nothing_runs, code, eventually, portico, portico_on_our_rabbitmq, processes_in,
    processes_of_rabbitmq_in,
};

/// The URL of a service's database, put together from the table and the secrets.
fn url(folder: &Folder, up: &Up, role: &str, database: &str) -> String {
    let secrets = fs::read(folder.path().join("state/secrets.json")).unwrap();
    let secrets: serde_json::Value = serde_json::from_slice(&secrets).unwrap();
    let password = secrets[role].as_str().unwrap();
    format!("postgres://{role}:{password}@{}/{database}", up.row("at"))
}

fn up_again(folder: &Folder) -> Output {
    portico(folder, &["up"]).output().unwrap()
}

#[test]
fn after_ctrl_c_nothing_runs_any_more_and_the_exit_code_is_0() {
    let folder = Folder::new();
    let up = Up::start(&folder);
    assert!(!processes_in(&folder).is_empty());
    up.signal(Signal::SIGINT);
    let (status, said) = up.finish();
    assert_eq!(code(status), Ok(0), "{said}");
    assert_nothing_runs(&folder);
    let children = fs::read_to_string(folder.path().join("state/children.json")).unwrap();
    assert_eq!(children, "[]");
}

#[tokio::test]
async fn the_data_of_an_earlier_run_is_there_again() {
    let folder = Folder::new();
    let up = Up::start(&folder);
    let mut database =
        PgConnection::connect(&url(&folder, &up, "portico_order", "portico_order")).await.unwrap();
    sqlx::raw_sql("CREATE TABLE kept (n int); INSERT INTO kept VALUES (42)")
        .execute(&mut database)
        .await
        .unwrap();
    database.close().await.unwrap();
    up.signal(Signal::SIGTERM);
    assert_eq!(code(up.finish().0), Ok(0));

    let up = Up::start(&folder);
    let mut database =
        PgConnection::connect(&url(&folder, &up, "portico_order", "portico_order")).await.unwrap();
    let kept: i32 = sqlx::query_scalar("SELECT n FROM kept").fetch_one(&mut database).await.unwrap();
    assert_eq!(kept, 42);
    up.signal(Signal::SIGINT);
    assert_eq!(code(up.finish().0), Ok(0));
}

#[tokio::test]
async fn a_role_can_enter_its_own_database_and_no_other() {
    let folder = Folder::new();
    let up = Up::start(&folder);
    for role in ["portico_user", "portico_order", "portico_payment"] {
        for database in ["portico_user", "portico_order", "portico_payment", "postgres", "template1"] {
            let entered = PgConnection::connect(&url(&folder, &up, role, database)).await;
            match entered {
                Ok(_) => assert_eq!(role, database, "{role} entered {database}"),
                Err(error) => {
                    assert_ne!(role, database, "{error}");
                    let code = error.as_database_error().and_then(|error| error.code().map(String::from));
                    assert_eq!(code.as_deref(), Some("42501"), "{error}");
                }
            }
        }
    }
    up.signal(Signal::SIGINT);
    up.finish();
}

#[tokio::test]
async fn nobody_enters_without_a_password() {
    let folder = Folder::new();
    let up = Up::start(&folder);
    for role in ["postgres", "portico_user"] {
        let url = format!("postgres://{role}:guess@{}/portico_user", up.row("at"));
        let error = PgConnection::connect(&url).await.unwrap_err();
        let code = error.as_database_error().and_then(|error| error.code().map(String::from));
        assert_eq!(code.as_deref(), Some("28P01"), "{error}");
    }
    up.signal(Signal::SIGINT);
    up.finish();
}

#[test]
fn a_second_up_says_what_already_runs_and_disturbs_nothing() {
    let folder = Folder::new();
    let up = Up::start(&folder);
    let before = processes_in(&folder);
    let second = up_again(&folder);
    let said = String::from_utf8(second.stdout).unwrap();
    assert_eq!(code(second.status), Ok(0));
    assert!(
        said.contains("already runs") && said.contains(&format!("process {}", up.process.id())),
        "{said}"
    );
    assert_eq!(processes_in(&folder), before);
    up.signal(Signal::SIGINT);
    assert_eq!(code(up.finish().0), Ok(0));
}

#[test]
fn what_a_killed_run_left_behind_is_ended_by_the_next_which_then_works() {
    let folder = Folder::new();
    let up = Up::start(&folder);
    let left = processes_in(&folder);
    up.signal(Signal::SIGKILL);
    assert_eq!(code(up.finish().0), Err(9));
    assert_eq!(processes_in(&folder), left, "the kernel ended them too: this test shows nothing");

    let up = Up::start(&folder);
    assert!(processes_in(&folder).iter().all(|id| !left.contains(id)));
    up.signal(Signal::SIGINT);
    let (status, said) = up.finish();
    assert_eq!(code(status), Ok(0));
    assert!(said.contains("of a run that was killed"), "{said}");
    assert_nothing_runs(&folder);
}

#[test]
fn a_crash_of_postgres_ends_all_with_the_reason_and_the_last_lines_of_its_log() {
    let folder = Folder::new();
    let up = Up::start(&folder);
    for id in processes_in(&folder) {
        kill(Pid::from_raw(id), Signal::SIGQUIT).unwrap();
    }
    let (status, said) = up.finish();
    assert_eq!(code(status), Ok(1));
    assert!(said.contains("postgres ended by itself"), "{said}");
    assert!(said.contains("received immediate shutdown request"), "{said}");
    assert_nothing_runs(&folder);
}

#[test]
fn data_of_another_version_is_not_touched_and_the_version_is_named() {
    let folder = Folder::new();
    let data = folder.path().join("state/postgres/data");
    fs::create_dir_all(&data).unwrap();
    fs::write(data.join("PG_VERSION"), "9999\n").unwrap();
    let mut command = portico(&folder, &["up"]);
    let refused = command.env("PATH", "/nonexistent").output().unwrap();
    let said = String::from_utf8(refused.stderr).unwrap();
    assert_eq!(code(refused.status), Ok(1));
    assert!(said.contains("9999"), "{said}");
    assert_eq!(fs::read_dir(&data).unwrap().count(), 1);
}

#[test]
fn one_database_url_without_the_other_two_is_refused_in_one_line() {
    let folder = Folder::new();
    let mut command = portico(&folder, &["up"]);
    let refused = command.env("ORDER_DATABASE_URL", "postgres://localhost/o").output().unwrap();
    let said = String::from_utf8(refused.stderr).unwrap();
    assert_eq!(code(refused.status), Ok(1));
    assert_eq!(said.lines().count(), 1, "{said}");
    assert!(said.contains("USER_DATABASE_URL"), "{said}");
}

#[test]
fn a_signal_while_the_backends_start_leaves_nothing_behind() {
    let folder = Folder::new();
    let up = portico(&folder, &["up"]);
    // As a shell without job control starts what shall run in the background.
    let mut unheard = Command::new("sh");
    unheard.args(["-c", "trap '' INT QUIT; exec \"$0\" \"$@\""]).arg(up.get_program()).args(up.get_args());
    for (name, value) in up.get_envs() {
        match value {
            Some(value) => unheard.env(name, value),
            None => unheard.env_remove(name),
        };
    }
    let mut up = unheard.stderr(Stdio::null()).spawn().unwrap();
    eventually("a process of a backend runs", || !processes_in(&folder).is_empty());
    kill(Pid::from_raw(up.id().cast_signed()), Signal::SIGTERM).unwrap();
    assert_eq!(code(up.wait().unwrap()), Ok(128 + 15));
    eventually("nothing runs", || processes_in(&folder).is_empty());
}

/// A `with` whose cluster stands for a server that someone else runs.
struct Server {
    process: Child,
    url: String,
}

impl Server {
    fn start(folder: &Folder) -> Self {
        let script = ["with", "--", "sh", "-c", "echo $DATABASE_URL; read wait"];
        let mut command = portico_on_our_rabbitmq(folder, &script);
        let mut process = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
        Self { process, url: line.trim().to_owned() }
    }

    /// A connection of its superuser's, from which it looks like one that Portico has never used.
    async fn emptied(&self) -> PgConnection {
        let mut connection = PgConnection::connect(&self.url).await.unwrap();
        for name in ["portico_user", "portico_order", "portico_payment"] {
            for what in ["DATABASE", "ROLE"] {
                sqlx::raw_sql(AssertSqlSafe(format!("DROP {what} {name}")))
                    .execute(&mut connection)
                    .await
                    .unwrap();
            }
        }
        connection
    }

    fn stop(mut self) {
        drop(self.process.stdin.take());
        self.process.wait().unwrap();
    }
}

#[tokio::test]
async fn on_a_server_that_was_given_the_databases_are_made_once_and_stay() {
    let (folder, elsewhere) = (Folder::new(), Folder::new());
    let server = Server::start(&elsewhere);
    let mut connection = server.emptied().await;
    for _ in 0..2 {
        let up = Up::start_arguments(&folder, &["up"], &[("DATABASE_URL", &server.url)]);
        assert_eq!(processes_in(&folder), processes_of_rabbitmq_in(&folder));
        assert!(up.row("Postgres").contains("DATABASE_URL"), "{}", up.printed);
        up.signal(Signal::SIGINT);
        assert_eq!(code(up.finish().0), Ok(0));
    }
    let count = "SELECT count(*) FROM pg_database JOIN pg_roles ON pg_roles.oid = datdba WHERE datname = rolname AND datname LIKE 'portico%'";
    let made: i64 = sqlx::query_scalar(count).fetch_one(&mut connection).await.unwrap();
    assert_eq!(made, 3);
    connection.close().await.unwrap();
    server.stop();
}

#[tokio::test]
async fn a_role_that_may_make_databases_but_no_roles_owns_them_itself() {
    let (folder, elsewhere) = (Folder::new(), Folder::new());
    let server = Server::start(&elsewhere);
    let mut connection = server.emptied().await;
    let make = "CREATE ROLE maker LOGIN CREATEDB PASSWORD 'm'; GRANT CONNECT ON DATABASE postgres TO maker";
    sqlx::raw_sql(make).execute(&mut connection).await.unwrap();
    let maker = format!("postgres://maker:m@{}", server.url.rsplit_once('@').unwrap().1);
    let up = Up::start_arguments(&folder, &["up"], &[("DATABASE_URL", &maker)]);
    let count =
        "SELECT count(*) FROM pg_database JOIN pg_roles ON pg_roles.oid = datdba WHERE rolname = 'maker'";
    let made: i64 = sqlx::query_scalar(count).fetch_one(&mut connection).await.unwrap();
    assert_eq!(made, 3);
    connection.close().await.unwrap();
    up.signal(Signal::SIGINT);
    assert_eq!(code(up.finish().0), Ok(0));
    server.stop();
}

#[tokio::test]
async fn databases_that_belong_to_someone_else_are_refused() {
    let (folder, elsewhere) = (Folder::new(), Folder::new());
    let server = Server::start(&elsewhere);
    let mut connection = PgConnection::connect(&server.url).await.unwrap();
    let make = "CREATE ROLE maker LOGIN CREATEDB PASSWORD 'm'; GRANT CONNECT ON DATABASE postgres TO maker";
    sqlx::raw_sql(make).execute(&mut connection).await.unwrap();
    let maker = format!("postgres://maker:m@{}", server.url.rsplit_once('@').unwrap().1);
    let refused = portico(&folder, &["up"]).env("DATABASE_URL", maker).output().unwrap();
    let said = String::from_utf8(refused.stderr).unwrap();
    assert_eq!(code(refused.status), Ok(1));
    assert!(said.contains("USER_DATABASE_URL"), "{said}");
    connection.close().await.unwrap();
    server.stop();
}

#[test]
fn a_server_that_does_not_answer_is_named_by_its_variable_and_its_password_is_not_told() {
    let folder = Folder::new();
    let mut command = portico(&folder, &["up"]);
    let refused = command.env("DATABASE_URL", "postgres://ada:sesame@127.0.0.1:1/x").output().unwrap();
    let said = String::from_utf8(refused.stderr).unwrap();
    assert_eq!(code(refused.status), Ok(1));
    assert!(said.contains("DATABASE_URL") && !said.contains("sesame"), "{said}");
}
