//! The dead letters in RabbitMQ: by AMQP alone, as any account can that may read the queues.
//!
//! A dead letter is taken by `basic.get` and stays unacknowledged until it is decided: one that is redriven is published
//! again and confirmed, and only then acknowledged; one that is only looked at goes back with the channel's end. So an
//! interruption loses nothing, and what comes meanwhile is left for the next time.

mod letter;

use std::time::Duration;

use lapin::{
    Channel, Confirmation, ErrorKind,
    message::BasicGetMessage,
    options::{
        BasicAckOptions, BasicGetOptions, BasicPublishOptions, ConfirmSelectOptions, QueueDeclareOptions,
    },
    protocol::{AMQPErrorKind, AMQPSoftError},
    types::FieldTable,
};

use super::{
    connection::{self, Address, Session},
    consumer::{KEY, header},
    copy, topology,
};
use crate::{
    BrokerConfig,
    dead_letters::{DeadLetter, Error, Which},
};

/// How long what goes back to a queue is waited for. Longer, and somebody else took it meanwhile.
const BACK_WITHIN: Duration = Duration::from_secs(2);
/// How often is looked whether it is back.
const LOOK: Duration = Duration::from_millis(20);

/// The way to them. Each call connects anew.
pub(crate) struct DeadLetters {
    address: Address,
}

/// What is done with those that are meant.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Act {
    Look,
    Redrive,
    Delete,
}

impl DeadLetters {
    pub(crate) fn new(config: &BrokerConfig) -> anyhow::Result<Self> {
        let address = Address::new(config, "dead letters".to_owned())?;
        Ok(Self { address })
    }

    pub(crate) async fn list(&self, which: &Which, limit: usize) -> Result<Vec<DeadLetter>, Error> {
        self.walk(which, Act::Look, limit).await
    }

    pub(crate) async fn redrive(&self, which: &Which) -> Result<u64, Error> {
        Ok(self.walk(which, Act::Redrive, usize::MAX).await?.len() as u64)
    }

    pub(crate) async fn delete(&self, which: &Which) -> Result<u64, Error> {
        Ok(self.walk(which, Act::Delete, usize::MAX).await?.len() as u64)
    }

    /// Does it with at most `limit` of each consumer; answers with which.
    async fn walk(&self, which: &Which, act: Act, limit: usize) -> Result<Vec<DeadLetter>, Error> {
        let session = connection::open(&self.address).await.map_err(broker)?;
        let consumers = match &which.consumer {
            Some(consumer) => vec![consumer.as_str()],
            None => topology::QUEUES.iter().map(|queue| queue.consumer).collect(),
        };
        let mut found = Vec::new();
        for consumer in consumers {
            found.extend(Walk::new(&session, consumer, act, limit).await?.all(which).await?);
        }
        connection::close(&session.connection).await;
        Ok(found)
    }
}

/// The way through one consumer's dead letters.
struct Walk<'a> {
    session: &'a Session,
    channel: Channel,
    consumer: &'a str,
    act: Act,
    limit: usize,
    /// How many there were at the start. One that is redriven and fails again is not met twice.
    there: u32,
}

impl<'a> Walk<'a> {
    async fn new(session: &'a Session, consumer: &'a str, act: Act, limit: usize) -> Result<Self, Error> {
        let channel = session.connection.create_channel().await.map_err(broker)?;
        let there = waiting(&channel, consumer).await?;
        Ok(Self { session, channel, consumer, act, limit, there })
    }

    async fn all(self, which: &Which) -> Result<Vec<DeadLetter>, Error> {
        let mut found = Vec::new();
        if self.there == 0 {
            return Ok(found);
        }
        self.channel.confirm_select(ConfirmSelectOptions::default()).await.map_err(broker)?;
        let queue = topology::dead_queue(self.consumer);
        for _ in 0..self.there {
            if found.len() == self.limit {
                break;
            }
            let got = self.channel.basic_get(queue.as_str().into(), BasicGetOptions::default()).await;
            let Some(got) = got.map_err(broker)? else { break };
            let letter = letter::read(self.consumer, &got);
            if which.id.as_ref().is_none_or(|id| *id == letter.id) {
                self.decide(&got).await?;
                found.push(letter);
            }
        }
        // What was not acknowledged goes back to its place.
        self.channel.close(200, "OK".into()).await.map_err(broker)?;
        let gone = if self.act == Act::Look { 0 } else { found.len() };
        let left = self.there.saturating_sub(u32::try_from(gone).unwrap_or(u32::MAX));
        let _ = tokio::time::timeout(BACK_WITHIN, self.until_there_are(left)).await;
        Ok(found)
    }

    /// Waits until as many are in the queue again as were not taken for good, which a quorum queue does not wait for when a
    /// channel ends: who looks once more would find none.
    async fn until_there_are(&self, left: u32) -> Result<(), Error> {
        let channel = self.session.connection.create_channel().await.map_err(broker)?;
        while waiting(&channel, self.consumer).await? < left {
            tokio::time::sleep(LOOK).await;
        }
        Ok(())
    }

    async fn decide(&self, got: &BasicGetMessage) -> Result<(), Error> {
        match self.act {
            Act::Look => return Ok(()),
            Act::Redrive => self.publish(got).await?,
            Act::Delete => {}
        }
        got.ack(BasicAckOptions::default()).await.map_err(broker)?;
        Ok(())
    }

    /// To the consumer alone, as at the first try.
    async fn publish(&self, got: &BasicGetMessage) -> Result<(), Error> {
        let mut headers = FieldTable::default();
        if let Some(key) = header(&got.properties, KEY) {
            headers.insert(KEY.into(), key.clone());
        }
        let confirmed = self
            .channel
            .basic_publish(
                self.consumer.into(),
                topology::WORK.into(),
                BasicPublishOptions { mandatory: true, ..Default::default() },
                &got.data,
                copy::properties(&got.properties, headers),
            )
            .await
            .map_err(broker)?
            .await
            .map_err(broker)?;
        match confirmed {
            Confirmation::Ack(None) => Ok(()),
            _ => Err(Error::NotTaken(self.consumer.to_owned())),
        }
    }
}

/// How many dead letters of a consumer are there to be taken.
async fn waiting(channel: &Channel, consumer: &str) -> Result<u32, Error> {
    let passive = QueueDeclareOptions::default().passive();
    let queue = topology::dead_queue(consumer).as_str().into();
    match channel.queue_declare(queue, passive, FieldTable::default()).await {
        Ok(queue) => Ok(queue.message_count()),
        // The consumer has never run here.
        Err(error) if is_missing(&error) => Ok(0),
        Err(error) => Err(broker(error)),
    }
}

fn broker(error: impl Into<anyhow::Error>) -> Error {
    Error::Broker(error.into())
}

fn is_missing(error: &lapin::Error) -> bool {
    matches!(error.kind(), ErrorKind::ProtocolError(error)
        if *error.kind() == AMQPErrorKind::Soft(AMQPSoftError::NOTFOUND))
}
