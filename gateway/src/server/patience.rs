//! Patience with clients who do not read what they are sent, and its end.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Sleep, sleep},
};

/// A stream on which a write that waits too long fails. An idle one costs no timer.
pub(super) struct Patience<S> {
    stream: S,
    at_most: Duration,
    waited: Option<Pin<Box<Sleep>>>,
}

impl<S> Patience<S> {
    /// Waits `at_most` that long for room to write something.
    pub(super) fn new(stream: S, at_most: Duration) -> Self {
        Self { stream, at_most, waited: None }
    }

    /// What became of a write: the first one that waits starts the clock, the next that does not stops it.
    fn judge<T>(&mut self, context: &mut Context<'_>, write: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if write.is_ready() {
            self.waited = None;
            return write;
        }
        let at_most = self.at_most;
        ready!(self.waited.get_or_insert_with(|| Box::pin(sleep(at_most))).as_mut().poll(context));
        metrics::counter!("slow_readers_total", "by" => "write").increment(1);
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the client does not read")))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Patience<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Patience<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let write = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.judge(context, write)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let write = Pin::new(&mut self.stream).poll_write_vectored(context, parts);
        self.judge(context, write)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flush = Pin::new(&mut self.stream).poll_flush(context);
        self.judge(context, flush)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_write_that_nobody_reads_fails_after_its_time() {
        let (near, _far) = duplex(8);
        let mut near = Patience::new(near, Duration::from_secs(3));
        let started = tokio::time::Instant::now();
        let error = near.write_all(&[0; 20]).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert_eq!(started.elapsed().as_secs(), 3);
    }

    #[tokio::test(start_paused = true)]
    async fn a_reader_that_goes_on_slowly_is_borne_with() {
        let (near, mut far) = duplex(8);
        let mut near = Patience::new(near, Duration::from_secs(3));
        let reading = tokio::spawn(async move {
            let mut read = 0;
            while read < 80 {
                sleep(Duration::from_secs(2)).await;
                read += far.read(&mut [0; 8]).await.unwrap();
            }
        });
        near.write_all(&[0; 80]).await.unwrap();
        reading.await.unwrap();
    }
}
