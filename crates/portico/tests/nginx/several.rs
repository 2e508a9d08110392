//! Several gateways behind one nginx.

use std::net::TcpListener;

use crate::client::Ask;
use crate::edge::{Edge, Form};
use crate::gateway::{Gateway, private};

const MUTATION: &str = "{\"query\":\"mutation { deleteAccount }\"}";

/// A gateway that answers with its name.
fn called(name: &'static str) -> Gateway {
    Gateway::that_answers(move |_| private(name))
}

/// One that takes a request, and goes away instead of answering.
fn that_dies() -> (String, std::thread::JoinHandle<usize>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let taken = std::thread::spawn(move || {
        let (stream, _) = listener.accept().unwrap();
        let mut begun = [0; 64];
        std::io::Read::read(&mut &stream, &mut begun).unwrap()
    });
    (address, taken)
}

fn nobody() -> String {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string()
}

#[tokio::test]
async fn requests_spread_over_all_gateways_and_one_that_is_away_costs_none() {
    let (one, other) = (called("one"), called("other"));
    let edge = Edge::before(&[&*one.address, &nobody(), &other.address].join(","), Form::Hash).await;
    let client = edge.client();
    for _ in 0..40 {
        assert_eq!(client.ask(&Ask::post(MUTATION)).status, 200);
    }
    let (first, second) = (one.sent().len(), other.sent().len());
    assert!(first + second == 40 && first >= 10 && second >= 10, "{first} and {second}");
    one.leave();
    drop(one);
    for _ in 0..20 {
        let answer = client.ask(&Ask::get("/graphql?query=a"));
        assert_eq!((answer.status, answer.body.as_str()), (200, "other"));
    }
    edge.end().await;
}

#[tokio::test]
async fn a_mutation_that_a_gateway_has_got_is_never_sent_to_another() {
    let ((dies, taken), other) = (that_dies(), called("other"));
    let edge = Edge::before(&[&dies, &*other.address].join(","), Form::Hash).await;
    let client = edge.client();
    // One of the two goes to the gateway that dies.
    let statuses = [0; 2].map(|_| client.ask(&Ask::post(MUTATION)).status);
    assert!(taken.join().unwrap() > 0);
    assert!(statuses.contains(&502) && statuses.contains(&200), "{statuses:?}");
    assert_eq!(other.sent().len(), 1);
    edge.end().await;
}

#[tokio::test]
async fn a_query_by_get_that_a_gateway_has_got_is_asked_of_another() {
    let ((dies, taken), other) = (that_dies(), called("other"));
    let edge = Edge::before(&[&dies, &*other.address].join(","), Form::Hash).await;
    let client = edge.client();
    for _ in 0..2 {
        assert_eq!(client.ask(&Ask::get("/graphql?query=a")).body, "other");
    }
    assert!(taken.join().unwrap() > 0);
    edge.end().await;
}
