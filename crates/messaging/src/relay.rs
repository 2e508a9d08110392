//! The relay: tells what waits in an outbox.
//!
//! - One relay leads per database, the others stand by. It looks and marks on the very connection whose advisory lock
//!   makes it the leader: one that loses the connection can do neither.
//! - It takes rows that are not yet published, in the order of their positions, many at a time, but tells an
//!   aggregate's next event only once the one before is told and marked. What is told together is marked together.
//! - It is woken in memory by [`Outbox::wake`], and by the relays of other processes, which pass on what wakes them.
//!   Looking every second is the net.
//! - A leader that dies between telling and marking tells again: consumers know a repeat by their inbox.

mod leader;
mod lines;
mod news;
mod upkeep;

use std::{convert::Infallible, time::Duration};

use runtime::Stop;
use tokio::{
    task::{JoinError, JoinSet},
    time::{Instant, MissedTickBehavior, error::Elapsed, interval, sleep, sleep_until, timeout},
};
use uuid::Uuid;

use self::{leader::Leader, lines::Lines};
use crate::{Broker, Outbox, bus::Patience, measure, store::Row, trace};

/// How often the outbox is looked at when nothing wakes the relay.
const POLL: Duration = Duration::from_secs(1);
/// How long one whose turn failed waits: longer than those who stand by, so that one of them gets its turn.
const AFTER_FAILURE: Duration = Duration::from_secs(2);
/// How long [`Outbox::relay_once`] waits for another relay to leave.
const FOR_THE_LEAD: Duration = Duration::from_secs(5);
/// How many rows one look takes at most. While there is room for fewer, it is not looked at once.
const LOOK: usize = 1_000;
/// How soon it is looked then: each look passes over all rows that are in hand.
const SOON: Duration = Duration::from_millis(10);

/// Why a relay stopped leading.
#[derive(Debug, thiserror::Error)]
pub enum RelayError {
    /// Another relay leads, and went on leading.
    #[error("another relay leads")]
    NotLeader,
    /// The outbox's database failed.
    #[error("the database of the outbox failed: {0}")]
    Database(#[from] sqlx::Error),
    /// The outbox's database did not answer.
    #[error("the database of the outbox did not answer in time")]
    Silent(#[from] Elapsed),
    /// A delivery ended without an outcome, which is a fault of the relay itself.
    #[error("a delivery broke down: {0}")]
    Broken(#[from] JoinError),
}

/// Relays `outbox` to `broker` until `stop`: leads when it can and stands by when another does. A database that is down,
/// at the start or later, is waited for. What is being handled at `stop` is rolled back, and told at the next start.
pub async fn run(outbox: Outbox, broker: Broker, stop: Stop) {
    let source = outbox.source;
    measure::leads(source, false);
    let mut said = None;
    while let Some(lead) = stop.run_until_cancelled(Box::pin(Leader::wait(&outbox))).await {
        match lead {
            Ok(leader) => {
                said = None;
                tracing::info!(source, "the relay leads");
                let Some(error) = lead_until_lost(leader, &outbox, &broker, &stop).await else { return };
                tracing::warn!(source, %error, "the relay lost the lead");
            }
            Err(error) => {
                let error = Some(error.to_string());
                if said != error {
                    tracing::warn!(source, error, "the relay can't lead yet");
                    said = error;
                }
            }
        }
        stop.run_until_cancelled(sleep(AFTER_FAILURE)).await;
    }
}

/// Leads. Answers why that ended; `None` when it was asked to stop.
async fn lead_until_lost(
    leader: Leader,
    outbox: &Outbox,
    broker: &Broker,
    stop: &Stop,
) -> Option<RelayError> {
    measure::leads(outbox.source, true);
    let mut turn = Turn::new(leader, outbox, broker, Patience::Wait);
    let lost = tokio::select! {
        lost = turn.go_on() => lost.err(),
        () = upkeep::keep(outbox, broker) => None,
        () = news::pass_on(outbox) => None,
        () = stop.cancelled() => None,
    };
    upkeep::forget(outbox);
    turn.end().await;
    lost
}

impl Outbox {
    /// Relays until nothing waits that can be told now; answers how many events were told. An event that a consumer
    /// wants to try again stays, with all later ones of its aggregate, for the next call. For tests, and for draining
    /// an outbox beside no running relay.
    ///
    /// # Errors
    /// When the database fails, or another relay leads for longer than 5 seconds.
    pub async fn relay_once(&self, broker: &Broker) -> Result<usize, RelayError> {
        let leader = timeout(FOR_THE_LEAD, Leader::wait(self)).await.map_err(|_| RelayError::NotLeader)??;
        let mut turn = Turn::new(leader, self, broker, Patience::Leave);
        let told = turn.drain().await;
        turn.end().await;
        told
    }
}

/// A leader's turn: what it has in hand. Dropping it ends all deliveries.
struct Turn<'a> {
    leader: Leader,
    outbox: &'a Outbox,
    broker: &'a Broker,
    patience: Patience,
    lines: Lines,
    deliveries: JoinSet<Delivery>,
    /// Whether the last look may have left rows behind that can be told once something in hand is.
    left_behind: bool,
    /// When to look again for what was left behind, once something in hand is told.
    soon: Option<Instant>,
}

/// The end of a delivery.
struct Delivery {
    id: Uuid,
    subject: Uuid,
    told: bool,
}

impl<'a> Turn<'a> {
    fn new(leader: Leader, outbox: &'a Outbox, broker: &'a Broker, patience: Patience) -> Self {
        let (lines, deliveries) = (Lines::default(), JoinSet::new());
        Self { leader, outbox, broker, patience, lines, deliveries, left_behind: false, soon: None }
    }

    /// Tells what comes until the lead is lost.
    async fn go_on(&mut self) -> Result<Infallible, RelayError> {
        let mut poll = interval(POLL);
        poll.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                // The permit is taken before the look: a commit during the look wakes us again.
                () = self.outbox.wake.notified() => self.look().await?,
                _ = poll.tick() => self.look().await?,
                () = sleep_until(self.soon.unwrap_or_else(Instant::now)), if self.soon.is_some() => self.look().await?,
                Some(first) = self.deliveries.join_next() => {
                    self.settle(first?).await?;
                    if self.left_behind && self.lines.room() >= LOOK {
                        self.look().await?;
                    } else if self.left_behind {
                        self.soon.get_or_insert_with(|| Instant::now() + SOON);
                    }
                }
            }
        }
    }

    /// Tells what can be told now, and what follows from it; answers how many.
    async fn drain(&mut self) -> Result<usize, RelayError> {
        let mut all = 0;
        loop {
            let before = all;
            self.look().await?;
            while let Some(first) = self.deliveries.join_next().await {
                all += self.settle(first?).await?;
            }
            if all == before {
                return Ok(all);
            }
        }
    }

    /// Takes rows that wait, as many as there is room for, and begins to tell the first of each aggregate. It asks
    /// the database even without room: that is how a leader learns that it is one no more.
    async fn look(&mut self) -> Result<(), RelayError> {
        self.soon = None;
        let limit = LOOK.min(self.lines.room());
        let busy = self.lines.busy();
        let rows = self.leader.unpublished(&busy, limit).await?;
        self.left_behind = rows.len() == limit || !busy.is_empty();
        for first in self.lines.add(rows) {
            self.deliver(first);
        }
        Ok(())
    }

    fn deliver(&mut self, row: Row) {
        let (id, subject, patience) = (row.id, row.subject, self.patience);
        let event = row.into_event(self.outbox.source);
        let broker = self.broker.clone();
        let span = trace::telling(self.outbox.source, &broker, &event);
        self.deliveries.spawn(async move {
            let told = span.around(broker.tell(event, patience)).await;
            span.end();
            Delivery { id, subject, told }
        });
    }

    /// Marks what was told, `first` and whatever else is by now, and begins to tell what comes next to it. What was
    /// not told keeps its aggregate busy.
    async fn settle(&mut self, first: Delivery) -> Result<usize, RelayError> {
        let mut ended = vec![first];
        while let Some(next) = self.deliveries.try_join_next() {
            ended.push(next?);
        }
        ended.retain(|delivery| delivery.told);
        let ids: Vec<_> = ended.iter().map(|delivery| delivery.id).collect();
        self.leader.mark(&ids).await?;
        metrics::counter!("messaging_client_sent_messages_total", "source" => self.outbox.source)
            .increment(ids.len() as u64);
        for delivery in ended {
            if let Some(next) = self.lines.next(delivery.subject) {
                self.deliver(next);
            }
        }
        Ok(ids.len())
    }

    /// Ends what is under way and hands the lead on.
    async fn end(mut self) {
        self.deliveries.shutdown().await;
        self.leader.resign().await;
    }
}
