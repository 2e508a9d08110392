//! `scripts/databases`: what was backed up is there again, and nothing is thrown away by mistake.

use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use portico::environment::Environment;
use portico::progress::Progress;
use portico::tools::{Tools, Wanted};
use serde_json::{Value, json};
use sqlx::Connection;
use testkit::Database;

use crate::graph::Graph;
use crate::run::{Folder, Up, code, eventually, portico};

const PASSWORD: &str = "columns-and-arches-88";

type Variables = Vec<(String, String)>;

/// `scripts/databases` with these settings, and Postgres' programs in its PATH.
async fn databases(settings: &Variables, arguments: &[&str]) -> Output {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../scripts/databases");
    let mut command = Command::new(script);
    for service in ["USER", "ORDER", "PAYMENT"] {
        command.env_remove(format!("{service}_DATABASE_URL"));
    }
    command.args(arguments).env("PATH", path().await).envs(settings.iter().cloned()).stdin(Stdio::null());
    command.output().unwrap()
}

/// A PATH in which Postgres' programs are.
async fn path() -> OsString {
    let wanted = Wanted { postgres: true, ..Wanted::default() };
    let tools = Tools::find(wanted, &Environment::of_this_process(), &Progress::on_stderr()).await.unwrap();
    let found = tools.variables().into_iter().find(|(name, _)| *name == "PATH");
    found.map_or_else(|| std::env::var_os("PATH").unwrap(), |(_, path)| path)
}

/// The same with `folder` before all others.
async fn path_with(folder: &Path) -> String {
    format!("{}:{}", folder.display(), path().await.into_string().unwrap())
}

/// The same where it must succeed; what it said.
async fn done(settings: &Variables, arguments: &[&str]) -> String {
    let output = databases(settings, arguments).await;
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(code(output.status), Ok(0), "{said}");
    said
}

/// The same where it must be refused; what it said.
async fn refused(settings: &Variables, arguments: &[&str]) -> String {
    let output = databases(settings, arguments).await;
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(code(output.status), Ok(1), "{said}");
    said
}

/// What `portico env` prints of a running system.
fn settings(folder: &Folder) -> Variables {
    let printed = String::from_utf8(portico(folder, &["env"]).output().unwrap().stdout).unwrap();
    let exports = printed.lines().map(|line| line.strip_prefix("export ").unwrap().split_once('=').unwrap());
    exports.map(|(name, value)| (name.to_owned(), value.trim_matches('\'').to_owned())).collect()
}

fn value(settings: &Variables, variable: &str) -> String {
    settings.iter().find(|(name, _)| name == variable).unwrap().1.clone()
}

fn stop(up: Up, folder: &Folder) {
    assert_eq!(code(portico(folder, &["down"]).output().unwrap().status), Ok(0));
    assert_eq!(code(up.finish().0), Ok(0));
}

fn register(graph: &Graph, email: &str) -> Graph {
    let answer = graph.ask(&format!(
        r#"mutation {{ register(input: {{email: "{email}", password: "{PASSWORD}", firstName: "Lin", lastName: "Wei"}})
            {{ token }} }}"#
    ));
    graph.with_token(answer["data"]["register"]["token"].as_str().unwrap_or_else(|| panic!("{answer}")))
}

fn place_order(customer: &Graph, product: &str) -> String {
    let answer = customer.ask(&format!(
        r#"mutation {{ createOrder(input: {{shippingAddress: "1 Main Street", notes: "ring twice",
            items: [{{productId: "{product}", quantity: 2}}]}}) {{ id }} }}"#
    ));
    answer["data"]["createOrder"]["id"].as_str().unwrap_or_else(|| panic!("{answer}")).to_owned()
}

fn payment_of(customer: &Graph, order: &str) -> Value {
    customer.ask(&format!(r#"{{ paymentByOrder(orderId: "{order}") {{ id status }} }}"#))["data"]["paymentByOrder"].take()
}

fn status_of(customer: &Graph, order: &str) -> Value {
    customer.ask(&format!(r#"{{ order(id: "{order}") {{ status }} }}"#))["data"]["order"]["status"].take()
}

/// Pays, and waits until the order has heard of it.
fn pay(customer: &Graph, order: &str) {
    eventually("the order has its payment", || payment_of(customer, order).is_object());
    let payment = payment_of(customer, order)["id"].take();
    let paid = customer.ask(&format!(
        r#"mutation {{ processPayment(input: {{paymentId: {payment}, token: "tok_visa"}}) {{ status }} }}"#
    ));
    assert_eq!(paid["data"]["processPayment"]["status"], "SUCCEEDED", "{paid}");
    eventually("the order is confirmed", || status_of(customer, order) == "CONFIRMED");
}

/// Everything that a client can ask for.
fn answers(client: &Graph) -> Vec<Value> {
    let questions = [
        "{ me { id email firstName lastName fullName role orders { id status totalAmount
            items { productId productName quantity unitPrice } } } }",
        "{ orders(limit: 100) { data { id status totalAmount shippingAddress notes createdAt updatedAt
            user { id email } payment { id status amount method transactionId paidAt } }
            pageInfo { total hasMore } } }",
        "{ myPayments(limit: 100) { data { id status amount order { id } } } }",
        "{ products(limit: 100) { data { id name unitPrice currency active } } }",
        "{ users(limit: 100) { data { id email role active createdAt } pageInfo { total } } }",
        "{ payments(limit: 100) { data { id status } pageInfo { total } } }",
    ];
    questions.iter().map(|question| client.ask(question)).map(without_request_ids).collect()
}

/// The id of each request is its own.
fn without_request_ids(mut answer: Value) -> Value {
    for error in answer["errors"].as_array_mut().into_iter().flatten() {
        error["extensions"]["requestId"] = json!(null);
    }
    answer
}

/// Which key signed a token: the `kid` of its head.
fn key_of(token: &str) -> String {
    let head = URL_SAFE_NO_PAD.decode(token.split('.').next().unwrap()).unwrap();
    serde_json::from_slice::<Value>(&head).unwrap()["kid"].as_str().unwrap().to_owned()
}

/// Nothing waits in an outbox, and no event rests.
fn all_is_told(folder: &Folder) -> bool {
    let printed =
        |arguments: &[&str]| String::from_utf8(portico(folder, arguments).output().unwrap().stdout).unwrap();
    let outboxes = printed(&["events", "outbox", "status", "--json"]);
    let waiting = |line: &str| serde_json::from_str::<Value>(line).unwrap()["waiting"].take();
    outboxes.lines().all(|line| waiting(line) == 0)
        && printed(&["events", "dead-letters", "list"]).contains("no dead letters")
}

#[tokio::test]
async fn a_system_on_restored_databases_and_an_empty_rabbitmq_answers_as_before_and_goes_on() {
    let folder = Folder::new();
    let up = Up::start(&folder);
    let graph = Graph::at(up.row("IDE"));
    let (ada, lin) =
        (graph.log_in("ada@example.com", "demo-customer-4711"), register(&graph, "lin@example.com"));
    let admin = graph.log_in("admin@example.com", "demo-admin-4711");
    pay(&ada, &place_order(&ada, "prod-1"));
    let unpaid = place_order(&lin, "prod-2");
    eventually("the other order has its payment", || payment_of(&lin, &unpaid).is_object());
    let before = [&ada, &lin, &admin].map(answers);
    let mut variables = settings(&folder);
    let backup = folder.path().join("backups/first");
    let backup = backup.to_str().unwrap();
    let said = done(&variables, &["backup", backup]).await;
    assert!(said.contains("is whole") && said.contains("USER_SECRET_KEY"), "{said}");
    stop(up, &folder);
    fs::remove_dir_all(folder.path().join("state")).unwrap();

    // Another cluster, another RabbitMQ; of what was there only the backup and the secret are left.
    let secret = value(&variables, "USER_SECRET_KEY");
    let there = [("PORTICO_ENV", "production"), ("USER_SECRET_KEY", secret.as_str())];
    let backends = Up::start_arguments(&folder, &["up", "--backends"], &there);
    variables = settings(&folder);
    let said = refused(&variables, &["restore", backup]).await;
    assert!(said.contains("user: its database has") && said.contains("--replace"), "{said}");
    done(&variables, &["restore", backup, "--replace"]).await;
    stop(backends, &folder);
    let up = Up::start_arguments(&folder, &["up"], &there);
    eventually("all is told again", || all_is_told(&folder));
    let graph = Graph::at(up.row("IDE"));
    let [ada, lin, admin] = [&ada, &lin, &admin].map(|client| graph.with_token(client.token()));
    assert_eq!([&ada, &lin, &admin].map(answers), before);

    // The old password opens, the old key signs, and what was begun can be ended.
    let lin_again = graph.log_in("lin@example.com", PASSWORD);
    assert_eq!(key_of(lin_again.token()), key_of(lin.token()));
    pay(&lin_again, &unpaid);
    let after = [&ada, &lin, &admin].map(answers);
    stop(up, &folder);

    // Another secret: whoever is signed in stays so, and new tokens are signed by a new key.
    let secret = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
    let there = [("PORTICO_ENV", "production"), ("USER_SECRET_KEY", secret)];
    let up = Up::start_arguments(&folder, &["up", "--embedded"], &there);
    let graph = Graph::at(up.row("IDE"));
    let clients = [&ada, &lin, &admin].map(|client| graph.with_token(client.token()));
    assert_eq!(clients.each_ref().map(answers), after);
    let anew = graph.log_in("lin@example.com", PASSWORD);
    assert_ne!(key_of(anew.token()), key_of(lin.token()));
    assert_eq!(answers(&anew), after[1]);
    stop(up, &folder);
}

#[tokio::test]
async fn one_database_restored_to_an_older_time_catches_up_by_what_the_others_tell_again() {
    let folder = Folder::new();
    let up = Up::start(&folder);
    let graph = Graph::at(up.row("IDE"));
    let ada = graph.log_in("ada@example.com", "demo-customer-4711");
    let order = place_order(&ada, "prod-1");
    eventually("the order has its payment", || payment_of(&ada, &order).is_object());
    let backup = folder.path().join("orders");
    let backup = backup.to_str().unwrap();
    done(&settings(&folder), &["backup", backup, "order"]).await;
    pay(&ada, &order);
    stop(up, &folder);

    let backends = Up::start_arguments(&folder, &["up", "--backends"], &[]);
    let variables = settings(&folder);
    done(&variables, &["restore", backup, "order", "--replace"]).await;
    let line = fs::read_to_string(Path::new(backup).join("backup.txt")).unwrap();
    let taken = line.lines().last().unwrap().split(' ').nth(1).unwrap();
    let said = done(&variables, &["tell-again", taken, "payment"]).await;
    assert!(said.contains("payment: 1 events will be told again"), "{said}");
    stop(backends, &folder);

    let up = Up::start(&folder);
    let ada = Graph::at(up.row("IDE")).with_token(ada.token());
    eventually("the order hears again that it was paid", || status_of(&ada, &order) == "CONFIRMED");
    assert_eq!(payment_of(&ada, &order)["status"], "SUCCEEDED");
    eventually("all is told", || all_is_told(&folder));
    stop(up, &folder);
}

/// The order service's database by itself, and a folder for backups.
struct Alone {
    database: Database,
    settings: Variables,
    folder: Folder,
}

impl Alone {
    async fn new() -> Self {
        let database = Database::new("order").await;
        let settings = vec![("ORDER_DATABASE_URL".to_owned(), database.url().to_owned())];
        Self { database, settings, folder: Folder::new() }
    }

    /// Runs one statement and lets go of the database: one that somebody is in is not replaced.
    async fn run(&self, statement: &'static str) {
        let mut connection = self.database.pool().acquire().await.unwrap().detach();
        sqlx::raw_sql(statement).execute(&mut connection).await.unwrap();
        connection.close().await.unwrap();
    }

    async fn count(&self, statement: &'static str) -> i64 {
        let mut connection = self.database.pool().acquire().await.unwrap().detach();
        let count = sqlx::query_scalar(statement).fetch_one(&mut connection).await.unwrap();
        connection.close().await.unwrap();
        count
    }

    fn backup(&self) -> PathBuf {
        self.folder.path().join("backup")
    }
}

const ORDERS: &str = "SELECT count(*) FROM orders";
const PLACE: &str = "INSERT INTO orders VALUES (gen_random_uuid(), gen_random_uuid(), 'PENDING', 100, 'USD',
    '1 Main Street', E'two\\nlines\\\\', 1, now(), now(), NULL)";

#[tokio::test]
async fn a_dump_that_was_changed_and_a_database_that_somebody_is_in_are_refused_and_nothing_is_lost() {
    let alone = Alone::new().await;
    let backup = alone.backup();
    let (path, dump) = (backup.to_str().unwrap(), backup.join("order.dump"));
    alone.run(PLACE).await;
    done(&alone.settings, &["backup", path, "order"]).await;
    alone.run(PLACE).await;
    assert!(refused(&alone.settings, &["backup", path, "order"]).await.contains("is there already"));

    let connection = alone.database.pool().acquire().await.unwrap();
    let restore = ["restore", path, "order", "--replace"];
    assert!(refused(&alone.settings, &restore).await.contains("somebody is in its database"));
    connection.detach().close().await.unwrap();

    let whole = fs::read(&dump).unwrap();
    let mut damaged = whole.clone();
    damaged[whole.len() / 2] ^= 1;
    fs::write(&dump, &damaged).unwrap();
    assert!(refused(&alone.settings, &["check", path, "order"]).await.contains("not the one that was made"));
    assert!(refused(&alone.settings, &restore).await.contains("not the one that was made"));
    assert_eq!(alone.count(ORDERS).await, 2);

    fs::write(&dump, &whole).unwrap();
    done(&alone.settings, &restore).await;
    assert_eq!(alone.count(ORDERS).await, 1);
    assert_eq!(alone.count("SELECT count(*) FROM orders WHERE notes = E'two\\nlines\\\\'").await, 1);
}

#[tokio::test]
async fn what_fails_half_way_leaves_everything_as_it_was() {
    let alone = Alone::new().await;
    let backup = alone.backup();
    alone.run(PLACE).await;
    done(&alone.settings, &["backup", backup.to_str().unwrap(), "order"]).await;
    alone.run(PLACE).await;
    // One that dies before the data must not be taken for one that is done.
    let programs = alone.folder.path().join("programs");
    let faulty = "#!/bin/bash\nPATH=${PATH#*:}\n[[ \"$*\" == *--file=-* ]] || exec pg_restore \"$@\"\n\
                  pg_restore --schema-only \"$@\"\nexit 1\n";
    write_program(&programs, "pg_restore", faulty);
    let mut settings = alone.settings.clone();
    settings.push(("PATH".to_owned(), path_with(&programs).await));
    let said = refused(&settings, &["restore", backup.to_str().unwrap(), "order", "--replace"]).await;
    assert!(said.contains("what was there is there still"), "{said}");
    assert_eq!(alone.count(ORDERS).await, 2);
}

#[tokio::test]
async fn no_argument_of_any_program_has_the_password() {
    let alone = Alone::new().await;
    let (programs, told) = (alone.folder.path().join("programs"), alone.folder.path().join("told"));
    for program in ["pg_dump", "pg_restore", "psql"] {
        let text = format!(
            "#!/bin/bash\necho \"$0 $*\" >> {told}\nPATH=${{PATH#*:}}\nexec {program} \"$@\"\n",
            told = told.display()
        );
        write_program(&programs, program, &text);
    }
    let (scheme, rest) = alone.database.url().split_once("://").unwrap();
    let (user, host) = rest.split_once('@').unwrap();
    let user = user.split(':').next().unwrap();
    // Right or wrong, it is nowhere to be seen; a server that trusts this machine does not ask for it.
    let secret = format!("{scheme}://{user}:hunter%3A2@{host}");
    let file = alone.folder.path().join("url");
    fs::write(&file, format!("{secret}\n")).unwrap();
    let settings = vec![
        ("ORDER_DATABASE_URL_FILE".to_owned(), file.to_str().unwrap().to_owned()),
        ("PATH".to_owned(), path_with(&programs).await),
    ];
    let output = databases(&settings, &["backup", alone.backup().to_str().unwrap(), "order"]).await;
    let (told, said) = (fs::read_to_string(told).unwrap(), String::from_utf8_lossy(&output.stderr));
    assert!(told.contains("psql") && told.contains(host), "{told}");
    assert!(!told.contains("hunter") && !said.contains("hunter"), "{told}{said}");
}

fn write_program(folder: &Path, name: &str, text: &str) {
    fs::create_dir_all(folder).unwrap();
    fs::write(folder.join(name), text).unwrap();
    fs::set_permissions(folder.join(name), fs::Permissions::from_mode(0o755)).unwrap();
}
