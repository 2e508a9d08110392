//! `amqps` in the URL of RabbitMQ.

use messaging::{BrokerConfig, connect};
use testkit::Authority;

use crate::backends::{World, at};

fn config(url: &str, authority: Option<&Authority>) -> BrokerConfig {
    let pem = authority.map(|authority| std::fs::read_to_string(authority.certificate()).unwrap());
    BrokerConfig { amqp_tls_ca: pem, ..BrokerConfig::at(url) }
}

#[tokio::test]
async fn a_broker_is_used_whose_certificate_is_trusted_and_has_its_name_and_no_other_is() {
    let world = World::new().await;
    let (rabbitmq, port) = world.rabbitmq().await;
    let url = |host: &str| at("amqps", &rabbitmq.logins().all, &format!("{host}:{port}"));
    let connection = connect(&config(&url("localhost"), Some(&world.authority)), "test").await.unwrap();
    let _channel = connection.create_channel().await.unwrap();
    connection.close(200, "OK".into()).await.unwrap();

    let refused =
        async |url: &str, authority: Option<&Authority>| match connect(&config(url, authority), "test").await
        {
            Ok(_) => panic!("it is trusted"),
            Err(error) => format!("{error:#}"),
        };
    for (what, url, authority) in [
        ("another authority", url("localhost"), Some(&Authority::new())),
        ("those that the system trusts", url("localhost"), None),
        ("another name", url("127.0.0.1"), Some(&world.authority)),
    ] {
        let why = refused(&url, authority).await;
        assert!(why.contains("certificate") || why.contains("UnknownIssuer"), "{what}: {why}");
    }
    let clear = at("amqp", &rabbitmq.logins().all, &format!("localhost:{port}"));
    refused(&clear, None).await;
    let why = refused(&clear, Some(&world.authority)).await;
    assert_eq!(why, "AMQP_TLS_CA is set, so AMQP_URL must begin with amqps://");
    world.end(None, Some(rabbitmq)).await;
}
