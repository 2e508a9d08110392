//! Why a socket is closed, and by which code its client hears it. docs/subscriptions.md has the same list.

use tokio_tungstenite::tungstenite::protocol::{CloseFrame, frame::coding::CloseCode};

/// A code with words for people.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Close {
    pub(super) code: u16,
    /// As it is counted.
    pub(super) name: &'static str,
    reason: &'static str,
}

const fn close(code: u16, name: &'static str, reason: &'static str) -> Close {
    Close { code, name, reason }
}

/// This process stops: come back at once.
pub(super) const GOING_AWAY: Close = close(1001, "going_away", "Going away");
/// The client broke the rules of WebSockets.
pub(super) const PROTOCOL_ERROR: Close = close(1002, "protocol_error", "Protocol error");
/// Text that is no UTF-8.
pub(super) const NOT_UTF8: Close = close(1007, "not_utf8", "Invalid UTF-8");
/// A message over the size limit.
pub(super) const TOO_LARGE: Close = close(1009, "too_large", "Message too large");
/// The client does not read what it is sent; or tokens can't be judged yet. Come back.
pub(super) const TRY_AGAIN: Close = close(1013, "try_again", "Try again later");
/// The same for a client that does not keep up with its events.
pub(super) const TOO_SLOW: Close = close(1013, "too_slow", "Too slow");
/// A message that the protocol does not know.
pub(super) const BAD_MESSAGE: Close = close(4400, "bad_message", "Invalid message");
/// An operation before the connection was acknowledged.
pub(super) const UNAUTHORIZED: Close = close(4401, "unauthorized", "Unauthorized");
/// The token is not good, or not any more. Come back with another.
pub(super) const FORBIDDEN: Close = close(4403, "forbidden", "Forbidden");
/// The client does not speak graphql-transport-ws.
pub(super) const OTHER_PROTOCOL: Close = close(4406, "other_protocol", "Subprotocol not acceptable");
/// No `connection_init` in time.
pub(super) const INIT_TIMEOUT: Close = close(4408, "init_timeout", "Connection initialisation timeout");
/// An operation with the id of another that is under way.
pub(super) const ID_TAKEN: Close = close(4409, "id_taken", "Subscriber already exists");
/// A second `connection_init`.
pub(super) const INIT_REPEATED: Close = close(4429, "init_repeated", "Too many initialisation requests");
/// More sockets than a user may have. The protocol has no code of its own for that; clients take this one as final.
pub(super) const TOO_MANY_SOCKETS: Close = close(4429, "too_many_sockets", "Too many sockets");

impl From<Close> for CloseFrame {
    fn from(close: Close) -> Self {
        Self { code: CloseCode::from(close.code), reason: close.reason.into() }
    }
}
