//! A way to a server that can be cut.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinHandle,
};

/// Passes on what comes, and counts what goes to the server. Dropping it closes it: from then on nobody listens there.
pub struct Proxy {
    /// Where it listens.
    pub address: SocketAddr,
    /// How many bytes may still go to the server; then all connections are cut, in the middle of whatever is under way.
    budget: Arc<AtomicU64>,
    cut: watch::Sender<()>,
    task: JoinHandle<()>,
}

impl Proxy {
    /// A proxy to `target`, `host:port`, at a free port.
    pub async fn new(target: String) -> Self {
        Self::at(TcpListener::bind("127.0.0.1:0").await.unwrap(), target)
    }

    /// The same behind this listener.
    pub fn at(listener: TcpListener, target: String) -> Self {
        let budget = Arc::new(AtomicU64::new(u64::MAX));
        let (cut, _) = watch::channel(());
        let address = listener.local_addr().unwrap();
        let task = tokio::spawn(accept(listener, target, budget.clone(), cut.clone()));
        Self { address, budget, cut, task }
    }

    /// Cuts all connections; new ones pass. Answers how many there were.
    pub fn cut(&self) -> usize {
        let connections = self.cut.receiver_count();
        self.cut.send_replace(());
        connections
    }

    /// Cuts all connections once this many more bytes have gone to the server. New ones pass.
    pub fn cut_after(&self, bytes: u64) {
        self.budget.store(bytes, Ordering::SeqCst);
    }

    /// Whether the cut of [`Proxy::cut_after`] has happened.
    pub fn was_cut(&self) -> bool {
        self.budget.load(Ordering::SeqCst) == u64::MAX
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
        self.cut();
    }
}

async fn accept(listener: TcpListener, target: String, budget: Arc<AtomicU64>, cut: watch::Sender<()>) {
    while let Ok((client, _)) = listener.accept().await {
        let Ok(server) = TcpStream::connect(&target).await else { continue };
        let (budget, cut) = (budget.clone(), cut.clone());
        let mut ended = cut.subscribe();
        tokio::spawn(async move {
            tokio::select! {
                within_budget = pass(client, server, &budget) => if !within_budget { cut.send_replace(()); },
                _ = ended.changed() => {}
            }
        });
    }
}

/// Passes on until one of both ends, or the budget does: then `false`.
async fn pass(client: TcpStream, server: TcpStream, budget: &AtomicU64) -> bool {
    let ((mut from_client, mut to_client), (mut from_server, mut to_server)) =
        (client.into_split(), server.into_split());
    let out = async {
        let mut buffer = [0; 4096];
        loop {
            let read = from_client.read(&mut buffer).await.unwrap_or(0);
            let left = budget.load(Ordering::SeqCst);
            let passed = read.min(usize::try_from(left).unwrap_or(usize::MAX));
            if to_server.write_all(&buffer[..passed]).await.is_err() || read == 0 {
                return true;
            }
            if passed < read {
                budget.store(u64::MAX, Ordering::SeqCst);
                return false;
            }
            if left != u64::MAX {
                budget.fetch_sub(passed as u64, Ordering::SeqCst);
            }
        }
    };
    tokio::select! {
        within_budget = out => within_budget,
        _ = tokio::io::copy(&mut from_server, &mut to_client) => true,
    }
}
