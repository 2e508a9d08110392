//! A client that goes away takes everything along that is done for it, down to the statement in Postgres.

use testkit::until;
use tokio::{io::AsyncWriteExt, net::TcpStream, time::Instant};

use crate::{
    live::Client,
    real_world::{Person, RealWorld},
};

const ORDERS: &str = "{ orders { data { id } } }";

/// Waits until so many statements of the order service run.
async fn until_running(world: &RealWorld, count: i64) {
    until("as many statements run", async || {
        let running: i64 = sqlx::query_scalar(
            "SELECT count(*) FROM pg_stat_activity
             WHERE datname = current_database() AND application_name LIKE 'order%' AND state <> 'idle'",
        )
        .fetch_one(world.databases[1].pool())
        .await
        .unwrap();
        running == count
    })
    .await;
}

/// A world in which every read of orders waits, until the transaction that is given ends; and somebody who asks.
async fn stuck() -> (RealWorld, sqlx::Transaction<'static, sqlx::Postgres>, Person) {
    let world = RealWorld::new().await;
    let ada = world.register("ada").await;
    let mut door = world.databases[1].pool().begin().await.unwrap();
    sqlx::query("LOCK TABLE orders").execute(&mut *door).await.unwrap();
    until_running(&world, 0).await;
    (world, door, ada)
}

/// Nothing of it may be left long before the database's own limit.
async fn nothing_is_left(world: &RealWorld) {
    let since = Instant::now();
    until_running(world, 0).await;
    assert!(since.elapsed().as_secs() < 4, "it ended by itself: {:?}", since.elapsed());
}

#[tokio::test]
async fn a_client_that_hangs_up_ends_its_statements() {
    let (world, _door, ada) = Box::pin(stuck()).await;
    // With more time than the database gives a statement: its own limit must not be what ends it.
    let gateway = world.gateway_apart_with(world.broker.clone(), &["--rpc-timeout", "9"]).await;
    let mut connection = TcpStream::connect(gateway.address).await.unwrap();
    let body = format!(r#"{{"query":"{ORDERS}"}}"#);
    let head = format!(
        "POST /graphql HTTP/1.1\r\nHost: gateway\r\nAuthorization: Bearer {}\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\n\r\n",
        ada.token.as_deref().unwrap(),
        body.len()
    );
    connection.write_all(format!("{head}{body}").as_bytes()).await.unwrap();
    until_running(&world, 1).await;
    drop(connection);
    nothing_is_left(&world).await;
}

#[tokio::test]
async fn an_operation_that_is_completed_on_its_socket_ends_its_statements() {
    let (world, _door, ada) = Box::pin(stuck()).await;
    let gateway = world.gateway_apart_with(world.broker.clone(), &["--rpc-timeout", "9"]).await;
    let mut client: Client = gateway.client(&ada).await;
    client.subscribe("orders", ORDERS).await;
    until_running(&world, 1).await;
    client.send(serde_json::json!({ "type": "complete", "id": "orders" })).await;
    nothing_is_left(&world).await;
    client.settle().await;
    client.subscribe("again", ORDERS).await;
    until_running(&world, 1).await;
    drop(client);
    nothing_is_left(&world).await;
}
