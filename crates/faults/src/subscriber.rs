//! A subscriber from outside: a durable queue of its own bound to all events, acknowledged by hand, connected to RabbitMQ
//! past the proxy, and connected again whenever that is lost.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use anyhow::{Context, Result};
use futures::StreamExt;
use lapin::{
    Channel, Connection, ConnectionProperties, Consumer,
    message::Delivery,
    options::{BasicAckOptions, BasicConsumeOptions, BasicQosOptions, QueueBindOptions, QueueDeclareOptions},
    types::{AMQPValue, FieldTable},
};
use messaging::{CloudEvent, topology::EXCHANGE};
use tokio::{
    sync::oneshot,
    task::JoinHandle,
    time::{sleep, timeout},
};

use crate::arrivals::{Arrival, Arrivals};

/// Its queue; the account of subscribers may make those that begin so.
pub(crate) const QUEUE: &str = "subscriber.faults";
const PREFETCH: u16 = 200;
const AGAIN: Duration = Duration::from_millis(250);
const CONNECT: Duration = Duration::from_secs(10);

/// The subscriber. Dropped, it hears no more.
pub(crate) struct Subscriber {
    arrivals: Arc<Mutex<Arrivals>>,
    task: JoinHandle<()>,
}

impl Subscriber {
    /// Connects to `url`. When this returns, its queue is bound: no event from then on is without it. The exchange
    /// must be there, since this account may not make it.
    ///
    /// # Errors
    /// When it can't.
    pub(crate) async fn start(url: String) -> Result<Self> {
        let arrivals = Arc::<Mutex<Arrivals>>::default();
        let (bound, is_bound) = oneshot::channel();
        let task = tokio::spawn(listen(url, arrivals.clone(), bound));
        timeout(CONNECT, is_bound).await.context("the subscriber's queue can't be bound")??;
        Ok(Self { arrivals, task })
    }

    /// What it heard so far.
    pub(crate) fn arrivals(&self) -> MutexGuard<'_, Arrivals> {
        self.arrivals.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Subscriber {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn listen(url: String, arrivals: Arc<Mutex<Arrivals>>, bound: oneshot::Sender<()>) {
    let mut bound = Some(bound);
    loop {
        // Whatever ends a connection, the next one gets what was not acknowledged.
        if let Ok(Ok((_connection, mut deliveries))) = timeout(CONNECT, subscribe(&url)).await {
            if let Some(bound) = bound.take() {
                let _ = bound.send(());
            }
            while let Some(Ok(delivery)) = deliveries.next().await {
                note(&delivery, &arrivals);
                if delivery.ack(BasicAckOptions::default()).await.is_err() {
                    break;
                }
            }
        }
        sleep(AGAIN).await;
    }
}

async fn subscribe(url: &str) -> lapin::Result<(Connection, Consumer)> {
    let properties = ConnectionProperties::default().with_connection_name("faults subscriber".into());
    let connection = Connection::connect(url, properties).await?;
    let channel = connection.create_channel().await?;
    declare(&channel).await?;
    channel.basic_qos(PREFETCH, BasicQosOptions::default()).await?;
    let (options, none) = (BasicConsumeOptions::default(), FieldTable::default());
    let consumer = channel.basic_consume(QUEUE.into(), "faults".into(), options, none).await?;
    Ok((connection, consumer))
}

async fn declare(channel: &Channel) -> lapin::Result<()> {
    let mut arguments = FieldTable::default();
    arguments.insert("x-queue-type".into(), AMQPValue::LongString("quorum".into()));
    channel.queue_declare(QUEUE.into(), QueueDeclareOptions::durable(), arguments).await?;
    let (options, none) = (QueueBindOptions::default(), FieldTable::default());
    channel.queue_bind(QUEUE.into(), EXCHANGE.into(), "#".into(), options, none).await
}

fn note(delivery: &Delivery, arrivals: &Mutex<Arrivals>) {
    let event = serde_json::from_slice::<CloudEvent>(&delivery.data);
    let arrival = event.ok().and_then(|event| Arrival::of(&event));
    let mut arrivals = arrivals.lock().unwrap_or_else(PoisonError::into_inner);
    match arrival {
        Some(arrival) if arrival.name == delivery.routing_key.as_str() => arrivals.note(arrival),
        _ => {
            let text = String::from_utf8_lossy(&delivery.data);
            arrivals.note_strange(format!("under the key {}: {text}", delivery.routing_key));
        }
    }
}
