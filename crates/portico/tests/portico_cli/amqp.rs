//! What a client of RabbitMQ may do, tried out.

use futures::StreamExt;
use lapin::options::{
    BasicConsumeOptions, BasicGetOptions, BasicPublishOptions, ConfirmSelectOptions, ExchangeDeclareOptions,
    QueueBindOptions, QueueDeclareOptions,
};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{BasicProperties, Channel, Confirmation, Connection, ConnectionProperties, ExchangeKind};
use messaging::topology::EXCHANGE;

/// A client that is logged in.
pub(crate) struct Client(Connection);

impl Client {
    pub(crate) async fn of(url: &str) -> Self {
        Self::try_of(url).await.unwrap()
    }

    pub(crate) async fn try_of(url: &str) -> lapin::Result<Self> {
        Connection::connect(url, ConnectionProperties::default()).await.map(Self)
    }

    /// A new channel, since RabbitMQ closes one on which something was refused.
    async fn channel(&self) -> Channel {
        self.0.create_channel().await.unwrap()
    }

    /// Publishes and waits for RabbitMQ's word.
    pub(crate) async fn publish(&self, exchange: &str, key: &str) -> lapin::Result<()> {
        let channel = self.channel().await;
        channel.confirm_select(ConfirmSelectOptions::default()).await?;
        let properties = BasicProperties::default().with_delivery_mode(2);
        let options = BasicPublishOptions::default();
        let confirm = channel.basic_publish(exchange.into(), key.into(), options, b"{}", properties).await?;
        assert!(matches!(confirm.await?, Confirmation::Ack(_)));
        Ok(())
    }

    /// Declares the exchange of all events, as whoever comes first does.
    pub(crate) async fn declare_exchange(&self) -> lapin::Result<()> {
        let options = ExchangeDeclareOptions { durable: true, ..Default::default() };
        let channel = self.channel().await;
        channel.exchange_declare(EXCHANGE.into(), ExchangeKind::Topic, options, FieldTable::default()).await
    }

    /// Declares a durable quorum queue.
    pub(crate) async fn declare(&self, queue: &str) -> lapin::Result<()> {
        let mut arguments = FieldTable::default();
        arguments.insert("x-queue-type".into(), AMQPValue::LongString("quorum".into()));
        self.channel().await.queue_declare(queue.into(), QueueDeclareOptions::durable(), arguments).await?;
        Ok(())
    }

    pub(crate) async fn bind(&self, queue: &str, key: &str) -> lapin::Result<()> {
        let (options, arguments) = (QueueBindOptions::default(), FieldTable::default());
        self.channel().await.queue_bind(queue.into(), EXCHANGE.into(), key.into(), options, arguments).await
    }

    /// Waits for the next message of a queue, and leaves it there.
    pub(crate) async fn next_key(&self, queue: &str) -> lapin::Result<String> {
        let (options, arguments) = (BasicConsumeOptions::default(), FieldTable::default());
        let channel = self.channel().await;
        let mut consumer = channel.basic_consume(queue.into(), "".into(), options, arguments).await?;
        Ok(consumer.next().await.unwrap()?.routing_key.to_string())
    }

    /// Whether a queue holds something.
    pub(crate) async fn holds_something(&self, queue: &str) -> bool {
        let got = self.channel().await.basic_get(queue.into(), BasicGetOptions::default()).await;
        got.unwrap().is_some()
    }
}

/// Asserts that RabbitMQ refused by its 403.
pub(crate) fn assert_refused<T>(outcome: lapin::Result<T>) {
    let Err(error) = outcome else { panic!("it was allowed") };
    assert!(
        error.to_string().contains("ACCESS_REFUSED") || error.to_string().contains("ACCESS-REFUSED"),
        "{error}"
    );
}
