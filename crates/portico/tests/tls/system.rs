//! All processes, with TLS on each way between them and to what they stand on, as docs/tls.md says.

use std::collections::HashMap;
use std::path::PathBuf;
use std::process::Stdio;

use portico::backend::postgres::Postgres;
use portico::backend::rabbitmq::RabbitMq;
use serde_json::{Value, json};
use sqlx::PgPool;
use testkit::until;
use tokio::net::TcpStream;
use tokio::process::{Child, Command};

use crate::backends::{World, at, free_port, port_of};

type Variables = Vec<(String, String)>;

/// The settings of each process, by its name.
struct Settings(HashMap<&'static str, Variables>);

impl Settings {
    /// All that they need, each with a certificate of its own, asking for one of its clients.
    fn new(world: &World, postgres: &Postgres, rabbitmq: &RabbitMq, amqps: u16) -> Self {
        let urls = postgres.urls();
        let databases = [("user", &urls.user), ("order", &urls.order), ("payment", &urls.payment)];
        let mut all = HashMap::new();
        let mut services = Variables::new();
        for (name, url) in databases {
            let (grpc, place) = (free_port(), format!("localhost:{}", port_of(url)));
            let url =
                format!("{}?sslmode=verify-full&sslrootcert={}", at("postgres", url, &place), world.ca());
            let upper = name.to_uppercase();
            services.push((format!("{upper}_GRPC_URL"), format!("https://localhost:{grpc}")));
            let own = vec![
                (format!("{upper}_LISTEN"), format!("127.0.0.1:{grpc}")),
                (format!("{upper}_DATABASE_URL"), url),
                ("GRPC_TLS_CLIENT_CA".to_owned(), world.ca()),
            ];
            all.insert(name, own);
        }
        all.insert("gateway", vec![("GATEWAY_LISTEN".to_owned(), format!("127.0.0.1:{}", free_port()))]);
        for (name, variables) in &mut all {
            let logins = rabbitmq.logins();
            let (_, url) = logins.accounts.iter().find(|(account, _)| account == name).unwrap();
            let issued = world.authority.issue_as(name, &["localhost"]);
            variables.extend(services.clone());
            variables.extend([
                (format!("{}_ADMIN_LISTEN", name.to_uppercase()), format!("127.0.0.1:{}", free_port())),
                ("AMQP_URL".to_owned(), at("amqps", url, &format!("localhost:{amqps}"))),
                ("AMQP_TLS_CA".to_owned(), world.ca()),
                ("GRPC_TLS_CERT".to_owned(), issued.certificate.display().to_string()),
                ("GRPC_TLS_KEY".to_owned(), issued.key.display().to_string()),
                ("GRPC_TLS_CA".to_owned(), world.ca()),
                ("USER_SECRET_KEY".to_owned(), "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=".to_owned()),
            ]);
        }
        Self(all)
    }

    fn get(&self, process: &str, variable: &str) -> &str {
        let (_, value) = self.0[process].iter().find(|(name, _)| name == variable).unwrap();
        value
    }

    /// A process with its settings and no others.
    fn command(&self, name: &str, arguments: &[&str]) -> Command {
        let program = PathBuf::from(env!("CARGO_BIN_EXE_portico")).with_file_name(name);
        assert!(program.exists(), "{name} is not built: `cargo build --workspace --bins`");
        let mut command = Command::new(program);
        command
            .args(arguments)
            .env_clear()
            .envs(self.0[name].clone())
            .stdin(Stdio::null())
            .kill_on_drop(true);
        command
    }

    fn start(&self, name: &str) -> Child {
        self.command(name, &[]).spawn().unwrap()
    }

    async fn succeeds(&self, name: &str, arguments: &[&str]) -> bool {
        self.command(name, arguments)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .await
            .unwrap()
            .success()
    }

    async fn until_ready(&self, name: &str) {
        until(&format!("{name} is ready"), async || self.succeeds(name, &["health"]).await).await;
    }

    /// The answer of the gateway.
    async fn ask(&self, document: &'static str) -> Value {
        let url = format!("http://{}/graphql", self.get("gateway", "GATEWAY_LISTEN"));
        let asked = tokio::task::spawn_blocking(move || {
            let mut answer = ureq::post(&url).send_json(json!({ "query": document })).unwrap();
            answer.body_mut().read_json().unwrap()
        });
        asked.await.unwrap()
    }
}

async fn waiting_events(pool: &PgPool) -> i64 {
    sqlx::query_scalar("SELECT count(*) FROM outbox WHERE published_at IS NULL")
        .fetch_one(pool)
        .await
        .unwrap()
}

#[tokio::test]
async fn the_whole_system_works_with_tls_on_every_way() {
    let world = World::new().await;
    let (postgres, (rabbitmq, amqps)) = tokio::join!(world.postgres(), world.rabbitmq());
    let settings = Settings::new(&world, &postgres, &rabbitmq, amqps);
    let mut processes = Vec::new();
    for name in ["user", "order", "payment"] {
        assert!(settings.succeeds(name, &["migrate"]).await, "{name} migrates");
        processes.push(settings.start(name));
    }
    processes.push(settings.start("gateway"));
    for name in ["user", "order", "payment", "gateway"] {
        settings.until_ready(name).await;
    }
    let gateway = settings.get("gateway", "GATEWAY_LISTEN");
    until("the gateway lets clients in", async || TcpStream::connect(gateway).await.is_ok()).await;

    let register = r#"mutation { register(input: {email: "lin@example.com", password: "columns-and-arches-88",
        firstName: "Lin", lastName: "Wei"}) { user { email } } }"#;
    let answer = settings.ask(register).await;
    assert_eq!(answer["data"]["register"]["user"]["email"], "lin@example.com", "{answer}");
    let products = settings.ask("{ products { data { id } } }").await;
    assert_eq!(products["data"]["products"]["data"], json!([]), "{products}");
    let users = PgPool::connect(&postgres.urls().user).await.unwrap();
    let told: i64 = sqlx::query_scalar("SELECT count(*) FROM outbox").fetch_one(&users).await.unwrap();
    assert!(told > 0, "an event is to be told");
    until("RabbitMQ has the event", async || waiting_events(&users).await == 0).await;
    users.close().await;

    for mut process in processes {
        process.kill().await.unwrap();
    }
    world.end(Some(postgres), Some(rabbitmq)).await;
}
