//! The faults: which, in which order, with which pauses. All of that comes from the seed; when exactly each strikes is up
//! to the machine.

mod relay;

use std::{
    collections::BTreeMap,
    fmt,
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use portico::{progress::Progress, state::State};
use rand::{
    RngExt, SeedableRng,
    rngs::StdRng,
    seq::{IndexedRandom, SliceRandom},
};
use tokio::time::sleep;
use uuid::Uuid;

use crate::{
    backends::Backends,
    fleet::{Fleet, GATEWAY, Size},
    proxy::Way,
    subscriber::Subscriber,
};

/// What is done to the system.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    /// The relay that leads is killed after RabbitMQ has its events, and before they are marked as told.
    RelayKilled,
    /// A service's process is killed at any moment.
    ServiceKilled,
    /// The gateway is.
    GatewayKilled,
    /// A connection to RabbitMQ is cut half-way through a frame.
    ConnectionCut,
    /// RabbitMQ is stopped in good order.
    BrokerStopped,
    /// RabbitMQ is killed, and while it is down, all replicas of a service.
    BrokerKilled,
    /// Postgres is stopped, fast: transactions under way are rolled back.
    DatabaseStopped,
    /// Postgres is stopped, immediately: it recovers when it starts.
    DatabaseStoppedAtOnce,
    /// Postgres is killed.
    DatabaseKilled,
}

/// All of them. The relay's is there twice: it is what loses events where it is done wrong.
const DECK: [Kind; 10] = [
    Kind::RelayKilled,
    Kind::RelayKilled,
    Kind::ServiceKilled,
    Kind::GatewayKilled,
    Kind::ConnectionCut,
    Kind::BrokerStopped,
    Kind::BrokerKilled,
    Kind::DatabaseStopped,
    Kind::DatabaseStoppedAtOnce,
    Kind::DatabaseKilled,
];

/// How many processes it is done to.
pub(crate) const SIZE: Size = Size { user: 1, others: 2, gateways: 1 };
/// How long something is down, and how long nothing is done after it is up again, in milliseconds.
const DOWN: std::ops::Range<u64> = 100..3_000;
const PAUSE: std::ops::Range<u64> = 200..2_500;
/// How long a frame to cut is waited for.
const FOR_A_FRAME: Duration = Duration::from_secs(10);

/// What was done.
#[derive(Default)]
pub(crate) struct Done {
    /// How often each fault struck.
    pub(crate) times: BTreeMap<Kind, u32>,
    /// The events that RabbitMQ had and that were not marked when their relay was killed: they must come again.
    pub(crate) unmarked: Vec<Uuid>,
    /// One line for each, with the time.
    pub(crate) timeline: Vec<String>,
    /// The processes that others took over from.
    pub(crate) replaced: Vec<String>,
}

/// Does it.
pub(crate) struct Faults<'a> {
    pub(crate) state: &'a State,
    pub(crate) progress: &'a Progress,
    pub(crate) backends: &'a mut Backends,
    pub(crate) fleet: &'a mut Fleet,
    pub(crate) subscriber: &'a Subscriber,
    /// Deals the faults.
    dealer: StdRng,
    /// Of the fault that strikes: what one of them draws depends on how it went, and must not change the next.
    rng: StdRng,
    begun: Instant,
    done: Done,
}

impl<'a> Faults<'a> {
    /// Faults from `seed`.
    pub(crate) fn new(
        seed: u64,
        (state, progress): (&'a State, &'a Progress),
        backends: &'a mut Backends,
        fleet: &'a mut Fleet,
        subscriber: &'a Subscriber,
    ) -> Self {
        let (mut dealer, begun, done) = (StdRng::seed_from_u64(seed), Instant::now(), Done::default());
        let rng = StdRng::from_rng(&mut dealer);
        Self { state, progress, backends, fleet, subscriber, dealer, rng, begun, done }
    }

    /// One after the other for `time`, and each kind at least once. Afterwards everything runs.
    ///
    /// # Errors
    /// When something does not start again or ends by itself.
    pub(crate) async fn strike(mut self, time: Duration) -> Result<Done> {
        let mut deck = self.shuffled();
        loop {
            let over = self.begun.elapsed() > time;
            if over && Kind::all().iter().all(|kind| self.struck(*kind)) {
                break;
            }
            let Some(kind) = deck.pop() else {
                deck = self.shuffled();
                continue;
            };
            if over && self.struck(kind) {
                continue;
            }
            self.rng = StdRng::from_rng(&mut self.dealer);
            self.pause(PAUSE).await;
            let (since, outcome) = (self.begun.elapsed(), self.strike_once(kind).await);
            let how = outcome.with_context(|| format!("{kind} at {:.1} s", since.as_secs_f64()))?;
            self.note(kind, since, how);
        }
        self.fleet.until_ready().await?;
        Ok(self.done)
    }

    fn struck(&self, kind: Kind) -> bool {
        self.done.times.contains_key(&kind)
    }

    fn shuffled(&mut self) -> Vec<Kind> {
        let mut deck = DECK.to_vec();
        deck.shuffle(&mut self.dealer);
        deck
    }

    fn note(&mut self, kind: Kind, since: Duration, how: Option<String>) {
        if how.is_some() {
            *self.done.times.entry(kind).or_default() += 1;
        }
        let how = how.unwrap_or_else(|| "it did not come to it".to_owned());
        let took = self.begun.elapsed().saturating_sub(since).as_secs_f64();
        let line = format!("{:6.1} s  {kind}: {how} ({took:.1} s)", since.as_secs_f64());
        self.progress.note(&line);
        self.done.timeline.push(line);
    }

    /// Tells what was done; `None` when there was nothing to do it to.
    async fn strike_once(&mut self, kind: Kind) -> Result<Option<String>> {
        match kind {
            Kind::RelayKilled => {
                let service = if self.rng.random() { "order" } else { "payment" };
                relay::kill_between_publish_and_mark(self, service).await
            }
            Kind::ServiceKilled => self.kill_a_service().await.map(Some),
            Kind::GatewayKilled => self.kill_process(GATEWAY).await.map(Some),
            Kind::ConnectionCut => Ok(self.cut().await),
            Kind::BrokerStopped => {
                self.backends.rabbitmq.halt(self.state).await?;
                let with_it = self.sometimes_one();
                let how = self.while_down(with_it).await?;
                self.backends.rabbitmq.resume(self.state).await?;
                Ok(Some(how))
            }
            Kind::BrokerKilled => {
                self.backends.rabbitmq.kill(self.state).await?;
                let with_it = self.all_of_one();
                let how = self.while_down(with_it).await?;
                self.backends.rabbitmq.resume(self.state).await?;
                Ok(Some(how))
            }
            Kind::DatabaseStopped => {
                self.backends.postgres.halt(self.state).await?;
                self.until_the_database_is_up().await
            }
            Kind::DatabaseStoppedAtOnce => {
                self.backends.stop_postgres_at_once(self.state).await?;
                self.until_the_database_is_up().await
            }
            Kind::DatabaseKilled => {
                self.backends.postgres.kill(self.state).await?;
                self.until_the_database_is_up().await
            }
        }
    }

    async fn until_the_database_is_up(&mut self) -> Result<Option<String>> {
        let with_it = self.sometimes_one();
        let how = self.while_down(with_it).await?;
        self.backends.start_postgres_again(self.state).await?;
        Ok(Some(how))
    }

    /// Lets time pass while something is down, and kills and starts what `with_it` names in the middle of that.
    async fn while_down(&mut self, with_it: Vec<String>) -> Result<String> {
        let down = self.pause(DOWN).await;
        if with_it.is_empty() {
            return Ok(format!("down for {:.1} s", down.as_secs_f64()));
        }
        for name in &with_it {
            self.fleet.get(name)?.kill(self.state).await?;
        }
        for name in &with_it {
            self.fleet.get(name)?.start(self.state).await?;
        }
        let down = (down + self.pause(DOWN).await).as_secs_f64();
        Ok(format!("down for {down:.1} s, {} killed and started meanwhile", with_it.join(" and ")))
    }

    /// Every third time some process of a service, else none.
    fn sometimes_one(&mut self) -> Vec<String> {
        let one = self.services().choose(&mut self.rng).cloned();
        if self.rng.random_ratio(1, 3) { one.into_iter().collect() } else { Vec::new() }
    }

    /// All replicas of a service that says much: with them goes whatever of its events is in memory alone.
    fn all_of_one(&mut self) -> Vec<String> {
        let service = if self.rng.random() { "order-" } else { "payment-" };
        self.services().into_iter().filter(|name| name.starts_with(service)).collect()
    }

    async fn kill_a_service(&mut self) -> Result<String> {
        let names = self.services();
        let name = names.choose(&mut self.rng).context("there are no services")?;
        self.kill_process(name).await
    }

    /// Kills a process, and starts it a while later.
    async fn kill_process(&mut self, name: &str) -> Result<String> {
        self.fleet.get(name)?.kill(self.state).await?;
        let down = self.pause(DOWN).await;
        self.fleet.get(name)?.start(self.state).await?;
        self.fleet.get(name)?.until_ready().await?;
        Ok(format!("{name} down for {:.1} s", down.as_secs_f64()))
    }

    async fn cut(&mut self) -> Option<String> {
        let way = if self.rng.random() { Way::Up } else { Way::Down };
        let told = match way {
            Way::Up => "of an event on its way to RabbitMQ",
            Way::Down => "of an event on its way to a consumer",
        };
        self.backends.proxy.cut(way, FOR_A_FRAME).await.then(|| told.to_owned())
    }

    fn services(&self) -> Vec<String> {
        self.fleet.names().into_iter().filter(|name| *name != GATEWAY).map(str::to_owned).collect()
    }

    async fn pause(&mut self, milliseconds: std::ops::Range<u64>) -> Duration {
        let pause = Duration::from_millis(self.rng.random_range(milliseconds));
        sleep(pause).await;
        pause
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::RelayKilled => "relay killed between publish and mark",
            Self::ServiceKilled => "service killed",
            Self::GatewayKilled => "gateway killed",
            Self::ConnectionCut => "connection cut half-way through a frame",
            Self::BrokerStopped => "RabbitMQ stopped",
            Self::BrokerKilled => "RabbitMQ killed, and a service with it",
            Self::DatabaseStopped => "Postgres stopped, fast",
            Self::DatabaseStoppedAtOnce => "Postgres stopped, immediately",
            Self::DatabaseKilled => "Postgres killed",
        })
    }
}

impl Kind {
    /// Each kind once.
    pub(crate) fn all() -> Vec<Self> {
        let mut all = DECK.to_vec();
        all.sort();
        all.dedup();
        all
    }
}
