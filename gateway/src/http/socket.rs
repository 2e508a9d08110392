//! Many operations on one WebSocket, by the protocol graphql-transport-ws
//! (<https://github.com/enisdenjo/graphql-ws/blob/master/PROTOCOL.md>).
//!
//! One task serves a socket: it takes turns between what the client says, what its operations answer, and the clock. So
//! an idle socket costs its buffer and little more, and a client that does not read holds up its own operations alone.
//!
//! A page of another origin can open a socket here, since browsers ask nobody before. It gains nothing: who asks is said
//! by a token in `connection_init`, which that page does not have, and never by a cookie, which the browser would send.

mod close;
mod message;
mod operations;
mod session;

use std::{sync::Arc, time::Duration};

use axum::{
    body::Body,
    extract::Request,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::Response,
};
use futures::{SinkExt, StreamExt};
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use runtime::{Kind, Refusal, Stop};
use tokio::{io::AsyncReadExt, time::timeout};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{
        Error, Message,
        error::CapacityError,
        handshake::server::create_response,
        protocol::{Role, WebSocketConfig},
    },
};

use super::{
    Budget, Edge,
    respond::Refused,
    viewer::{self, Caller},
};
use crate::server::Connection;
use close::Close;
use session::Session;

/// The one protocol that is spoken.
const PROTOCOL: &str = "graphql-transport-ws";
/// The largest message of a client, in bytes.
const LARGEST_MESSAGE: usize = 64 * 1024;
/// What an idle socket keeps to read into. The crate's own 128 KiB would be most of what a socket costs.
const READ_BUFFER: usize = 4096;
/// How long a socket that was closed may take to hang up.
const HANG_UP_WITHIN: Duration = Duration::from_secs(1);

/// A WebSocket.
type Socket = WebSocketStream<TokioIo<Upgraded>>;

/// Whether the client wants to leave HTTP for a WebSocket.
pub(super) fn is_asked_for(headers: &HeaderMap) -> bool {
    headers.get(header::UPGRADE).is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"websocket"))
}

/// Answers the handshake, and serves the socket in a task of its own. Each operation on it has this budget.
pub(super) async fn open(
    edge: &Arc<Edge>,
    mut request: Request,
    budget: Budget,
) -> Result<Response, Refused> {
    let upgrade = hyper::upgrade::on(&mut request);
    let (head, _) = request.into_parts();
    let caller = viewer::identify(edge, &head, budget).await?;
    let connection = head.extensions.get::<Connection>().cloned();
    let speaks = offers_protocol(&head.headers);
    let response = create_response(&axum::http::Request::from_parts(head, ())).map_err(|_| no_handshake())?;
    let mut response = response.map(|()| Body::empty());
    if speaks {
        response.headers_mut().insert(header::SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(PROTOCOL));
    }
    let (edge, (held, stop)) = (edge.clone(), connection.as_ref().map(Connection::hold).unzip());
    let stop = stop.unwrap_or_default();
    tokio::spawn(async move {
        if let Ok(upgraded) = upgrade.await {
            let config = WebSocketConfig::default()
                .read_buffer_size(READ_BUFFER)
                .max_message_size(Some(LARGEST_MESSAGE))
                .max_frame_size(Some(LARGEST_MESSAGE));
            let socket =
                WebSocketStream::from_raw_socket(TokioIo::new(upgraded), Role::Server, Some(config)).await;
            serve(edge, socket, caller, speaks, stop).await;
        }
        drop(held);
    });
    Ok(response)
}

/// Serves a socket to its end. One whose client speaks another protocol is told so by the code for it, which it could
/// not read from a handshake that fails.
async fn serve(edge: Arc<Edge>, mut socket: Socket, caller: Caller, speaks: bool, stop: Stop) {
    let close = match speaks {
        true => Session::begin(edge, caller, &mut socket, stop).await,
        false => Some(close::OTHER_PROTOCOL),
    };
    let ended = close.map_or("gone", |close| close.name);
    metrics::counter!("graphql_sockets_closed_total", "reason" => ended).increment(1);
    match close {
        Some(close) => hang_up(socket, close).await,
        // The answer to a goodbye is written by whoever reads or writes next (RFC 6455, section 5.5.1, asks for it).
        None => drop(timeout(HANG_UP_WITHIN, socket.flush()).await),
    }
}

/// Says why, and waits a moment for the client to hear it: a connection that is cut with bytes unread loses what was
/// said last.
async fn hang_up(mut socket: Socket, close: Close) {
    let goodbye = async {
        socket.send(Message::Close(Some(close.into()))).await?;
        loop {
            match socket.next().await {
                Some(Ok(_)) => {}
                Some(Err(Error::Capacity(CapacityError::MessageTooLong { .. }))) => break,
                Some(Err(_)) | None => return Ok(()),
            }
        }
        // The rest of what is too large to be read as a message.
        let mut rest = [0; 1024];
        while socket.get_mut().read(&mut rest).await? > 0 {}
        Ok::<_, Error>(())
    };
    // Boxed: it is the largest state of the task, and the last.
    let _ = timeout(HANG_UP_WITHIN, Box::pin(goodbye)).await;
}

fn offers_protocol(headers: &HeaderMap) -> bool {
    let offered = headers.get_all(header::SEC_WEBSOCKET_PROTOCOL).iter();
    let mut names = offered.filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(','));
    names.any(|name| name.trim() == PROTOCOL)
}

fn no_handshake() -> Refused {
    let refusal = Refusal::new(Kind::BadInput, "REQUEST_MALFORMED", "this is no handshake of a WebSocket");
    Refused::by_http(StatusCode::BAD_REQUEST, refusal)
}
