//! The in-process bus: hands events to the consumers of this process, again and again until each has settled them.

mod redrive;

use std::{sync::Arc, time::Duration};

use chrono::{DateTime, Utc};
use futures::future::join_all;
use runtime::Faults;
use tokio::sync::{Semaphore, broadcast, broadcast::error::RecvError, mpsc};

use crate::{
    CloudEvent, Consumer, Failure, Heard, Listener,
    dead_letters::{self, store},
    inbox::{self, Attempt},
    measure,
};

/// How many events one consumer handles at once. Each holds a connection of the pool that also serves requests.
const AT_ONCE: usize = 4;
/// How many events a listener may be behind before it misses some.
const LIVE: usize = 1024;

/// How often, and after which delays, an event that a consumer could not handle comes again.
#[derive(Clone, Copy, Debug)]
pub struct Retries {
    /// After how many failed tries it rests as a dead letter. A consumer's database that can't be reached fails no
    /// try: that is no fault of the event.
    pub tries: u32,
    /// The delay after the first failed try; each later one is twice as long.
    pub first: Duration,
    /// The longest delay.
    pub longest: Duration,
}

impl Default for Retries {
    /// Ten tries within about a minute.
    fn default() -> Self {
        Self { tries: 10, first: Duration::from_millis(100), longest: Duration::from_secs(30) }
    }
}

/// Whether one who tells an event waits for a consumer that wants to try again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Patience {
    /// Until the event is settled.
    Wait,
    /// One try, now.
    Leave,
}

/// The in-process bus. Clones are the same bus: what one process's relays tell goes to the same consumers.
#[derive(Clone)]
pub struct Bus {
    subscriptions: Arc<[Subscription]>,
    retries: Retries,
    live: broadcast::Sender<Arc<CloudEvent>>,
    /// Of who tells and listens through this clone.
    faults: Faults,
}

struct Subscription {
    consumer: Arc<dyn Consumer>,
    /// Held while an event is handled, not while it waits for its next try: events that fail hold up no others.
    slots: Semaphore,
}

impl Bus {
    /// A bus to these consumers, with the default [`Retries`]. Their names differ: inbox rows are known by them.
    pub fn new(consumers: Vec<Arc<dyn Consumer>>) -> Self {
        runtime::measure::describe(measure::METRICS);
        let subscribe = |consumer| Subscription { consumer, slots: Semaphore::new(AT_ONCE) };
        let (live, _) = broadcast::channel(LIVE);
        Self {
            subscriptions: consumers.into_iter().map(subscribe).collect(),
            retries: Retries::default(),
            live,
            faults: Faults::none(),
        }
    }

    /// The same bus for a service with these switches: "broker down" stops what it tells and hears.
    pub(crate) fn with_faults(mut self, faults: &Faults) -> Self {
        self.faults = faults.clone();
        self
    }

    /// The same bus with other retries.
    #[must_use]
    pub fn retrying(mut self, retries: Retries) -> Self {
        self.retries = retries;
        self
    }

    /// Deletes the inbox rows of this bus's consumers that are older than 30 days at `now`. Answers how many.
    ///
    /// # Errors
    /// When a consumer's database fails.
    pub async fn prune(&self, now: DateTime<Utc>) -> Result<u64, sqlx::Error> {
        let mut pruned = 0;
        for Subscription { consumer, .. } in self.subscriptions.iter() {
            pruned += inbox::prune(&**consumer, now).await?;
        }
        Ok(pruned)
    }

    pub(crate) fn listen(&self, names: &[&'static str]) -> Listener {
        let (names, mut live) = (names.to_vec(), self.live.subscribe());
        let (faults, (sender, heard)) = (self.faults.clone(), mpsc::channel(1));
        tokio::spawn(async move {
            let mut next = Heard::Anew;
            while sender.send(next).await.is_ok() {
                next = loop {
                    match live.recv().await {
                        Ok(_) if faults.is_broker_down() => {
                            faults.until(|fault| !fault.broker_down).await;
                            live = live.resubscribe();
                            break Heard::Anew;
                        }
                        Ok(event) if event.name().is_some_and(|name| names.contains(&name)) => {
                            break Heard::Event(event);
                        }
                        Ok(_) => {}
                        Err(RecvError::Lagged(_)) => break Heard::Anew,
                        Err(RecvError::Closed) => return,
                    }
                };
            }
        });
        Listener { heard }
    }

    /// Hands an event to all consumers that want it. `true` once each has committed its effect or laid the event to
    /// rest, which is at once when nobody wants it; `false` only without patience.
    pub(crate) async fn tell(&self, event: &CloudEvent, patience: Patience) -> bool {
        if !is_up(&self.faults, patience).await {
            return false;
        }
        if self.live.receiver_count() > 0 {
            // Without a listener any more, nobody misses it.
            let _ = self.live.send(Arc::new(event.clone()));
        }
        let wants =
            |one: &&Subscription| event.name().is_some_and(|name| one.consumer.events().contains(&name));
        let deliveries =
            self.subscriptions.iter().filter(wants).map(|one| one.deliver(event, self.retries, patience));
        join_all(deliveries).await.into_iter().all(|settled| settled)
    }
}

/// Waits until no switch says that the broker is down; `false` only without patience.
async fn is_up(faults: &Faults, patience: Patience) -> bool {
    if !faults.is_broker_down() {
        return true;
    }
    if patience == Patience::Wait {
        faults.until(|fault| !fault.broker_down).await;
    }
    patience == Patience::Wait
}

impl Subscription {
    async fn deliver(&self, event: &CloudEvent, retries: Retries, patience: Patience) -> bool {
        let mut failed = 0;
        let mut delay = retries.first;
        loop {
            if !is_up(&self.consumer.faults(), patience).await {
                return false;
            }
            let settled = match self.attempt(event).await {
                Attempt::Done | Attempt::Repeated => true,
                Attempt::Unreachable(error) => {
                    tracing::debug!(consumer = self.consumer.name(), %error, "the consumer's database can't be asked");
                    false
                }
                Attempt::Failed(Failure::Reject(reason)) => self.bury(event, &reason, failed + 1).await,
                Attempt::Failed(Failure::Retry(reason)) => {
                    failed += 1;
                    self.retry_or_bury(event, &reason, failed, retries.tries).await
                }
            };
            if settled || patience == Patience::Leave {
                return settled;
            }
            tokio::time::sleep(delay).await;
            delay = retries.longest.min(delay * 2);
        }
    }

    async fn attempt(&self, event: &CloudEvent) -> Attempt {
        // Nobody closes it; were it closed, handling without a bound would still be right.
        let _slot = self.slots.acquire().await;
        inbox::attempt(&*self.consumer, event).await
    }

    async fn retry_or_bury(&self, event: &CloudEvent, reason: &str, failed: u32, tries: u32) -> bool {
        if failed >= tries {
            return self.bury(event, &format!("{reason} (tried {failed} times)"), failed).await;
        }
        dead_letters::tell_retry(self.consumer.name(), &event.id.to_string(), failed, reason);
        false
    }

    /// Whether the event was laid to rest; when its database fails, the next try will.
    async fn bury(&self, event: &CloudEvent, reason: &str, tries: u32) -> bool {
        let consumer = self.consumer.name();
        if let Err(error) = store::bury(self.consumer.pool(), consumer, event, reason, tries).await {
            tracing::warn!(consumer, event = %event.id, %error, "a dead letter can't be written yet");
            return false;
        }
        dead_letters::tell_death(consumer, &event.id.to_string(), reason);
        true
    }
}
