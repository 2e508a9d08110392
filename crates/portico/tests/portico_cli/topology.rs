//! The topology of RabbitMQ and the consumers of the services, which are written down apart.

use messaging::topology::{QUEUES, Queue};
use runtime::{Clock, Sessions, sessions::TokenConfig};

#[tokio::test]
async fn the_topology_has_a_queue_for_each_consumer_of_the_services_and_no_other() {
    let clock = Clock::system();
    let tokens = TokenConfig { token_issuer: "portico".into(), token_audience: "portico".into() };
    let sessions = Sessions::new(&tokens, clock.clone());
    let key = "--secret-key=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
    let database = "--database-url=postgres://localhost/nowhere";
    let user = runtime::config::parse(["user", database, key]).unwrap();
    let user = user::App::build(user, sessions.clone(), clock.clone()).unwrap();
    let order = runtime::config::parse(["order", database]).unwrap();
    let order = order::App::build(order, sessions.clone(), clock.clone()).unwrap();
    let payment = runtime::config::parse(["payment", database]).unwrap();
    let payment = payment::App::build(payment, sessions, clock).unwrap();
    let consumers = [user.consumers(), order.consumers(), payment.consumers()].concat();
    let queue = |queue: &Queue| (queue.consumer, queue.events.to_vec());
    let mut declared: Vec<_> = QUEUES.iter().map(queue).collect();
    let mut wanted: Vec<_> = consumers.iter().map(|one| (one.name(), one.events().to_vec())).collect();
    declared.sort_unstable();
    wanted.sort_unstable();
    assert_eq!(declared, wanted);
}
