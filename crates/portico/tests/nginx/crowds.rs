//! Many clients at once.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use crate::client::Ask;
use crate::edge::{Edge, FORMS, Form};
use crate::gateway::{Gateway, private, public};

#[tokio::test]
async fn a_hundred_clients_who_ask_for_the_same_at_once_cost_the_gateway_one_request() {
    for form in FORMS {
        let gateway = Gateway::that_answers(|_| {
            // As long as it takes for all of them to ask.
            std::thread::sleep(Duration::from_millis(700));
            public("{}", 60)
        });
        let edge = Edge::before(&gateway.address, form).await;
        let ask = Ask::post(r#"{"query":"{ products { data { id } } }"}"#);
        let crowd: Vec<_> = (0..100)
            .map(|_| {
                let (client, ask) = (edge.client(), ask.clone());
                std::thread::spawn(move || client.ask(&ask))
            })
            .collect();
        for one in crowd {
            let answer = one.join().unwrap();
            assert_eq!((answer.status, answer.body.as_str()), (200, "{}"));
        }
        assert_eq!(gateway.sent().len(), 1, "{form:?}");
        edge.end().await;
    }
}

/// Asks on one connection after the other, or on one for as long as it stays open, until `enough`.
fn ask_on(address: &str, stays_open: bool, enough: &AtomicBool, asked: &AtomicU32) {
    let mut open: Option<TcpStream> = None;
    while !enough.load(Ordering::SeqCst) {
        let used = open.is_some();
        let mut stream = open.take().unwrap_or_else(|| TcpStream::connect(address).unwrap());
        match answered(&mut stream, stays_open) {
            // Closed at rest, before it was asked: whoever uses a connection again must reckon with that
            // (https://www.rfc-editor.org/rfc/rfc9112#section-9.3.1).
            None => assert!(used, "a request on a new connection was dropped"),
            Some(answer) => {
                assert!(answer.starts_with("HTTP/1.1 200"), "{answer:?}");
                asked.fetch_add(1, Ordering::SeqCst);
                open = (stays_open && !answer.contains("Connection: close")).then_some(stream);
            }
        }
    }
}

/// The whole answer to a request; `None` where there was not a byte of it.
fn answered(stream: &mut TcpStream, stays_open: bool) -> Option<String> {
    let connection = if stays_open { "keep-alive" } else { "close" };
    let request = format!(
        "GET /graphql?query=a HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer one\r\nConnection: {connection}\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).ok()?;
    let (mut answer, mut buffer) = (Vec::new(), [0; 4096]);
    while !answer.ends_with(b"the end") {
        let read = stream.read(&mut buffer).unwrap_or_default();
        if read == 0 && answer.is_empty() {
            return None;
        }
        assert!(read > 0, "an answer was cut off: {:?}", String::from_utf8_lossy(&answer));
        answer.extend_from_slice(&buffer[..read]);
    }
    Some(String::from_utf8(answer).unwrap())
}

#[tokio::test]
async fn reloads_under_load_drop_no_request() {
    let gateway = Gateway::that_answers(|_| {
        std::thread::sleep(Duration::from_millis(3));
        private("the end")
    });
    let edge = Edge::before(&gateway.address, Form::Hash).await;
    let address = edge.nginx.url().trim_start_matches("http://").to_owned();
    let (enough, asked) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU32::new(0)));
    let crowd: Vec<_> = (0..8)
        .map(|number| {
            let (address, enough, asked) = (address.clone(), enough.clone(), asked.clone());
            std::thread::spawn(move || ask_on(&address, number % 2 == 0, &enough, &asked))
        })
        .collect();
    for _ in 0..5 {
        let before = asked.load(Ordering::SeqCst);
        testkit::until("there is load", async || asked.load(Ordering::SeqCst) > before + 100).await;
        edge.nginx.reload();
    }
    let before = asked.load(Ordering::SeqCst);
    testkit::until("there is load", async || asked.load(Ordering::SeqCst) > before + 100).await;
    enough.store(true, Ordering::SeqCst);
    crowd.into_iter().for_each(|one| one.join().unwrap());
    edge.end().await;
}
