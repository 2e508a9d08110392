//! A rolling update: the databases get the next version's schema, every process is replaced by another while clients
//! order, pay and read through nginx, and RabbitMQ is restarted. No client may notice any of it.
//!
//! The next version is the same program with another schema below it and another address. So what is tested is what
//! every update does: processes of two versions run side by side, on the newer schema.

use std::time::Duration;

use anyhow::{Context, Result};
use portico::{
    backend::{
        nginx::{Found, Nginx, Values},
        rabbitmq::RabbitMq,
    },
    environment::Environment,
    progress::Progress,
    state::State,
};
use sqlx::{Connection, PgConnection};
use tokio::time::sleep;

use crate::{
    backends::Backends,
    faults::{Done, Kind},
    fleet::{Fleet, GATEWAY, SERVICES, Size},
};

/// How many processes there are.
pub(crate) const SIZE: Size = Size { user: 2, others: 2, gateways: 3 };
/// What gateways are told, as behind every nginx: whose word on clients' addresses is good, and to stop only after nginx
/// has let go of the connections that rest (`keepalive_timeout` in `nginx/templates/nginx.conf.template`). The services
/// stop at once: their clients notice by themselves. And to have patience with a machine that is busy with other tests.
pub(crate) const GATEWAYS: [(&str, &str); 4] = [
    ("TRUSTED_PROXIES", "127.0.0.1/32"),
    ("DRAIN_DELAY", "5"),
    ("GATEWAY_RPC_TIMEOUT", "10"),
    ("GATEWAY_REQUEST_TIMEOUT", "11"),
];
/// How long clients go on before, between and after what is done.
const MEANWHILE: Duration = Duration::from_secs(1);

/// Stands an nginx before all addresses at which there are or will be gateways. They have more to say than it allows.
///
/// # Errors
/// When there is none to be had, or it does not start.
pub(crate) async fn stand_before(fleet: &Fleet, state: &State, progress: &Progress) -> Result<Nginx> {
    let environment = Environment::of_this_process().without_backends();
    let found = Found::find(&environment, progress).await.context("no nginx is to be had")?;
    let values = Values::of(&environment)
        .with("NGINX_LISTEN", "127.0.0.1:0")
        .with("NGINX_GATEWAY", fleet.gateways().join(","))
        .with("NGINX_REQUESTS_PER_SECOND", "100000")
        .with("NGINX_CONNECTIONS_PER_ADDRESS", "10000");
    found.start(values, state, &environment).await
}

/// Does it all.
///
/// # Errors
/// When something does not start or stop in good order.
pub(crate) async fn roll(
    fleet: &mut Fleet,
    backends: &mut Backends,
    (state, progress): (&State, &Progress),
) -> Result<Done> {
    let mut done = Done::default();
    sleep(MEANWHILE).await;
    for service in SERVICES {
        bring_the_next_schema(backends.database(service)).await?;
    }
    progress.note("The databases have the next version's schema");
    let services = fleet.replace_all(&SERVICES, state, progress).await?;
    sleep(MEANWHILE).await;
    let (gateways, restarted) = tokio::join!(
        fleet.replace_all(&[GATEWAY], state, progress),
        restart(&mut backends.rabbitmq, state, progress),
    );
    restarted?;
    done.times.insert(Kind::BrokerStopped, 1);
    done.replaced = [services, gateways?].concat();
    sleep(MEANWHILE).await;
    Ok(done)
}

async fn restart(rabbitmq: &mut RabbitMq, state: &State, progress: &Progress) -> Result<()> {
    rabbitmq.halt(state).await?;
    progress.note("RabbitMQ is stopped");
    sleep(MEANWHILE).await;
    rabbitmq.resume(state).await?;
    progress.note("RabbitMQ is back");
    Ok(())
}

/// As a migration does that adds a column: processes that know nothing of it must go on.
async fn bring_the_next_schema(url: &str) -> Result<()> {
    let mut database = PgConnection::connect(url).await?;
    let mut migration = database.begin().await?;
    sqlx::query("ALTER TABLE outbox ADD COLUMN of_the_next_version text").execute(&mut *migration).await?;
    sqlx::query(
        "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
         VALUES (99990101000000, 'of the next version', true, '', 0)",
    )
    .execute(&mut *migration)
    .await?;
    migration.commit().await?;
    Ok(database.close().await?)
}
