//! A way to RabbitMQ that can be cut.

use std::net::SocketAddr;

use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinHandle,
};

/// Passes on what comes. Dropping it closes it.
pub(crate) struct Proxy {
    pub(crate) address: SocketAddr,
    cut: watch::Sender<()>,
    task: JoinHandle<()>,
}

impl Proxy {
    pub(crate) async fn new(target: String) -> Self {
        Self::at(TcpListener::bind("127.0.0.1:0").await.unwrap(), target)
    }

    pub(crate) fn at(listener: TcpListener, target: String) -> Self {
        let address = listener.local_addr().unwrap();
        let (cut, _) = watch::channel(());
        let task = tokio::spawn(accept(listener, target, cut.clone()));
        Self { address, cut, task }
    }

    /// Cuts all connections; new ones pass. Answers how many there were.
    pub(crate) fn cut(&self) -> usize {
        let connections = self.cut.receiver_count();
        self.cut.send_replace(());
        connections
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
        self.cut();
    }
}

async fn accept(listener: TcpListener, target: String, cut: watch::Sender<()>) {
    while let Ok((mut client, _)) = listener.accept().await {
        let Ok(mut server) = TcpStream::connect(&target).await else { continue };
        let mut ended = cut.subscribe();
        tokio::spawn(async move {
            tokio::select! {
                _ = copy_bidirectional(&mut client, &mut server) => {}
                _ = ended.changed() => {}
            }
        });
    }
}
