//! Taking connections until a request to stop, and then those too that the system took by that moment.

use std::{collections::VecDeque, io, net::SocketAddr};

use tokio::net::{TcpListener, TcpStream};

use crate::Stop;

/// The connections that come to a listener until `stop`. After that the port is free, and nobody was cut off: to who
/// connects, one that waits to be taken looks like one that was, and closing the listener would reset it with the request
/// that was sent on it.
pub struct Accepting {
    listener: Option<TcpListener>,
    /// Taken when the listener was closed.
    last: VecDeque<(TcpStream, SocketAddr)>,
    stop: Stop,
}

impl Accepting {
    /// Takes those that come to `listener`.
    pub fn new(listener: TcpListener, stop: Stop) -> Self {
        Self { listener: Some(listener), last: VecDeque::new(), stop }
    }

    /// The next one, with the client's address; `None` when there will be no more. Its packets are sent at once.
    /// Cancelling it loses nothing.
    ///
    /// # Errors
    /// When the system gives no connection, as when all file descriptors are taken. It may give the next.
    pub async fn next(&mut self) -> Option<io::Result<(TcpStream, SocketAddr)>> {
        if let Some(listener) = &self.listener {
            tokio::select! {
                biased;
                () = self.stop.cancelled() => {}
                taken = listener.accept() => return Some(taken.map(at_once)),
            }
            self.last = self.listener.take().map(take_what_waits).unwrap_or_default();
        }
        self.last.pop_front().map(|taken| Ok(at_once(taken)))
    }
}

/// Answers are written whole; waiting for more to send would only delay them.
fn at_once(taken: (TcpStream, SocketAddr)) -> (TcpStream, SocketAddr) {
    let _ = taken.0.set_nodelay(true);
    taken
}

/// Asks the system itself: tokio may not have heard yet that one waits.
fn take_what_waits(listener: TcpListener) -> VecDeque<(TcpStream, SocketAddr)> {
    let mut taken = VecDeque::new();
    let Ok(listener) = listener.into_std() else { return taken };
    while let Ok((stream, peer)) = listener.accept() {
        let stream = stream.set_nonblocking(true).and_then(|()| TcpStream::from_std(stream));
        taken.extend(stream.ok().map(|stream| (stream, peer)));
    }
    taken
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn who_connected_before_the_stop_is_taken_and_who_comes_later_is_refused() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, stop) = (listener.local_addr().unwrap(), Stop::new());
        let mut accepting = Accepting::new(listener, stop.clone());
        let early =
            [std::net::TcpStream::connect(address).unwrap(), std::net::TcpStream::connect(address).unwrap()];
        stop.cancel();
        for client in early {
            let (_, peer) = accepting.next().await.unwrap().unwrap();
            assert_eq!(peer, client.local_addr().unwrap());
        }
        assert!(accepting.next().await.is_none());
        assert!(std::net::TcpStream::connect(address).is_err());
    }
}
