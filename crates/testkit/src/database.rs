//! A database for each test, copied from a template that was migrated once.

use std::{path::Path, str::FromStr};

use sqlx::{
    AssertSqlSafe, Connection, PgConnection, PgPool,
    migrate::Migrator,
    postgres::{PgConnectOptions, PgPoolOptions},
};
use uuid::Uuid;

/// The advisory lock under which templates are made: tests run at the same time, in several processes.
const TEMPLATE_LOCK: i64 = 0x706f_7274;

/// A fresh, migrated database of one service. It is dropped with this value.
pub struct Database {
    name: String,
    server: PgConnectOptions,
    url: String,
    pool: PgPool,
}

impl Database {
    /// A fresh database of `service` ("user", "order", "payment"), on the server that DATABASE_URL names.
    ///
    /// # Panics
    /// When there is no server: a test that can't run has failed.
    pub async fn new(service: &str) -> Self {
        let url = std::env::var("DATABASE_URL").expect(
            "DATABASE_URL names the Postgres of the tests; run them under `cargo run -p portico -- with -- COMMAND`",
        );
        let server = PgConnectOptions::from_str(&url).unwrap();
        let template = template(&server, service).await;
        let name = format!("test_{service}_{}", Uuid::now_v7().simple());
        let mut connection = PgConnection::connect_with(&server).await.unwrap();
        execute(&mut connection, format!("CREATE DATABASE {name} TEMPLATE {template}")).await;
        connection.close().await.unwrap();
        let pool = PgPoolOptions::new().max_connections(10).connect_lazy_with(server.clone().database(&name));
        let url = with_database(&url, &name);
        Self { name, server, url, pool }
    }

    /// Its URL, for a service's configuration.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// A pool, for looking behind the service.
    pub fn pool(&self) -> &PgPool {
        &self.pool
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        let (server, statement) =
            (self.server.clone(), format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", self.name));
        // A runtime of its own: the test's can't be waited for from inside it.
        let dropped = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(async {
                let mut connection = PgConnection::connect_with(&server).await?;
                sqlx::raw_sql(AssertSqlSafe(statement)).execute(&mut connection).await?;
                connection.close().await
            })
        });
        // A database that stays is an untidiness and not a failure of the test.
        if let Ok(Err(error)) = dropped.join() {
            eprintln!("a test database could not be dropped: {error}");
        }
    }
}

/// The name of the migrated template of `service`, which is made when there is none for these migrations.
async fn template(server: &PgConnectOptions, service: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../migrations").join(service);
    let migrator = Migrator::new(folder.as_path()).await.unwrap();
    let version = migrator.iter().fold(0_u64, |hash, migration| {
        migration
            .checksum
            .iter()
            .fold(hash, |hash, byte| hash.wrapping_mul(31).wrapping_add(u64::from(*byte)))
    });
    let name = format!("template_{service}_{version:x}");
    let mut connection = PgConnection::connect_with(server).await.unwrap();
    sqlx::query("SELECT pg_advisory_lock($1)").bind(TEMPLATE_LOCK).execute(&mut connection).await.unwrap();
    let ready: bool = sqlx::query_scalar("SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)")
        .bind(&name)
        .fetch_one(&mut connection)
        .await
        .unwrap();
    if !ready {
        // Under another name until it is whole, so that one that was interrupted is never copied.
        let unfinished = format!("{name}_unfinished");
        execute(&mut connection, format!("DROP DATABASE IF EXISTS {unfinished}")).await;
        execute(&mut connection, format!("CREATE DATABASE {unfinished}")).await;
        let mut inside = PgConnection::connect_with(&server.clone().database(&unfinished)).await.unwrap();
        migrator.run_direct(None, &mut inside, false).await.unwrap();
        inside.close().await.unwrap();
        execute(&mut connection, format!("ALTER DATABASE {unfinished} RENAME TO {name}")).await;
    }
    // Closing gives the lock back.
    connection.close().await.unwrap();
    name
}

/// The statements that take no parameters; the names in them are made here.
async fn execute(connection: &mut PgConnection, statement: String) {
    sqlx::raw_sql(AssertSqlSafe(statement)).execute(connection).await.unwrap();
}

fn with_database(url: &str, name: &str) -> String {
    let (base, query) = url.split_once('?').map_or((url, None), |(base, query)| (base, Some(query)));
    let end = base.rfind('/').filter(|at| *at > "postgres://".len()).unwrap_or(base.len());
    let query = query.map(|query| format!("?{query}")).unwrap_or_default();
    format!("{}/{name}{query}", &base[..end])
}
