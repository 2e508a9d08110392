//! Taking connections: from the moment that a process is ready until a request to stop, and then those too that the system
//! took by that moment.

use std::{collections::VecDeque, future::Future, io, net::SocketAddr, time::Duration};

use tokio::{
    net::{TcpListener, TcpSocket, TcpStream, lookup_host},
    time::sleep,
};

use crate::Stop;

/// How many connections may wait to be taken, as `TcpListener::bind` has it.
const BACKLOG: u32 = 1024;

/// How long to wait until a port that somebody else took meanwhile is tried again.
const AGAIN: Duration = Duration::from_millis(100);

/// A port of this process.
#[derive(Debug)]
pub enum Port {
    /// It is taken, and who connects is refused.
    Closed(TcpSocket),
    /// Who connects is taken, or waits for it.
    Open(TcpListener),
}

impl Port {
    /// Takes the port `address`, host:port, closed. Port 0 is a free one.
    ///
    /// # Errors
    /// When somebody has it, naming it.
    pub async fn closed(address: &str) -> anyhow::Result<Self> {
        let take = async {
            let found = lookup_host(address).await?.next().ok_or(io::ErrorKind::NotFound)?;
            let socket = if found.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
            // Connections of a process that had it before may still be about to end.
            socket.set_reuseaddr(true)?;
            socket.bind(found)?;
            Ok(Self::Closed(socket))
        };
        take.await.map_err(|error: io::Error| anyhow::anyhow!("can't listen at {address}: {error}"))
    }

    /// Takes the port `address`, open.
    ///
    /// # Errors
    /// As [`Port::closed`].
    pub async fn open(address: &str) -> anyhow::Result<Self> {
        let opened = Self::closed(address).await?.listen();
        opened.map(Self::Open).map_err(|error| anyhow::anyhow!("can't listen at {address}: {error}"))
    }

    /// Its address.
    ///
    /// # Errors
    /// When the system does not say.
    pub fn address(&self) -> io::Result<SocketAddr> {
        match self {
            Self::Closed(socket) => socket.local_addr(),
            Self::Open(listener) => listener.local_addr(),
        }
    }

    /// Opens it, if it is not open.
    ///
    /// # Errors
    /// When another process was quicker.
    pub fn listen(self) -> io::Result<TcpListener> {
        match self {
            Self::Closed(socket) => socket.listen(BACKLOG),
            Self::Open(listener) => Ok(listener),
        }
    }
}

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

    /// Closes the port until `back`: who connects is refused, and who waits to be taken is cut off.
    pub async fn away(&mut self, back: impl Future<Output = ()>) {
        let Some(address) = self.listener.take().and_then(|listener| listener.local_addr().ok()) else {
            return;
        };
        let open = async {
            back.await;
            loop {
                match Port::open(&address.to_string()).await.and_then(|port| Ok(port.listen()?)) {
                    Ok(listener) => return listener,
                    Err(error) => tracing::warn!(%error, "a port can't be opened again yet"),
                }
                sleep(AGAIN).await;
            }
        };
        self.listener = self.stop.run_until_cancelled(open).await;
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
    async fn a_port_that_is_closed_refuses_and_cannot_be_had_from_who_listens() {
        let port = Port::closed("127.0.0.1:0").await.unwrap();
        let address = port.address().unwrap();
        assert!(std::net::TcpStream::connect(address).is_err());
        let _listener = port.listen().unwrap();
        std::net::TcpStream::connect(address).unwrap();
        let taken = Port::closed(&address.to_string()).await.unwrap_err().to_string();
        assert!(taken.starts_with(&format!("can't listen at {address}: ")), "{taken}");
    }

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
