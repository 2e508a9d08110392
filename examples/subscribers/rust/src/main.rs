//! Subscribes to the events of Portico and prints each once: its type, subject, sequence and id.
//!
//! `AMQP_URL` is that of the account `subscriber`; the arguments are names of events, `order.created` or `payment.*`.

use std::collections::{HashSet, VecDeque};
use std::error::Error;
use std::io::{Write, stderr, stdout};
use std::time::Duration;

use futures::StreamExt;
use lapin::options::{
    BasicAckOptions, BasicConsumeOptions, BasicQosOptions, QueueBindOptions, QueueDeclareOptions,
};
use lapin::types::FieldTable;
use lapin::{Connection, ConnectionProperties};
use serde_json::Value;

const EXCHANGE: &str = "portico.events";
/// Ours alone. It collects events while we are away, so delete it when you are done.
const QUEUE: &str = "subscriber.example-rust";

type Outcome<T = ()> = Result<T, Box<dyn Error>>;

#[tokio::main]
async fn main() -> Outcome {
    let url = std::env::var("AMQP_URL").map_err(|_| "AMQP_URL is not set")?;
    let names: Vec<String> = std::env::args().skip(1).collect();
    let mut seen = Seen::default();
    // A connection can always end. What was not acknowledged comes again.
    loop {
        if let Err(error) = subscribe(&url, &names, &mut seen).await {
            writeln!(stderr(), "{error}; trying again")?;
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

async fn subscribe(url: &str, names: &[String], seen: &mut Seen) -> Outcome {
    let connection = Connection::connect(url, ConnectionProperties::default()).await?;
    let channel = connection.create_channel().await?;
    channel.queue_declare(QUEUE.into(), QueueDeclareOptions::durable(), FieldTable::default()).await?;
    for name in names {
        let (options, arguments) = (QueueBindOptions::default(), FieldTable::default());
        channel.queue_bind(QUEUE.into(), EXCHANGE.into(), name.as_str().into(), options, arguments).await?;
    }
    channel.basic_qos(100, BasicQosOptions::default()).await?;
    let (options, arguments) = (BasicConsumeOptions::default(), FieldTable::default());
    let mut deliveries = channel.basic_consume(QUEUE.into(), "".into(), options, arguments).await?;
    while let Some(delivery) = deliveries.next().await {
        let delivery = delivery?;
        handle(&delivery.data, seen)?;
        // After the effect, not before: else a crash in between loses the event.
        delivery.ack(BasicAckOptions::default()).await?;
    }
    Err("the connection ended".into())
}

fn handle(message: &[u8], seen: &mut Seen) -> Outcome {
    let event: Value = serde_json::from_slice(message)?;
    let text = |field: &str| event[field].as_str().unwrap_or_default().to_owned();
    let id = text("id");
    if seen.contains(&id) {
        return Ok(());
    }
    writeln!(stdout(), "{} {} {} {id}", text("type"), text("subject"), text("sequence"))?;
    seen.insert(id);
    Ok(())
}

/// The last events that were handled: each may come twice. Whoever keeps a database remembers the ids there, in the
/// transaction of the effect.
#[derive(Default)]
struct Seen {
    ids: HashSet<String>,
    order: VecDeque<String>,
}

impl Seen {
    const REMEMBERED: usize = 10_000;

    fn contains(&self, id: &str) -> bool {
        self.ids.contains(id)
    }

    fn insert(&mut self, id: String) {
        self.order.push_back(id.clone());
        self.ids.insert(id);
        if self.order.len() > Self::REMEMBERED
            && let Some(oldest) = self.order.pop_front()
        {
            self.ids.remove(&oldest);
        }
    }
}
