//! One connection to RabbitMQ: made, kept in use, and made again whenever it is lost.
//!
//! lapin's own recovery is not used: it replays a topology, and we want to decide ourselves what becomes of what was
//! under way. A broker that is away, at the start or later, is normal: it is told once in the log, and once when it is
//! back.

use std::{
    future::Future,
    net::{Shutdown, TcpStream},
    os::fd::{AsFd, BorrowedFd},
    pin::pin,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use futures::{Stream, StreamExt};
use lapin::{
    AsyncTcpStream, Connection, ConnectionProperties, Event,
    tcp::{AMQPUriTcpExt, TLSConfig},
    uri::AMQPUri,
};
use runtime::{Faults, Stop};
use secrecy::ExposeSecret;
use tokio::time::{error::Elapsed, interval, sleep, timeout};

use super::tls::{self, Tls};
use crate::BrokerConfig;

/// How long the broker may take until a connection is open.
const OPEN: Duration = Duration::from_secs(5);
/// How long it may take to answer to our goodbye.
const CLOSE: Duration = Duration::from_secs(2);
/// Seconds between heartbeats; after two without one the connection counts as lost.
const HEARTBEAT: u16 = 10;
/// The largest frame, in bytes; a longer message travels in several. lapin keeps 32 of them ready in each direction, and
/// RabbitMQ's own 128 KiB would cost 8 MiB for each connection.
const FRAME: u32 = 16 * 1024;
/// How often the connection's state is looked at: not each way to lose it is told as an event.
const LOOK: Duration = Duration::from_millis(500);
/// The delay after the first failure; each later one is twice as long, up to [`LONGEST`].
const FIRST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_secs(5);

/// Where RabbitMQ is, and what one of the connections to it is for.
///
/// Cheap to clone, as it is with each event that is told.
#[derive(Clone, Debug)]
pub(super) struct Address {
    uri: Arc<AMQPUri>,
    tls: Tls,
    /// By this name RabbitMQ, the log and the gauges know the connection: `order publishing`.
    name: Arc<str>,
    /// Of the process that connects.
    faults: Faults,
}

impl Address {
    /// Reads `amqp://user:password@host:port/vhost`, or `amqps` for TLS.
    pub(super) fn new(config: &BrokerConfig, name: String) -> anyhow::Result<Self> {
        // The text of the error may hold parts of the URL, and so of a password.
        let uri: Result<AMQPUri, _> = config.amqp_url.expose_secret().parse();
        let mut uri = uri.map_err(|_| anyhow::anyhow!("AMQP_URL is no URL of RabbitMQ"))?;
        uri.query.heartbeat.get_or_insert(HEARTBEAT);
        uri.query.frame_max.get_or_insert(FRAME);
        let tls = Tls::new(&uri.scheme, config.amqp_tls_ca.as_deref())?;
        Ok(Self { uri: Arc::new(uri), tls, name: name.into(), faults: Faults::none() })
    }

    /// The same, for a process with these switches.
    pub(super) fn with_faults(&self, faults: &Faults) -> Self {
        Self { faults: faults.clone(), ..self.clone() }
    }
}

/// A connection that is there. Clones are the same.
#[derive(Clone)]
pub(super) struct Session {
    pub(super) connection: Arc<Connection>,
    ready: Arc<AtomicBool>,
    name: Arc<str>,
}

impl Session {
    /// To be said once the work on this connection runs: ends the backoff, and is told as "back".
    pub(super) fn ready(&self) {
        if !self.ready.swap(true, Ordering::SeqCst) {
            tracing::info!(connection = &*self.name, "RabbitMQ is there");
            metrics::gauge!("broker_connected", "connection" => self.name.to_string()).set(1.0);
        }
    }
}

/// Why a connection is there no more, or not yet.
#[derive(Debug, thiserror::Error)]
pub(super) enum Lost {
    #[error("no answer within {OPEN:?}")]
    Silent(#[from] Elapsed),
    #[error(transparent)]
    Broker(#[from] lapin::Error),
    #[error("the connection closed")]
    Closed,
    #[error("a fault switch says that it is down")]
    Switched,
}

/// Connects and runs `work` on the connection, again and again with growing delays, until `work` answers `Ok` or, while
/// there is no connection, until `stop`. `work` ends with an error when it can't go on, and is dropped when the
/// connection is lost. It calls [`Session::ready`] once it runs, and looks at `stop` itself.
pub(super) async fn keep<F>(address: &Address, stop: &Stop, work: impl Fn(Session) -> F)
where
    F: Future<Output = lapin::Result<()>>,
{
    let gauge = metrics::gauge!("broker_connected", "connection" => address.name.to_string());
    let (mut delay, mut said) = (FIRST, None);
    gauge.set(0.0);
    loop {
        let session = match stop.run_until_cancelled(open(address)).await {
            None => return,
            Some(session) => session,
        };
        let lost = match session {
            Err(lost) => lost,
            Ok(session) => {
                let outcome = run(&session, &address.faults, &work).await;
                gauge.set(0.0);
                close(&session.connection).await;
                let Err(lost) = outcome else { return };
                if session.ready.load(Ordering::SeqCst) {
                    (delay, said) = (FIRST, None);
                }
                lost
            }
        };
        tell(&address.name, &lost, &mut said);
        if stop.run_until_cancelled(sleep(delay.mul_f64(rand::random_range(0.5..=1.0)))).await.is_none() {
            return;
        }
        delay = LONGEST.min(delay * 2);
    }
}

/// Tells a loss, but not again what follows from it: only a refusal is news to one who knows that the broker is away.
fn tell(connection: &str, lost: &Lost, said: &mut Option<String>) {
    let refused = matches!(lost, Lost::Broker(error) if error.is_amqp_error());
    let error = lost.to_string();
    match said {
        Some(before) if !refused || *before == error => {
            tracing::debug!(connection, error, "RabbitMQ is still away");
        }
        _ => {
            tracing::warn!(connection, error, "RabbitMQ is away");
            *said = Some(error);
        }
    }
}

pub(super) async fn open(address: &Address) -> Result<Session, Lost> {
    if address.faults.is_broker_down() {
        return Err(Lost::Switched);
    }
    let properties = ConnectionProperties::default().with_connection_name((&*address.name).into());
    let socket = Socket::default();
    let opened = socket.clone();
    let tls = address.tls.clone();
    let connect = Connection::connector(
        (*address.uri).clone(),
        lapin::runtime::default_runtime()?,
        // This runs on a thread of lapin's, which would wait for the network longer than we do.
        async move |uri, runtime| {
            let stream = async {
                let plain = tls::plain(&uri);
                let stream = plain.connect_with_config_async(TLSConfig::default(), &runtime).await?;
                if let AsyncTcpStream::Plain(plain) = &stream {
                    opened.put(plain.get_ref().as_fd());
                }
                tls.secure(stream, &uri).await
            };
            Ok(timeout(OPEN, stream).await.map_err(std::io::Error::from)??)
        },
        properties,
    );
    let connected = timeout(OPEN, connect).await;
    if let (Err(_elapsed), Some(socket)) = (&connected, socket.take()) {
        // One that is shut already is what we want.
        let _ = socket.shutdown(Shutdown::Both);
    }
    Ok(Session { connection: Arc::new(connected??), ready: Arc::default(), name: address.name.clone() })
}

/// The socket of a connection that is being opened. One whose broker says nothing is shut by us: lapin's thread would
/// wait for it as long as it is there, and each further try would begin one more.
#[derive(Clone, Default)]
struct Socket(Arc<Mutex<Option<TcpStream>>>);

impl Socket {
    fn put(&self, socket: BorrowedFd<'_>) {
        let socket = socket.try_clone_to_owned().ok().map(TcpStream::from);
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = socket;
    }

    fn take(&self) -> Option<TcpStream> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// Runs the work until it ends or the connection does.
async fn run<F>(session: &Session, faults: &Faults, work: impl Fn(Session) -> F) -> Result<(), Lost>
where
    F: Future<Output = lapin::Result<()>>,
{
    let events = session.connection.events_listener();
    tokio::select! {
        outcome = work(session.clone()) => Ok(outcome?),
        lost = watch(session, events) => Err(lost),
        () = faults.until(|fault| fault.broker_down) => Err(Lost::Switched),
    }
}

/// Waits until the connection is lost, and tells when the broker blocks it (an alarm) and lets it go on.
async fn watch(session: &Session, events: impl Stream<Item = Event>) -> Lost {
    let blocked = Blocked::new(&session.name);
    let mut events = pin!(events);
    let mut look = interval(LOOK);
    loop {
        tokio::select! {
            event = events.next() => match event {
                Some(Event::ConnectionBlocked(reason)) => blocked.begin(&reason),
                Some(Event::ConnectionUnblocked) => blocked.end(),
                // The error of a channel comes here too: that is for those who use the channel.
                Some(Event::Error(error)) if !session.connection.status().connected() => return error.into(),
                Some(_) => {}
                None => return Lost::Closed,
            },
            _ = look.tick() => if !session.connection.status().connected() {
                return Lost::Closed;
            },
        }
    }
}

/// Whether the broker takes nothing for now. Dropping it ends that with the connection.
struct Blocked<'a> {
    connection: &'a str,
    gauge: metrics::Gauge,
}

impl<'a> Blocked<'a> {
    fn new(connection: &'a str) -> Self {
        Self { connection, gauge: metrics::gauge!("broker_blocked", "connection" => connection.to_owned()) }
    }

    fn begin(&self, reason: &str) {
        tracing::warn!(connection = self.connection, reason, "RabbitMQ takes nothing for now");
        self.gauge.set(1.0);
    }

    fn end(&self) {
        tracing::info!(connection = self.connection, "RabbitMQ takes messages again");
        self.gauge.set(0.0);
    }
}

impl Drop for Blocked<'_> {
    fn drop(&mut self) {
        self.gauge.set(0.0);
    }
}

pub(super) async fn close(connection: &Connection) {
    if connection.status().connected() {
        // One that does not answer is left to its heartbeat.
        let _ = timeout(CLOSE, connection.close(200, "OK".into())).await;
    }
}
