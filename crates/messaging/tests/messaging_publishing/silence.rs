//! A broker that is there, takes a message, and never confirms it, as a queue that lost its majority does.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use testkit::until;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, copy},
    net::{TcpListener, TcpStream, tcp::OwnedReadHalf, tcp::OwnedWriteHalf},
    time::Instant,
};
use uuid::Uuid;

use crate::world::{World, event};

/// A way to RabbitMQ on which the first confirms are lost, and nothing else is.
struct Lossy {
    address: SocketAddr,
    /// How many confirms are still to be lost.
    to_lose: Arc<AtomicUsize>,
}

impl Lossy {
    async fn new(target: String, confirms: usize) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let to_lose = Arc::new(AtomicUsize::new(confirms));
        let losing = to_lose.clone();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let (mut from_client, to_client) = client.into_split();
                let (from_server, mut to_server) = TcpStream::connect(&target).await.unwrap().into_split();
                tokio::spawn(async move { copy(&mut from_client, &mut to_server).await });
                tokio::spawn(pass_frames(from_server, to_client, losing.clone()));
            }
        });
        Self { address, to_lose }
    }
}

/// Passes on what RabbitMQ says, frame by frame (AMQP 0-9-1, 2.3.5): type, channel, size, payload, end.
async fn pass_frames(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, to_lose: Arc<AtomicUsize>) {
    let mut frame = vec![0; 7];
    while from.read_exact(&mut frame[..7]).await.is_ok() {
        let size = u32::from_be_bytes(frame[3..7].try_into().unwrap()) as usize;
        frame.resize(7 + size + 1, 0);
        if from.read_exact(&mut frame[7..]).await.is_err() {
            return;
        }
        let lost = is_confirm(&frame)
            && to_lose.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok();
        if !lost && to.write_all(&frame).await.is_err() {
            return;
        }
    }
}

/// Whether it is the method basic.ack: class 60, method 80.
fn is_confirm(frame: &[u8]) -> bool {
    frame[0] == 1 && frame[7..11] == [0, 60, 0, 80]
}

#[tokio::test]
async fn an_event_that_is_never_confirmed_is_said_again_and_holds_up_no_other() {
    let world = World::new().await;
    let witness = world.witness(&["order.created"]).await;
    let lossy = Lossy::new(world.vhost.address(), 1).await;
    let (silent, other) = (event(Uuid::now_v7(), 1), event(Uuid::now_v7(), 1));
    let relay = world.run_to(&world.vhost.url_at(lossy.address));
    world.say(std::slice::from_ref(&silent)).await;
    relay.outbox.wake();
    until("its confirm is lost", async || lossy.to_lose.load(Ordering::SeqCst) == 0).await;
    until("it is heard", async || witness.count() == 1).await;

    world.say(&[other]).await;
    relay.outbox.wake();
    until("the other is marked", async || world.waiting().await == 1).await;

    // The publisher's own patience is half a minute.
    let deadline = Instant::now() + Duration::from_secs(60);
    while world.waiting().await > 0 {
        assert!(Instant::now() < deadline, "it is given up");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let heard = witness.events().into_iter().filter(|heard| heard.id == silent.id).count();
    assert_eq!(heard, 2, "once, and once more since nobody knew");
}
