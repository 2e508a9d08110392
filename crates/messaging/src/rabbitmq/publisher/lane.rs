//! A channel that publishes, one batch at a time.
//!
//! lapin hands a returned message to whichever confirm comes next on the channel. RabbitMQ returns a message before it
//! confirms it, so when all confirms of a batch are there, all returned messages of it are too, and are known by their id.

use std::{collections::HashSet, time::Duration};

use futures::{StreamExt, stream::FuturesUnordered};
use lapin::{
    Channel, Confirmation, Connection,
    options::{BasicPublishOptions, ConfirmSelectOptions},
    types::ShortString,
};
use tokio::time::timeout;

use super::{
    desk::{Batch, Desk, Trouble},
    letter::Letter,
};
use crate::topology;

/// How long nothing may be confirmed, such as by a queue that lost its majority, before what is left of a batch is
/// published one by one.
const CONFIRM: Duration = Duration::from_secs(30);

pub(super) struct Lane<'a> {
    connection: &'a Connection,
    desk: &'a Desk,
    channel: Channel,
}

/// What RabbitMQ said to each letter of a batch; nothing when the channel closed before, or it took too long.
struct Answers {
    confirmed: Vec<Option<bool>>,
    returned: HashSet<ShortString>,
    /// Why not all are confirmed.
    failed: Option<String>,
}

impl<'a> Lane<'a> {
    pub(super) async fn open(connection: &'a Connection, desk: &'a Desk) -> lapin::Result<Self> {
        Ok(Self { connection, desk, channel: channel(connection).await? })
    }

    /// Publishes until the connection fails.
    pub(super) async fn publish_many(mut self) -> lapin::Result<()> {
        loop {
            let batch = self.desk.batch().await;
            self.publish(batch).await?;
        }
    }

    /// Publishes each suspect alone, until the connection fails.
    pub(super) async fn publish_one_by_one(mut self) -> lapin::Result<()> {
        loop {
            let batch = self.desk.suspect().await;
            self.publish(batch).await?;
        }
    }

    /// Publishes a batch and answers for it. An error is one of the connection.
    async fn publish(&mut self, mut batch: Batch<'_>) -> lapin::Result<()> {
        let answers = self.send(&batch.letters).await;
        if !self.connection.status().connected() {
            // No letter's fault. Dropping the batch puts all back, also those that were confirmed but may have been
            // returned: the return could be the one that was lost.
            return Err(lapin::ErrorKind::InvalidConnectionState(lapin::ConnectionState::Error).into());
        }
        let alone = batch.letters.len() == 1;
        for (letter, confirmed) in batch.letters.drain(..).zip(answers.confirmed) {
            let returned = letter.id().is_some_and(|id| answers.returned.contains(id));
            match (confirmed, &answers.failed) {
                (Some(true), _) if returned => self.desk.not_taken(letter, Trouble::Returned),
                (Some(true), None) => self.desk.told(letter),
                (Some(true), Some(_)) if !letter.mandatory => self.desk.told(letter),
                (Some(false), _) => self.desk.not_taken(letter, Trouble::Nacked),
                (None, Some(reason)) if alone => self.desk.not_taken(letter, Trouble::Refused(reason)),
                // A mandatory one that was confirmed may have been returned, on a channel that is gone.
                (Some(true) | None, _) => self.desk.suspicious(letter),
            }
        }
        if answers.failed.is_some() {
            self.channel = channel(self.connection).await?;
        }
        Ok(())
    }

    async fn send(&self, letters: &[Letter]) -> Answers {
        let mut answers =
            Answers { confirmed: vec![None; letters.len()], returned: HashSet::new(), failed: None };
        let mut confirms: FuturesUnordered<_> = letters
            .iter()
            .enumerate()
            .map(|(i, letter)| async move { (i, self.send_one(letter).await) })
            .collect();
        loop {
            match timeout(CONFIRM, confirms.next()).await {
                Ok(Some((i, Ok(confirmation)))) => {
                    if let Some(confirmed) = answers.confirmed.get_mut(i) {
                        *confirmed = Some(confirmation.is_ack());
                    }
                    let returned = confirmation.take_message();
                    answers.returned.extend(
                        returned.and_then(|message| message.delivery.properties.message_id().clone()),
                    );
                }
                Ok(Some((_, Err(error)))) => {
                    // The first is the reason, those that follow are what it leads to.
                    answers.failed.get_or_insert_with(|| error.to_string());
                }
                Ok(None) => return answers,
                // One that takes nothing for now says when it does again.
                Err(_elapsed) if self.connection.status().blocked() => {}
                Err(_elapsed) => {
                    answers.failed = Some(format!("not confirmed within {CONFIRM:?}"));
                    return answers;
                }
            }
        }
    }

    async fn send_one(&self, letter: &Letter) -> lapin::Result<Confirmation> {
        let options = BasicPublishOptions { mandatory: letter.mandatory, ..Default::default() };
        let (exchange, key) = (topology::EXCHANGE.into(), letter.name.as_str().into());
        self.channel
            .basic_publish(exchange, key, options, &letter.body, letter.properties.clone())
            .await?
            .await
    }
}

async fn channel(connection: &Connection) -> lapin::Result<Channel> {
    let channel = connection.create_channel().await?;
    topology::declare_exchange(&channel).await?;
    channel.confirm_select(ConfirmSelectOptions::default()).await?;
    Ok(channel)
}
