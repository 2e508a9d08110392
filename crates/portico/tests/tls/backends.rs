//! A private Postgres and a private RabbitMQ that speak TLS, with certificates for `localhost`.

use std::fs::{Permissions, copy, set_permissions, write};
use std::net::TcpListener;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::Path;

use portico::backend::postgres::Postgres;
use portico::backend::rabbitmq::RabbitMq;
use portico::backend::{Mode, Urls};
use portico::environment::Environment;
use portico::progress::Progress;
use portico::state::State;
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use testkit::Authority;

/// The folder of one test, in which its backends keep what is theirs.
pub(crate) struct World {
    pub(crate) state: State,
    pub(crate) environment: Environment,
    pub(crate) authority: Authority,
    progress: Progress,
}

impl World {
    pub(crate) async fn new() -> Self {
        let environment = Environment::of_this_process().without_backends();
        let progress = Progress::on_stderr();
        let parent = environment.cache_folder().unwrap().join("runs");
        let state = State::throw_away(&parent, &progress).await.unwrap();
        Self { state, environment, authority: Authority::new(), progress }
    }

    /// The file by which the test's authority is trusted.
    pub(crate) fn ca(&self) -> String {
        self.authority.certificate().display().to_string()
    }

    /// A Postgres with a certificate for `localhost`; a change of its settings needs no restart.
    pub(crate) async fn postgres(&self) -> Postgres {
        let postgres =
            Postgres::start(&self.state, Mode::ThrowAway, &self.environment, &self.progress).await.unwrap();
        let folder = self.state.folder().join("postgres");
        let issued = self.authority.issue(&["localhost"]);
        self.give(&issued.key, &folder.join("server.key"));
        self.give(&issued.certificate, &folder.join("server.pem"));
        let mut connection =
            PgConnection::connect(postgres.urls().maintenance.as_ref().unwrap()).await.unwrap();
        let folder = folder.display();
        for statement in [
            format!("ALTER SYSTEM SET ssl_cert_file = '{folder}/server.pem'"),
            format!("ALTER SYSTEM SET ssl_key_file = '{folder}/server.key'"),
            "ALTER SYSTEM SET ssl = on".to_owned(),
            "SELECT pg_reload_conf()".to_owned(),
        ] {
            sqlx::raw_sql(AssertSqlSafe(statement)).execute(&mut connection).await.unwrap();
        }
        connection.close().await.unwrap();
        self.until_it_speaks_tls(postgres.urls()).await;
        postgres
    }

    async fn until_it_speaks_tls(&self, urls: &Urls) {
        let url = format!("{}?sslmode=require", urls.maintenance.as_ref().unwrap());
        testkit::until("Postgres speaks TLS", async || PgConnection::connect(&url).await.is_ok()).await;
    }

    /// A RabbitMQ with a certificate for `localhost`, and the port at which it speaks TLS.
    pub(crate) async fn rabbitmq(&self) -> (RabbitMq, u16) {
        let mut rabbitmq =
            RabbitMq::start(&self.state, Mode::ThrowAway, &self.environment, &self.progress).await.unwrap();
        let folder = self.state.folder().join("rabbitmq");
        let issued = self.authority.issue(&["localhost"]);
        self.give(&issued.key, &folder.join("server.key"));
        self.give(&issued.certificate, &folder.join("server.pem"));
        let port = free_port();
        let configuration = format!(
            r#"[{{rabbit, [{{ssl_listeners, [{{"127.0.0.1", {port}}}]}},
               {{ssl_options, [{{certfile, "{folder}/server.pem"}}, {{keyfile, "{folder}/server.key"}}]}}]}}]."#,
            folder = folder.display()
        );
        write(folder.join("advanced.config"), configuration).unwrap();
        rabbitmq.halt(&self.state).await.unwrap();
        rabbitmq.resume(&self.state).await.unwrap();
        (rabbitmq, port)
    }

    /// Puts a file where a backend that runs as somebody else finds it as its own.
    fn give(&self, from: &Path, to: &Path) {
        copy(from, to).unwrap();
        set_permissions(to, Permissions::from_mode(0o600)).unwrap();
        if let Some(owner) = self.environment.owner_of_backends() {
            chown(to, Some(owner.uid), Some(owner.gid)).unwrap();
        }
    }

    pub(crate) async fn end(self, postgres: Option<Postgres>, rabbitmq: Option<RabbitMq>) {
        if let Some(postgres) = postgres {
            postgres.stop(&self.state, &self.progress).await.unwrap();
        }
        if let Some(rabbitmq) = rabbitmq {
            rabbitmq.stop(&self.state, &self.progress).await.unwrap();
        }
        self.state.discard(&self.progress).await.unwrap();
    }
}

pub(crate) fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// `url` by `scheme`, at this place, without its parameters.
pub(crate) fn at(scheme: &str, url: &str, place: &str) -> String {
    let (login, rest) = url.split_once("://").unwrap().1.rsplit_once('@').unwrap();
    let (_, path) = rest.split('?').next().unwrap().split_once('/').unwrap();
    format!("{scheme}://{login}@{place}/{path}")
}

/// Where the server of a URL listens.
pub(crate) fn port_of(url: &str) -> u16 {
    let (_, rest) = url.rsplit_once('@').unwrap();
    rest.split_once('/').unwrap().0.rsplit_once(':').unwrap().1.parse().unwrap()
}
