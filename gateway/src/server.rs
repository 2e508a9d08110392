//! The HTTP/1.1 listener. `axum::serve` bounds neither the size of a request's head nor the time that it may take, so
//! this loop does.

use std::{net::SocketAddr, time::Duration};

use axum::{Router, body::Body, extract::Request};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::graceful::GracefulShutdown,
};
use runtime::Stop;
use tokio::net::{TcpListener, TcpStream};
use tower::Service;

/// How long a head may take, and how long a connection may rest between two requests. Longer than the 60 s for which
/// nginx keeps its connections, so that it is not this side that closes one as a request is under way.
const HEAD_WITHIN: Duration = Duration::from_secs(75);
/// The largest head. Tokens have about 450 bytes; a GET carries its query in the head.
const LARGEST_HEAD: usize = 32 * 1024;
/// How long to wait when the system gives no more connections, as when all file descriptors are taken.
const ACCEPT_AGAIN: Duration = Duration::from_millis(50);

/// The client's end of the connection, as an extension of each request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Peer(pub(crate) SocketAddr);

/// Answers on `listener` until `stop`, then lets the requests under way end.
pub(crate) async fn serve(listener: TcpListener, router: Router, stop: Stop) {
    let connections = GracefulShutdown::new();
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => break,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, peer)) => answer(stream, Peer(peer), router.clone(), &connections),
            Err(error) => {
                tracing::warn!(%error, "a connection can't be accepted");
                tokio::time::sleep(ACCEPT_AGAIN).await;
            }
        }
    }
    drop(listener);
    connections.shutdown().await;
}

/// Serves one connection in a task of its own.
fn answer(stream: TcpStream, peer: Peer, router: Router, connections: &GracefulShutdown) {
    // Answers are written whole; waiting for more to send would only delay them.
    let _ = stream.set_nodelay(true);
    let service = service_fn(move |request: hyper::Request<Incoming>| {
        let mut request: Request = request.map(Body::new);
        request.extensions_mut().insert(peer);
        router.clone().call(request)
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_WITHIN)
        .max_header_size(LARGEST_HEAD)
        .serve_connection(TokioIo::new(stream), service);
    let connection = connections.watch(connection);
    tokio::spawn(async move {
        if let Err(error) = connection.await {
            // A client that goes away or speaks no HTTP is its own affair.
            tracing::debug!(%error, "a connection broke");
        }
    });
}
