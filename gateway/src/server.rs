//! The HTTP/1.1 listener. `axum::serve` bounds neither the size of a request's head nor the time that it may take, so
//! this loop does.

mod patience;

use std::{
    convert::Infallible,
    net::SocketAddr,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use axum::{
    Router,
    body::Body,
    extract::Request,
    http::{HeaderValue, StatusCode, header::CONNECTION},
};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use patience::Patience;
use runtime::{Accepting, Stop};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::task::{TaskTracker, task_tracker::TaskTrackerToken};
use tower::Service;

/// How long a head may take, and how long a connection may rest between two requests. Longer than the 60 s for which
/// nginx keeps its connections, so that it is not this side that closes one as a request is under way.
const HEAD_WITHIN: Duration = Duration::from_secs(75);
/// The largest head. Tokens have about 450 bytes; a GET carries its query in the head.
const LARGEST_HEAD: usize = 32 * 1024;
/// How long a connection that was taken just before the stop may take until its first request comes: who sends it took the
/// connection for a good one.
const FIRST_WITHIN: Duration = Duration::from_secs(1);
/// How long to wait when the system gives no more connections, as when all file descriptors are taken.
const ACCEPT_AGAIN: Duration = Duration::from_millis(50);

/// The connection on which a request came, as an extension of the request.
#[derive(Clone, Debug)]
pub(crate) struct Connection {
    /// The client's end.
    pub(crate) peer: SocketAddr,
    drain: Arc<Drain>,
}

/// What all connections share: how they are asked to end, and who is still there.
#[derive(Debug)]
struct Drain {
    stop: Stop,
    open: TaskTracker,
    /// Asks those to stop that left HTTP. They come after the requests under way, which end soon.
    leave: Stop,
    left: TaskTracker,
}

impl Connection {
    /// Asks what streams on this connection to end.
    pub(crate) fn stop(&self) -> Stop {
        self.drain.stop.clone()
    }

    /// Whether it will end soon.
    pub(crate) fn stops(&self) -> bool {
        self.drain.stop.is_announced()
    }

    /// Held by what goes on when HTTP has left the connection: the server waits for it. And what asks that to end.
    pub(crate) fn hold(&self) -> (TaskTrackerToken, Stop) {
        (self.drain.left.token(), self.drain.leave.clone())
    }
}

/// Answers on `listener` until `stop`, then lets the requests under way end, and after them asks what left HTTP to end. From the announcement of `stop` on each answer
/// closes its connection, so that no client's next request meets one that ends. A client that does not read what it is sent
/// within `write_timeout` is hung up on.
pub(crate) async fn serve(listener: TcpListener, router: Router, write_timeout: Duration, stop: Stop) {
    let mut accepting = Accepting::new(listener, stop.clone());
    let (open, left) = (TaskTracker::new(), TaskTracker::new());
    let drain = Arc::new(Drain { stop, open, leave: Stop::new(), left });
    while let Some(accepted) = accepting.next().await {
        match accepted {
            Ok((stream, peer)) => {
                let connection = Connection { peer, drain: drain.clone() };
                drain.open.spawn(answer(Patience::new(stream, write_timeout), connection, router.clone()));
            }
            Err(error) => {
                tracing::warn!(%error, "a connection can't be accepted");
                tokio::time::sleep(ACCEPT_AGAIN).await;
            }
        }
    }
    drain.open.close();
    drain.open.wait().await;
    drain.leave.cancel();
    drain.left.close();
    drain.left.wait().await;
}

/// Comes back when a connection that rests is to be closed. From the announcement of the stop on, one that does not rest is
/// closed with its answer.
async fn leaves(stop: &Stop, has_begun: &AtomicBool) {
    stop.cancelled().await;
    if !has_begun.load(Ordering::Relaxed) {
        tokio::time::sleep(FIRST_WITHIN).await;
    }
}

/// Serves one connection.
async fn answer(stream: Patience<TcpStream>, connection: Connection, router: Router) {
    let (stop, begun) = (connection.stop(), Arc::new(AtomicBool::new(false)));
    let has_begun = begun.clone();
    let service = service_fn(move |request: hyper::Request<Incoming>| {
        let mut request: Request = request.map(Body::new);
        request.extensions_mut().insert(connection.clone());
        begun.store(true, Ordering::Relaxed);
        let (answer, connection) = (router.clone().call(request), connection.clone());
        async move {
            let mut answer = answer.await?;
            if connection.stops() && answer.status() != StatusCode::SWITCHING_PROTOCOLS {
                answer.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
            }
            Ok::<_, Infallible>(answer)
        }
    });
    let http = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_WITHIN)
        .max_header_size(LARGEST_HEAD)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    let mut http = pin!(http);
    let ended = tokio::select! {
        ended = &mut http => ended,
        () = leaves(&stop, &has_begun) => {
            http.as_mut().graceful_shutdown();
            http.await
        }
    };
    if let Err(error) = ended {
        // A client that goes away or speaks no HTTP is its own affair.
        tracing::debug!(%error, "a connection broke");
    }
}
