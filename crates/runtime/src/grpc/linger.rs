//! The end of a connection that the client still writes on. A socket that is closed with something unread resets the
//! connection, and what was on its way to the client goes with it: the GOAWAY that says which calls nobody looked at.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use futures::future::BoxFuture;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf},
    net::TcpStream,
    runtime::Handle,
    time::timeout,
};
use tokio_util::task::TaskTracker;
use tonic::transport::server::{Connected, TcpConnectInfo};

/// How long a client may take to close its end.
const AT_MOST: Duration = Duration::from_secs(1);

/// A connection. Dropped, it says that no more will be written, and is read until its client is through too.
pub(super) struct Lingering {
    stream: Option<TcpStream>,
    ends: TaskTracker,
    /// When it is cut off, if it ever is.
    cut: Option<BoxFuture<'static, ()>>,
}

impl Lingering {
    /// `stream`, whose end is awaited by who waits for `ends`.
    pub(super) fn new(stream: TcpStream, ends: TaskTracker) -> Self {
        Self { stream: Some(stream), ends, cut: None }
    }

    /// The same, cut off in the midst of everything when `cut` says so.
    pub(super) fn until(mut self, cut: Option<BoxFuture<'static, ()>>) -> Self {
        self.cut = cut;
        self
    }

    /// Looks whether it is to be cut off. The server always reads, so this is asked when it is time.
    fn poll_cut(&mut self, cx: &mut Context<'_>) {
        if self.cut.as_mut().is_some_and(|cut| cut.as_mut().poll(cx).is_ready()) {
            (self.stream, self.cut) = (None, None);
        }
    }

    fn stream(self: Pin<&mut Self>) -> io::Result<Pin<&mut TcpStream>> {
        self.get_mut().stream.as_mut().map(Pin::new).ok_or_else(|| io::ErrorKind::NotConnected.into())
    }
}

impl Drop for Lingering {
    fn drop(&mut self) {
        if let (Some(stream), Ok(runtime)) = (self.stream.take(), Handle::try_current()) {
            self.ends.spawn_on(read_out(stream), &runtime);
        }
    }
}

async fn read_out(mut stream: TcpStream) {
    let read = async {
        stream.shutdown().await?;
        let mut unread = [0; 1024];
        while stream.read(&mut unread).await? > 0 {}
        io::Result::Ok(())
    };
    // A client that is gone or slow has nothing more to hear.
    let _ = timeout(AT_MOST, read).await;
}

impl Connected for Lingering {
    type ConnectInfo = TcpConnectInfo;

    fn connect_info(&self) -> Self::ConnectInfo {
        let info = self.stream.as_ref().map(Connected::connect_info);
        info.unwrap_or(TcpConnectInfo { local_addr: None, remote_addr: None })
    }
}

impl AsyncRead for Lingering {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.poll_cut(cx);
        self.stream()?.poll_read(cx, buffer)
    }
}

impl AsyncWrite for Lingering {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.stream()?.poll_write(cx, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream()?.poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream()?.poll_shutdown(cx)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.stream()?.poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.as_ref().is_some_and(AsyncWrite::is_write_vectored)
    }
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    #[tokio::test]
    async fn what_was_said_last_arrives_though_the_client_has_said_more_than_was_read() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let ends = TaskTracker::new();
        let mut server = Lingering::new(listener.accept().await.unwrap().0, ends.clone());
        client.write_all(&[0; 4096]).await.unwrap();
        server.write_all(b"goodbye").await.unwrap();
        drop(server);
        client.write_all(&[0; 4096]).await.unwrap();
        tokio::time::sleep(Duration::from_millis(50)).await;
        let mut heard = String::new();
        client.read_to_string(&mut heard).await.unwrap();
        assert_eq!(heard, "goodbye");
        drop(client);
        ends.close();
        ends.wait().await;
    }
}
