//! A TCP proxy before RabbitMQ, to cut connections half-way through a frame.

mod frames;

use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use anyhow::Result;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::oneshot,
    task::{JoinHandle, JoinSet},
    time::{sleep, timeout},
};

use self::frames::Frames;

/// How long the half of a frame gets to arrive, so that the reset does not overtake it.
const ARRIVAL: Duration = Duration::from_millis(5);

/// Which of the two streams of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// From those who connect.
    Up,
    /// To them.
    Down,
}

/// The proxy. Dropped, it listens no more, and its connections end.
pub(crate) struct Proxy {
    address: SocketAddr,
    cut: Arc<Cut>,
    task: JoinHandle<()>,
}

/// The cut that is wanted next, if any: where, and who is to be told.
#[derive(Default)]
struct Cut {
    wanted: Mutex<Option<(Way, oneshot::Sender<()>)>>,
}

impl Proxy {
    /// Listens on a free port and passes connections on to `target`.
    ///
    /// # Errors
    /// When no port is free.
    pub(crate) async fn before(target: SocketAddr) -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let (address, cut) = (listener.local_addr()?, Arc::<Cut>::default());
        let task = tokio::spawn(accept(listener, target, cut.clone()));
        Ok(Self { address, cut, task })
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Cuts the next connection on which the body of a message goes the way `way`, in the middle of that: what comes
    /// before is passed on, then both ends get a reset. `false` when none came by within `at_most`.
    pub(crate) async fn cut(&self, way: Way, at_most: Duration) -> bool {
        let (done, is_done) = oneshot::channel();
        self.cut.set(Some((way, done)));
        let cut = timeout(at_most, is_done).await.is_ok_and(|told| told.is_ok());
        self.cut.set(None);
        cut
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Cut {
    fn set(&self, wanted: Option<(Way, oneshot::Sender<()>)>) {
        *self.wanted.lock().unwrap_or_else(PoisonError::into_inner) = wanted;
    }

    /// Whether this stream is the one to be cut; then no other is.
    fn take(&self, way: Way) -> Option<oneshot::Sender<()>> {
        let mut wanted = self.wanted.lock().unwrap_or_else(PoisonError::into_inner);
        wanted.take_if(|(wanted, _)| *wanted == way).map(|(_, done)| done)
    }
}

async fn accept(listener: TcpListener, target: SocketAddr, cut: Arc<Cut>) {
    let mut connections = JoinSet::new();
    loop {
        let Ok((client, _)) = listener.accept().await else { continue };
        let cut = cut.clone();
        connections.spawn(async move {
            if let Ok(target) = TcpStream::connect(target).await {
                // What breaks a connection, its two ends see for themselves.
                let _ = pass_on(client, target, &cut).await;
            }
        });
        while connections.try_join_next().is_some() {}
    }
}

async fn pass_on(mut client: TcpStream, mut target: TcpStream, cut: &Cut) -> io::Result<()> {
    client.set_nodelay(true)?;
    target.set_nodelay(true)?;
    let (mut from_client, mut to_client) = client.split();
    let (mut from_target, mut to_target) = target.split();
    let done = tokio::select! {
        done = pump(&mut from_client, &mut to_target, Way::Up, cut) => done?,
        done = pump(&mut from_target, &mut to_client, Way::Down, cut) => done?,
    };
    if let Some(done) = done {
        sleep(ARRIVAL).await;
        client.set_zero_linger()?;
        target.set_zero_linger()?;
        drop((client, target));
        let _ = done.send(());
    }
    Ok(())
}

/// Copies until the end, or until the cut, whose order it gives back then.
async fn pump(
    from: &mut (impl AsyncReadExt + Unpin),
    to: &mut (impl AsyncWriteExt + Unpin),
    way: Way,
    cut: &Cut,
) -> io::Result<Option<oneshot::Sender<()>>> {
    let (mut frames, mut buffer) = (Frames::default(), vec![0; 64 * 1024]);
    loop {
        let read = from.read(&mut buffer).await?;
        if read == 0 {
            return Ok(None);
        }
        if let Some(middle) = frames.middle_of_a_body(&buffer[..read])
            && let Some(done) = cut.take(way)
        {
            to.write_all(&buffer[..middle]).await?;
            return Ok(Some(done));
        }
        to.write_all(&buffer[..read]).await?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A server that answers each connection with its number and then gives back what it hears.
    async fn echo(number: u8) -> SocketAddr {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                tokio::spawn(async move {
                    stream.write_all(&[number]).await.unwrap();
                    let (mut from, mut to) = stream.split();
                    let _ = tokio::io::copy(&mut from, &mut to).await;
                });
            }
        });
        address
    }

    #[tokio::test]
    async fn a_cut_lets_half_of_the_body_through_and_then_resets() {
        let proxy = Proxy::before(echo(7).await).await.unwrap();
        let mut stream = TcpStream::connect(proxy.address()).await.unwrap();
        assert_eq!(stream.read_u8().await.unwrap(), 7);
        let frame =
            [&b"AMQP\x00\x00\x09\x01\x03\x00\x01\x00\x00\x00\x0a"[..], b"0123456789", b"\xce"].concat();
        let (cut, ()) = tokio::join!(proxy.cut(Way::Up, Duration::from_secs(5)), async {
            // Whether the cut is already wanted is seen by asking: without it the whole frame comes back.
            tokio::task::yield_now().await;
            stream.write_all(&frame).await.unwrap();
            let mut heard = Vec::new();
            let _ = stream.read_to_end(&mut heard).await;
            assert!(frame[..20].starts_with(&heard), "{heard:?}");
        });
        assert!(cut);
        assert!(TcpStream::connect(proxy.address()).await.is_ok(), "the next connection is let through");
    }

    #[tokio::test]
    async fn without_a_body_nothing_is_cut() {
        let proxy = Proxy::before(echo(7).await).await.unwrap();
        let mut stream = TcpStream::connect(proxy.address()).await.unwrap();
        let heartbeat = *b"AMQP\x00\x00\x09\x01\x08\x00\x00\x00\x00\x00\x00\xce";
        let (cut, ()) = tokio::join!(proxy.cut(Way::Up, Duration::from_millis(200)), async {
            stream.write_all(&heartbeat).await.unwrap();
            let mut heard = [0; 17];
            stream.read_exact(&mut heard).await.unwrap();
            assert_eq!(heard[1..], heartbeat);
        });
        assert!(!cut);
    }
}
