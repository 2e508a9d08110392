//! What a subscription costs the gateway that waits, and how soon one event reaches many.
//!
//! The gateway is the real one, before services from memory; the sockets are those of this process.

mod socket;

use std::{
    path::Path,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use chrono::Utc;
use futures::{StreamExt, TryStreamExt, stream};
use lapin::{
    BasicProperties, Channel, Connection,
    options::{BasicPublishOptions, ConfirmSelectOptions},
};
use messaging::{Event, topology};
use portico::progress::Progress;
use proto::{
    DomainEvent,
    order::v1::{OrderStatus, OrderStatusChanged},
};
use tokio::{
    sync::mpsc::{UnboundedReceiver, unbounded_channel},
    task::JoinSet,
    time::{sleep, timeout},
};
use uuid::Uuid;

use self::socket::{Came, Socket};
use super::{
    Plan,
    queue::{Queue, connect},
    said,
};
use crate::{
    dataset::user_id,
    system::{Backing, System},
    tokens::Tokens,
    up::Up,
};

/// How many sockets shake hands at the same time.
const OPENING: usize = 50;
/// How long nothing happens before memory is read.
const QUIET: Duration = Duration::from_secs(5);
/// How long an event may take to reach all.
const AT_MOST: Duration = Duration::from_secs(10);
/// How long the gateway may take until it hears events.
const HEARS_WITHIN: Duration = Duration::from_secs(30);
/// How often it is tried meanwhile.
const AGAIN: Duration = Duration::from_millis(500);
/// How long nothing happens between two events.
const BETWEEN: Duration = Duration::from_millis(200);
/// The user to whom all listen that an event must reach.
const FOLLOWED: u32 = 0;

/// What it came to.
pub(crate) struct Subscribers {
    /// What the gateway held before there were any, in bytes.
    pub(super) before: u64,
    /// What it held with all of them.
    pub(super) with: u64,
    /// From telling each event to the last one's `next`, the shortest first.
    pub(super) reached: Vec<Duration>,
}

/// Opens the sockets and tells the events.
///
/// # Errors
/// When a socket is not let in or closed, or an event does not reach whom it must: the run is void then.
pub(super) async fn measure(plan: Plan, up: &Up, folder: &Path, progress: &Progress) -> Result<Subscribers> {
    let step = progress.step("Starting a gateway before services from memory");
    let (mut tokens, key) = Tokens::of_new_key(folder)?;
    let settings = vec![
        ("AMQP_URL".to_owned(), up.rabbitmq("gateway")?.to_owned()),
        ("GATEWAY_SOCKETS_PER_USER".to_owned(), plan.sockets.to_string()),
    ];
    let system = System::start_with(&Backing::Memory(key), settings, folder).await?;
    step.done("ready");
    let measured = on(plan, up, &system, &mut tokens, progress).await;
    system.stop().await?;
    Queue::open(up.rabbitmq_of_all()?).await?.empty().await?;
    measured
}

async fn on(
    plan: Plan,
    up: &Up,
    system: &System,
    tokens: &mut Tokens,
    progress: &Progress,
) -> Result<Subscribers> {
    let gateway = system.processes.first().context("there is no gateway")?;
    let (tokens, _) = tokens.young(&system.graph).await?;
    sleep(QUIET).await;
    let before = gateway.memory()?;
    let step = progress.step(&format!("Opening {} subscriptions", plan.sockets));
    let (came, mut arrivals) = unbounded_channel();
    let followers = plan.reached;
    // Those to whom no event goes belong to all the other users.
    let of = |n: usize| if n < followers { FOLLOWED as usize } else { 1 + n % (tokens.len() - 1) };
    let sockets: Vec<Socket> = stream::iter(0..plan.sockets)
        .map(|n| Socket::open(&system.graph, &tokens[of(n)]))
        .buffer_unordered(OPENING)
        .try_collect()
        .await?;
    let mut readers = JoinSet::new();
    for socket in sockets {
        readers.spawn(socket.read(came.clone()));
    }
    drop(came);
    sleep(QUIET).await;
    let with = gateway.memory()?;
    step.done("all are open");
    let step = progress.step(&format!("Telling {followers} of them"));
    let teller = Teller::open(up.rabbitmq("order")?).await?;
    let reached = tell(plan, &teller, &mut arrivals).await;
    let closed = readers.try_join_next();
    ensure!(closed.is_none(), "the gateway closed a socket, so the run is void: {closed:?}");
    let mut reached = reached?;
    reached.sort();
    step.done("");
    Ok(Subscribers { before, with, reached })
}

/// Tells events, one at a time; answers how long each took to the last one.
async fn tell(plan: Plan, teller: &Teller, arrivals: &mut UnboundedReceiver<Came>) -> Result<Vec<Duration>> {
    until_heard(plan, teller, arrivals).await?;
    let mut reached = Vec::with_capacity(plan.told);
    for _ in 0..plan.told {
        let (id, told) = teller.tell().await?;
        let last = last_of(plan.reached, id, arrivals).await.context("an event does not reach all")?;
        reached.push(last.saturating_duration_since(told));
        sleep(BETWEEN).await;
    }
    Ok(reached)
}

/// The gateway hears events soon after its start; one that was told before reaches nobody.
async fn until_heard(plan: Plan, teller: &Teller, arrivals: &mut UnboundedReceiver<Came>) -> Result<()> {
    let until = Instant::now() + HEARS_WITHIN;
    loop {
        let (id, _) = teller.tell().await?;
        if timeout(AGAIN, last_of(plan.reached, id, arrivals)).await.is_ok_and(|last| last.is_ok()) {
            return Ok(());
        }
        ensure!(Instant::now() < until, "the subscriptions are told nothing");
    }
}

/// Waits until `count` sockets have this event; answers when the last had it.
async fn last_of(count: usize, id: Uuid, arrivals: &mut UnboundedReceiver<Came>) -> Result<Instant> {
    let id = id.to_string();
    let all = async {
        let mut had = 0;
        loop {
            let came = arrivals.recv().await.context("all sockets are closed")?;
            had += usize::from(came.event == id);
            if had == count {
                return anyhow::Ok(came.at);
            }
        }
    };
    timeout(AT_MOST, all).await?
}

/// Says events as the relay of the order service does.
struct Teller {
    channel: Channel,
    /// It ends when it is dropped.
    _connection: Connection,
}

impl Teller {
    async fn open(url: &str) -> Result<Self> {
        let connection = connect(url).await?;
        let channel = connection.create_channel().await?;
        channel.confirm_select(ConfirmSelectOptions::default()).await?;
        Ok(Self { channel, _connection: connection })
    }

    /// Says that an order of the followed user was paid; answers the event's id, and when it was said.
    async fn tell(&self) -> Result<(Uuid, Instant)> {
        let order = Uuid::now_v7();
        let message = OrderStatusChanged {
            order_id: order.to_string(),
            user_id: user_id(FOLLOWED).to_string(),
            from: OrderStatus::Pending.into(),
            to: OrderStatus::Confirmed.into(),
            total: None,
        };
        let event = Event::of(&message, order, 2, Utc::now())?;
        let id = event.id;
        let body = serde_json::to_vec(&said::as_told(event))?;
        let (exchange, key) = (topology::EXCHANGE.into(), OrderStatusChanged::NAME.into());
        let properties = BasicProperties::default().with_delivery_mode(2);
        let told = Instant::now();
        let options = BasicPublishOptions::default();
        self.channel.basic_publish(exchange, key, options, &body, properties).await?.await?;
        Ok((id, told))
    }
}
