//! What consumers get from RabbitMQ.
//!
//! - Each consumer has a channel, and handles a few messages at once. A message is acknowledged once its effect has
//!   committed, or once a confirmed copy of it lies where it waits for its next try or rests. So it comes twice at
//!   worst, which the inbox leaves out, and none holds up those behind it.
//! - While a consumer's database can't be reached, its messages are held: that is no fault of theirs.
//! - A channel that is lost takes no other consumer with it, and is opened again with growing delays.

mod aside;
mod message;

use std::{sync::Arc, time::Duration};

use chrono::Utc;
use futures::{StreamExt, TryStreamExt, future::join_all};
use lapin::{
    message::Delivery,
    options::{BasicAckOptions, BasicConsumeOptions, BasicQosOptions},
    types::FieldTable,
};
use runtime::{Stop, lifecycle::every, trace::within};
use tokio::time::{Instant, sleep};

pub(super) use self::aside::{FAILED_AT, KEY, REASON, TRIES, header};
use self::{
    aside::Aside,
    message::{Message, tries},
};
use super::{
    connection::{self, Address, Session},
    copy, topology,
};
use crate::{
    CloudEvent, Consumer, Failure, dead_letters,
    inbox::{self, Attempt},
    trace,
};

/// How many messages one consumer handles at once. Each holds a connection of the pool that also serves requests.
const AT_ONCE: usize = 4;
/// How many it has in hand: some more, so that it need not wait for the network between two.
const PREFETCH: u16 = 8;
/// The delay after a first failure to reach something; each later one is twice as long, up to [`LONGEST`].
const FIRST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_secs(5);
/// How long a message is held while its database is away. Then it goes back, once, and the queue is left alone until the
/// database answers: RabbitMQ takes it back by itself after 30 minutes, and each time counts for the delivery limit.
const HELD: Duration = Duration::from_secs(5 * 60);
/// How long what is being handled at the stop may take; then it goes back.
const DRAIN: Duration = Duration::from_secs(10);
const PRUNE: Duration = Duration::from_secs(10 * 60);

/// How a service's consumers reach RabbitMQ.
#[derive(Clone)]
pub(super) struct Ways {
    /// The connection on which they are handed messages.
    pub(super) consuming: Address,
    /// The one on which they lay messages aside. A broker with an alarm stops to read from connections that publish, and
    /// would get no acknowledgements either.
    pub(super) laying_aside: Address,
    /// After which delays a message that failed comes again.
    pub(super) delays: Arc<[Duration]>,
}

/// Hands events to these consumers until `stop`.
pub(super) async fn consume(ways: &Ways, consumers: Vec<Arc<dyn Consumer>>, stop: Stop) {
    if consumers.is_empty() {
        return stop.cancelled().await;
    }
    let stop = &stop;
    let lines: Vec<_> =
        consumers.iter().map(|consumer| Line { consumer: &**consumer, delays: &ways.delays, stop }).collect();
    let lines = &lines;
    let consuming = connection::keep(&ways.consuming, stop, |session| async move {
        connection::keep(&ways.laying_aside, stop, |copies| run_all(lines, session.clone(), copies)).await;
        Ok(())
    });
    let drained = async {
        stop.cancelled().await;
        sleep(DRAIN).await;
    };
    tokio::select! {
        () = consuming => {}
        () = every(PRUNE, Stop::new(), || prune(&consumers)) => {}
        () = drained => tracing::warn!("some events are still being handled: they come again"),
    }
}

async fn run_all(lines: &[Line<'_>], session: Session, copies: Session) -> lapin::Result<()> {
    join_all(lines.iter().map(|line| line.keep(&session, &copies))).await;
    Ok(())
}

async fn prune(consumers: &[Arc<dyn Consumer>]) {
    for consumer in consumers {
        if let Err(error) = inbox::prune(&**consumer, Utc::now()).await {
            tracing::warn!(consumer = consumer.name(), %error, "an inbox can't be pruned");
        }
    }
}

/// Why a consumer's channel ended.
#[derive(Debug, thiserror::Error)]
enum Ended {
    #[error(transparent)]
    Broker(#[from] lapin::Error),
    #[error("the queue was taken away")]
    Cancelled,
    #[error("a message could not be laid aside")]
    Refused,
    #[error("the consumer's database can't be asked: {0}")]
    Database(sqlx::Error),
}

/// One consumer.
struct Line<'a> {
    consumer: &'a dyn Consumer,
    delays: &'a [Duration],
    stop: &'a Stop,
}

impl Line<'_> {
    /// Consumes until the stop, on one channel after the other.
    async fn keep(&self, session: &Session, copies: &Session) {
        let mut delay = FIRST;
        while !self.stop.is_cancelled() {
            let began = Instant::now();
            let Err(error) = self.run(session, copies).await else { return };
            if !(session.connection.status().connected() && copies.connection.status().connected()) {
                // The channel went with its connection, which is told there. This future is dropped in a moment.
                return std::future::pending().await;
            }
            tracing::warn!(consumer = self.consumer.name(), %error, "a consumer lost its channel");
            if began.elapsed() > LONGEST {
                delay = FIRST;
            }
            self.pause(&mut delay).await;
        }
    }

    /// Consumes on one channel until the stop; what is being handled then is finished.
    async fn run(&self, session: &Session, copies: &Session) -> Result<(), Ended> {
        if !self.database_answers().await {
            return Ok(());
        }
        let name = self.consumer.name();
        let channel = session.connection.create_channel().await?;
        topology::declare(&channel, name, self.consumer.events(), self.delays).await?;
        let aside = Aside::open(&copies.connection, name).await?;
        channel.basic_qos(PREFETCH, BasicQosOptions::default()).await?;
        let (options, arguments) = (BasicConsumeOptions::default(), FieldTable::default());
        let deliveries = channel.basic_consume(name.into(), "".into(), options, arguments).await?;
        copies.ready();
        session.ready();
        deliveries
            .take_until(self.stop.cancelled())
            .map_err(Ended::from)
            .try_for_each_concurrent(AT_ONCE, |delivery| self.settle(&aside, delivery))
            .await?;
        if self.stop.is_cancelled() { Ok(()) } else { Err(Ended::Cancelled) }
    }

    /// Waits until the database answers; `false` when asked to stop before.
    async fn database_answers(&self) -> bool {
        let mut delay = FIRST;
        loop {
            match self.stop.run_until_cancelled(inbox::ask(self.consumer)).await {
                None => return false,
                Some(Ok(())) => return true,
                Some(Err(error)) => {
                    let consumer = self.consumer.name();
                    tracing::debug!(consumer, %error, "the consumer's database can't be asked");
                }
            }
            self.pause(&mut delay).await;
        }
    }

    async fn pause(&self, delay: &mut Duration) {
        self.stop.run_until_cancelled(sleep(delay.mul_f64(rand::random_range(0.5..=1.0)))).await;
        *delay = LONGEST.min(*delay * 2);
    }

    /// Brings one message to its end, and acknowledges it.
    async fn settle(&self, aside: &Aside, delivery: Delivery) -> Result<(), Ended> {
        let consumer = self.consumer.name();
        match message::read(&delivery, self.consumer.events()) {
            Message::Event(event) => {
                let work = async {
                    let Some(outcome) = self.handle(&event, tries(&delivery)).await? else {
                        return Ok(false);
                    };
                    self.follow(aside, &delivery, outcome, &event.id.to_string()).await?;
                    Ok::<_, Ended>(true)
                };
                let over = match copy::trace_of(&delivery.properties) {
                    Some(context) => {
                        Box::pin(within(trace::service_of(self.consumer), context, work)).await?
                    }
                    None => Box::pin(work).await?,
                };
                if !over {
                    return Ok(());
                }
            }
            Message::Unknown(kind) => {
                metrics::counter!("events_unknown_total", "consumer" => consumer).increment(1);
                tracing::debug!(consumer, kind, "an event of an unknown type is left out");
            }
            Message::Bad(reason) => {
                let id = message::id(&delivery);
                self.follow(aside, &delivery, Outcome::Dead { reason, tries: 1 }, &id).await?;
            }
        }
        delivery.ack(BasicAckOptions::default()).await?;
        Ok(())
    }

    async fn follow(
        &self,
        aside: &Aside,
        delivery: &Delivery,
        outcome: Outcome,
        id: &str,
    ) -> Result<(), Ended> {
        match outcome {
            Outcome::Done => {}
            Outcome::Again { reason, tries, delay } => {
                dead_letters::tell_retry(self.consumer.name(), id, tries, &reason);
                aside.put(delivery, &topology::retry_key(delay), &reason, tries).await?;
            }
            Outcome::Dead { reason, tries } => {
                aside.put(delivery, topology::DEAD, &reason, tries).await?;
                dead_letters::tell_death(self.consumer.name(), id, &reason);
            }
        }
        Ok(())
    }

    /// Handles an event that failed `tries` times before. `None` when the stop came while the database was away.
    async fn handle(&self, event: &CloudEvent, tries: u32) -> Result<Option<Outcome>, Ended> {
        let (since, mut delay) = (Instant::now(), FIRST);
        loop {
            let error = match inbox::attempt(self.consumer, event).await {
                Attempt::Done | Attempt::Repeated => return Ok(Some(Outcome::Done)),
                Attempt::Failed(failure) => return Ok(Some(self.judge(failure, tries + 1))),
                Attempt::Unreachable(error) => error,
            };
            if self.stop.is_cancelled() {
                return Ok(None);
            }
            if since.elapsed() > HELD {
                return Err(Ended::Database(error));
            }
            tracing::debug!(consumer = self.consumer.name(), %error, "the consumer's database can't be asked");
            self.pause(&mut delay).await;
        }
    }

    /// What becomes of an event that failed for the `tries`th time.
    fn judge(&self, failure: Failure, tries: u32) -> Outcome {
        let reason = match failure {
            Failure::Reject(reason) => return Outcome::Dead { reason, tries },
            Failure::Retry(reason) => reason,
        };
        match self.delays.get(tries as usize - 1) {
            Some(delay) => Outcome::Again { reason, tries, delay: *delay },
            None => Outcome::Dead { reason: format!("{reason} (tried {tries} times)"), tries },
        }
    }
}

/// What becomes of a message.
enum Outcome {
    Done,
    Again { reason: String, tries: u32, delay: Duration },
    Dead { reason: String, tries: u32 },
}
