//! What listeners hear from RabbitMQ.
//!
//! Each has a connection and an exclusive queue of its own, so RabbitMQ forgets what nobody listens to any more. Both
//! hold a bounded number of events; a listener that falls behind is told that it listens anew.

use futures::StreamExt;
use lapin::{
    Channel,
    message::Delivery,
    options::{BasicAckOptions, BasicConsumeOptions, BasicQosOptions, QueueDeclareOptions},
    types::FieldTable,
};
use runtime::Stop;
use tokio::sync::mpsc;

use super::{
    connection::{self, Address, Session},
    topology,
};
use crate::{CloudEvent, Heard, Listener};

/// How many events are on their way to a listener.
const PREFETCH: u16 = 256;
/// After how many events it is looked how many wait.
const LOOK: u32 = 256;
/// So many wait at the next look at least, if the queue was full and has lost some.
const WAS_FULL: u32 = topology::LISTENER_HOLDS - LOOK - PREFETCH as u32;

/// Hears the events of these names.
pub(super) fn listen(address: Address, names: Vec<&'static str>) -> Listener {
    let (sender, heard) = mpsc::channel(1);
    tokio::spawn(async move {
        let never = Stop::new();
        let hearing = connection::keep(&address, &never, |session| hear(session, &names, &sender));
        tokio::select! {
            () = hearing => {}
            () = sender.closed() => {}
        }
    });
    Listener { heard }
}

/// Hears until the connection or the queue is lost, or nobody listens.
async fn hear(session: Session, names: &[&'static str], sender: &mpsc::Sender<Heard>) -> lapin::Result<()> {
    let channel = session.connection.create_channel().await?;
    let queue = topology::declare_listener(&channel, names).await?;
    channel.basic_qos(PREFETCH, BasicQosOptions::default()).await?;
    let (options, arguments) = (BasicConsumeOptions::default(), FieldTable::default());
    let mut deliveries = channel.basic_consume(queue.as_str().into(), "".into(), options, arguments).await?;
    session.ready();
    if sender.send(Heard::Anew).await.is_err() {
        return Ok(());
    }
    let mut until_look = LOOK;
    while let Some(delivery) = deliveries.next().await {
        let delivery = delivery?;
        if let Some(event) = read(&delivery, names)
            && sender.send(Heard::Event(event.into())).await.is_err()
        {
            return Ok(());
        }
        // Only now: RabbitMQ sends no more than a few ahead, and the rest waits in the queue.
        delivery.ack(BasicAckOptions::default()).await?;
        until_look -= 1;
        if until_look == 0 {
            until_look = LOOK;
            if waiting(&channel, &queue).await? >= WAS_FULL && sender.send(Heard::Anew).await.is_err() {
                return Ok(());
            }
        }
    }
    Err(std::io::Error::other("the queue was taken away").into())
}

/// What is no event, or says that it is another than its key does, is left out: nobody may say another's events.
fn read(delivery: &Delivery, names: &[&str]) -> Option<CloudEvent> {
    let event: CloudEvent = serde_json::from_slice(&delivery.data).ok()?;
    let name = event.name()?;
    (names.contains(&name) && name == delivery.routing_key.as_str()).then_some(event)
}

async fn waiting(channel: &Channel, queue: &str) -> lapin::Result<u32> {
    let options = QueueDeclareOptions::default().passive();
    Ok(channel.queue_declare(queue.into(), options, FieldTable::default()).await?.message_count())
}
