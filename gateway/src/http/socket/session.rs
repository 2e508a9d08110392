//! What is said on a socket, from `connection_init` to its end.

use std::sync::Arc;

use futures::{SinkExt, StreamExt};
use runtime::{Kind, Refusal, Stop};
use serde_json::value::RawValue;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at, timeout};
use tokio_tungstenite::tungstenite::{Bytes, Error, Message};

use super::{
    Socket,
    close::{self, Close},
    message::{Said, Say},
    operations::{Operation, Operations, Output},
};
use crate::http::{Edge, live::Presence, viewer::Caller};

/// A socket whose client was let in.
pub(super) struct Session<'a> {
    edge: Arc<Edge>,
    caller: Arc<Caller>,
    presence: Presence,
    socket: &'a mut Socket,
    operations: Operations,
    /// Whether anything was heard since the last sign of life was asked for.
    heard: bool,
}

/// What came off the socket.
enum Came {
    Said(Said),
    /// Nothing that asks for an answer, but somebody is there.
    Sign,
    /// It has to be closed.
    Wrong(Close),
    /// The client is gone, or said goodbye.
    Gone,
}

impl<'a> Session<'a> {
    /// Serves a socket. Answers how it is to be closed; `None` when nobody is there any more.
    pub(super) async fn begin(
        edge: Arc<Edge>,
        caller: Caller,
        socket: &'a mut Socket,
        stop: Stop,
    ) -> Option<Close> {
        let init = greeting(socket);
        let token = tokio::select! {
            token = timeout(edge.streams.init_timeout, init) => match token {
                Ok(Ok(token)) => token,
                Ok(Err(close)) => return close,
                Err(_) => return Some(close::INIT_TIMEOUT),
            },
            () = stop.cancelled() => return Some(close::GOING_AWAY),
        };
        // Boxed: it is larger than all that comes after it, which stays.
        let admitted = Box::pin(admit(&edge, caller, token)).await;
        let (caller, presence) = match admitted {
            Ok(admitted) => admitted,
            Err(close) => return Some(close),
        };
        let (caller, operations) = (Arc::new(caller), Operations::default());
        let mut session = Self { edge, caller, presence, socket, operations, heard: true };
        match session.say(Say::ConnectionAck).await {
            Ok(()) => session.serve(stop).await,
            Err(_) => None,
        }
    }

    async fn serve(&mut self, stop: Stop) -> Option<Close> {
        let mut keepalive = keepalive(&self.edge);
        loop {
            let done = tokio::select! {
                () = stop.cancelled() => Err(Some(close::GOING_AWAY)),
                _ = self.presence.ended() => Err(Some(close::FORBIDDEN)),
                _ = keepalive.tick() => self.ask_for_a_sign().await,
                message = self.socket.next() => self.take(came(message)).await,
                Some((id, output)) = self.operations.next() => self.tell(&id, output).await,
            };
            if let Err(close) = done {
                return close;
            }
        }
    }

    /// Pings; a client of whom nothing was heard since the last time is gone.
    async fn ask_for_a_sign(&mut self) -> Result<(), Option<Close>> {
        if !self.heard {
            return Err(None);
        }
        self.heard = false;
        self.send(Message::Ping(Bytes::new())).await
    }

    async fn take(&mut self, came: Came) -> Result<(), Option<Close>> {
        self.heard = true;
        match came {
            Came::Said(Said::Init(_)) => Err(Some(close::INIT_REPEATED)),
            Came::Said(Said::Ping(payload)) => self.say(Say::Pong { payload: payload.as_deref() }).await,
            Came::Said(Said::Subscribe(id, payload)) => self.subscribe(id, payload).await,
            Came::Said(Said::Complete(id)) => {
                self.operations.end(&id);
                Ok(())
            }
            Came::Said(Said::Pong) | Came::Sign => Ok(()),
            Came::Wrong(close) => Err(Some(close)),
            Came::Gone => Err(None),
        }
    }

    async fn subscribe(&mut self, id: String, payload: Box<RawValue>) -> Result<(), Option<Close>> {
        if self.operations.has(&id) {
            return Err(Some(close::ID_TAKEN));
        }
        let operation = Operation::new(self.edge.clone(), self.caller.clone(), payload);
        if !operation.is_well_formed() {
            return Err(Some(close::BAD_MESSAGE));
        }
        let most = self.edge.streams.operations_per_socket;
        match self.operations.begin(&id, operation, most) {
            Ok(()) => Ok(()),
            Err(errors) => self.say(Say::Error { id: &id, payload: &errors }).await,
        }
    }

    async fn tell(&mut self, id: &str, output: Output) -> Result<(), Option<Close>> {
        match output {
            Output::Next(payload) => self.say(Say::Next { id, payload: &payload }).await,
            Output::Error(payload) => self.say(Say::Error { id, payload: &payload }).await,
            Output::Complete => self.say(Say::Complete { id }).await,
            Output::Forbidden => Err(Some(close::FORBIDDEN)),
            Output::TooSlow => Err(Some(close::TOO_SLOW)),
        }
    }

    async fn say(&mut self, say: Say<'_>) -> Result<(), Option<Close>> {
        self.send(say.into()).await
    }

    /// Sends. It waits for the client to read, but no longer than the connection lets it.
    async fn send(&mut self, message: Message) -> Result<(), Option<Close>> {
        self.socket.send(message).await.map_err(|_| None)
    }
}

/// Waits for `connection_init`, and gives its token.
async fn greeting(socket: &mut Socket) -> Result<Option<String>, Option<Close>> {
    loop {
        match came(socket.next().await) {
            Came::Said(Said::Init(token)) => return Ok(token),
            Came::Said(Said::Ping(payload)) => {
                let pong = Say::Pong { payload: payload.as_deref() };
                socket.send(pong.into()).await.map_err(|_| None)?;
            }
            Came::Said(Said::Subscribe(..)) => return Err(Some(close::UNAUTHORIZED)),
            Came::Said(Said::Pong | Said::Complete(_)) | Came::Sign => {}
            Came::Wrong(close) => return Err(Some(close)),
            Came::Gone => return Err(None),
        }
    }
}

/// Finds out who asks: by the token of `connection_init`, else by that of the handshake, else nobody in particular.
async fn admit(edge: &Edge, caller: Caller, token: Option<String>) -> Result<(Caller, Presence), Close> {
    let caller = match token {
        Some(token) => caller.with_token(edge, &token).await.map_err(|refusal| refused(&refusal))?,
        None => caller,
    };
    let presence = edge.live.enter(caller.viewer).map_err(|refusal| refused(&refusal))?;
    // That of the handshake may have ended since.
    presence.still().map_err(|refusal| refused(&refusal))?;
    Ok((caller, presence))
}

fn refused(refusal: &Refusal) -> Close {
    match refusal.kind {
        Kind::RateLimited => close::TOO_MANY_SOCKETS,
        Kind::Unavailable => close::TRY_AGAIN,
        _ => close::FORBIDDEN,
    }
}

fn came(message: Option<Result<Message, Error>>) -> Came {
    match message {
        Some(Ok(Message::Text(text))) => {
            Said::read(&text).map_or(Came::Wrong(close::BAD_MESSAGE), Came::Said)
        }
        Some(Ok(Message::Binary(_))) => Came::Wrong(close::BAD_MESSAGE),
        Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => Came::Sign,
        Some(Ok(Message::Close(_))) | None => Came::Gone,
        Some(Err(Error::Capacity(_))) => Came::Wrong(close::TOO_LARGE),
        Some(Err(Error::Utf8(_))) => Came::Wrong(close::NOT_UTF8),
        Some(Err(Error::Protocol(_))) => Came::Wrong(close::PROTOCOL_ERROR),
        Some(Err(_)) => Came::Gone,
    }
}

fn keepalive(edge: &Edge) -> Interval {
    let period = edge.streams.keepalive;
    let mut keepalive = interval_at(Instant::now() + period, period);
    keepalive.set_missed_tick_behavior(MissedTickBehavior::Delay);
    keepalive
}
