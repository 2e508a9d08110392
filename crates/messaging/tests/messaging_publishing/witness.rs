//! One who hears what reaches RabbitMQ, through a queue and a connection of its own.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
};

use futures::StreamExt;
use lapin::{
    Connection, ConnectionProperties, ExchangeKind,
    message::Delivery,
    options::{BasicConsumeOptions, ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions},
    types::FieldTable,
};
use messaging::{CloudEvent, topology};
use uuid::Uuid;

pub(crate) struct Witness {
    heard: Arc<Mutex<Vec<Delivery>>>,
    _connection: Connection,
}

impl Witness {
    pub(crate) async fn new(url: &str, names: &[&str]) -> Self {
        let connection = Connection::connect(url, ConnectionProperties::default()).await.unwrap();
        let channel = connection.create_channel().await.unwrap();
        let durable = ExchangeDeclareOptions { durable: true, ..Default::default() };
        let none = FieldTable::default;
        channel
            .exchange_declare(topology::EXCHANGE.into(), ExchangeKind::Topic, durable, none())
            .await
            .unwrap();
        let own = QueueDeclareOptions { exclusive: true, ..Default::default() };
        let queue = channel.queue_declare("".into(), own, none()).await.unwrap().name().clone();
        for name in names {
            let options = QueueBindOptions::default();
            channel
                .queue_bind(queue.clone(), topology::EXCHANGE.into(), (*name).into(), options, none())
                .await
                .unwrap();
        }
        let options = BasicConsumeOptions { no_ack: true, ..Default::default() };
        let mut deliveries = channel.basic_consume(queue, "".into(), options, none()).await.unwrap();
        let heard = Arc::<Mutex<Vec<Delivery>>>::default();
        let all = heard.clone();
        tokio::spawn(async move {
            while let Some(Ok(delivery)) = deliveries.next().await {
                all.lock().unwrap().push(delivery);
            }
        });
        Self { heard, _connection: connection }
    }

    pub(crate) fn count(&self) -> usize {
        self.heard.lock().unwrap().len()
    }

    /// Takes what was heard so far, as it came.
    pub(crate) fn take(&self) -> Vec<Delivery> {
        std::mem::take(&mut *self.heard.lock().unwrap())
    }

    pub(crate) fn events(&self) -> Vec<CloudEvent> {
        let heard = self.heard.lock().unwrap();
        heard.iter().map(|delivery| serde_json::from_slice(&delivery.data).unwrap()).collect()
    }

    /// The sequences of each aggregate, in the order in which they came.
    pub(crate) fn sequences(&self) -> HashMap<Uuid, Vec<i64>> {
        let mut sequences = HashMap::<_, Vec<_>>::new();
        for event in self.events() {
            sequences.entry(event.subject).or_default().push(event.sequence().unwrap());
        }
        sequences
    }
}
