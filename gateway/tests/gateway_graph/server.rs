//! The gateway behind real sockets: its two ports, and how it ends.

use std::{net::SocketAddr, time::Duration};

use runtime::Stop;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    task::JoinHandle,
};

use crate::world::{Fault, World};

struct Running {
    address: SocketAddr,
    admin: SocketAddr,
    stop: Stop,
    ended: JoinHandle<anyhow::Result<()>>,
}

async fn run(world: &World) -> Running {
    let bound = world.app.bind().await.unwrap();
    let (address, admin, stop) = (bound.address().unwrap(), bound.admin_address().unwrap(), Stop::new());
    let ended = tokio::spawn(bound.serve(stop.clone()));
    Running { address, admin, stop, ended }
}

async fn send(stream: &mut TcpStream, method: &str, path: &str, body: &str) {
    let head = format!(
        "{method} {path} HTTP/1.1\r\nHost: gateway\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(format!("{head}{body}").as_bytes()).await.unwrap();
}

/// Reads one answer with a Content-Length.
async fn receive(stream: &mut TcpStream) -> String {
    let mut text = String::new();
    let mut buffer = [0; 4096];
    loop {
        let n = stream.read(&mut buffer).await.unwrap();
        text.push_str(std::str::from_utf8(&buffer[..n]).unwrap());
        let body = text.split_once("\r\n\r\n").map(|(head, body)| (head.to_lowercase(), body.len()));
        let length = body
            .as_ref()
            .and_then(|(head, _)| head.split("content-length: ").nth(1)?.lines().next()?.parse().ok());
        if n == 0 || body.is_some_and(|(_, got)| length.is_some_and(|length: usize| got >= length)) {
            return text;
        }
    }
}

async fn ask(address: SocketAddr, method: &str, path: &str, body: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    send(&mut stream, method, path, body).await;
    receive(&mut stream).await
}

#[tokio::test]
async fn both_ports_answer_and_a_connection_takes_many_requests() {
    let world = World::new();
    let running = run(&world).await;
    let mut stream = TcpStream::connect(running.address).await.unwrap();
    for _ in 0..3 {
        send(&mut stream, "POST", "/graphql", r#"{"query":"{__typename}"}"#).await;
        let answer = receive(&mut stream).await;
        assert!(
            answer.starts_with("HTTP/1.1 200") && answer.ends_with(r#"{"data":{"__typename":"Query"}}"#),
            "{answer}"
        );
    }
    assert!(ask(running.admin, "GET", "/live", "").await.starts_with("HTTP/1.1 200"));
    assert!(ask(running.admin, "GET", "/ready", "").await.contains("\nsessions: ok\n"));
    assert!(ask(running.admin, "GET", "/graphql", "").await.starts_with("HTTP/1.1 404"));
    running.stop.cancel();
    running.ended.await.unwrap().unwrap();
}

#[tokio::test]
async fn the_services_hear_the_request_s_id_and_the_client_s_address() {
    let world = World::new();
    let running = run(&world).await;
    // What is the same for everyone is asked for in nobody's name.
    let query = r#"{"query":"{products{data{id}} me{id}}"}"#;
    let answer = ask(running.address, "POST", "/graphql", query).await;
    let id = answer.split("x-request-id: ").nth(1).unwrap().lines().next().unwrap();
    assert_eq!(world.heard.metadata("x-request-id").as_deref(), Some(id));
    assert_eq!(world.heard.metadata("x-client-address").as_deref(), Some("127.0.0.1"));
    running.stop.cancel();
    running.ended.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_request_under_way_is_answered_after_the_request_to_stop_and_no_new_one_is_taken() {
    let world = World::new();
    world.faults.set("ListProducts", Fault::Slow(Duration::from_millis(300)));
    let running = run(&world).await;
    let mut idle = TcpStream::connect(running.address).await.unwrap();
    let mut stream = TcpStream::connect(running.address).await.unwrap();
    send(&mut stream, "POST", "/graphql", r#"{"query":"{products{data{id}}}"}"#).await;
    while world.calls.take().is_empty() {
        tokio::task::yield_now().await;
    }
    running.stop.cancel();
    assert!(receive(&mut stream).await.ends_with(r#"{"data":{"products":{"data":[]}}}"#));
    running.ended.await.unwrap().unwrap();
    assert_eq!(idle.read(&mut [0; 1]).await.unwrap_or(0), 0, "an idle connection is closed");
    assert!(TcpStream::connect(running.address).await.is_err(), "nobody listens any more");
}

#[tokio::test]
async fn from_the_announcement_of_the_stop_on_each_answer_closes_its_connection_and_health_says_no() {
    const QUERY: &str = r#"{"query":"{__typename}"}"#;
    let world = World::new();
    let running = run(&world).await;
    let mut kept = TcpStream::connect(running.address).await.unwrap();
    send(&mut kept, "POST", "/graphql", QUERY).await;
    assert!(!receive(&mut kept).await.contains("connection: close"));
    running.stop.announce();
    assert!(ask(running.address, "GET", "/health", "").await.starts_with("HTTP/1.1 503"));
    assert!(ask(running.admin, "GET", "/ready", "").await.starts_with("HTTP/1.1 503"));
    send(&mut kept, "POST", "/graphql", QUERY).await;
    let answer = receive(&mut kept).await;
    assert!(answer.starts_with("HTTP/1.1 200") && answer.contains("connection: close"), "{answer}");
    assert_eq!(kept.read(&mut [0; 1]).await.unwrap(), 0, "it is closed");
    running.stop.cancel();
    running.ended.await.unwrap().unwrap();
}

#[tokio::test]
async fn who_connected_just_before_the_stop_is_answered() {
    let world = World::new();
    let running = run(&world).await;
    let mut early = TcpStream::connect(running.address).await.unwrap();
    running.stop.cancel();
    tokio::time::sleep(Duration::from_millis(100)).await;
    send(&mut early, "POST", "/graphql", r#"{"query":"{__typename}"}"#).await;
    assert!(receive(&mut early).await.starts_with("HTTP/1.1 200"));
    running.ended.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_port_that_is_taken_is_named() {
    let world = World::new();
    let running = run(&world).await;
    let taken = running.address.to_string();
    let second = World::with(&["--listen", &taken]);
    let error = second.app.bind().await.err().unwrap().to_string();
    assert!(error.contains(&taken), "{error}");
    running.stop.cancel();
    running.ended.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_head_without_end_is_refused() {
    let world = World::new();
    let running = run(&world).await;
    let long = "a".repeat(40 * 1024);
    let many: String = (0..200).map(|n| format!("X-{n}: a\r\n")).collect();
    for (what, head) in [
        ("a long header", format!("GET /graphql HTTP/1.1\r\nHost: gateway\r\nX-Long: {long}\r\n\r\n")),
        ("a long URL", format!("GET /graphql?query={long} HTTP/1.1\r\nHost: gateway\r\n\r\n")),
        ("a URL without end", format!("GET /graphql?query={}", "a".repeat(80 * 1024))),
        ("many headers", format!("GET /graphql HTTP/1.1\r\nHost: gateway\r\n{many}\r\n")),
    ] {
        let mut stream = TcpStream::connect(running.address).await.unwrap();
        // The other side may hang up before all of it is written.
        let _ = stream.write_all(head.as_bytes()).await;
        let answer = receive(&mut stream).await;
        assert!(answer.starts_with("HTTP/1.1 431") || answer.starts_with("HTTP/1.1 414"), "{what}: {answer}");
    }
    running.stop.cancel();
    running.ended.await.unwrap().unwrap();
}
