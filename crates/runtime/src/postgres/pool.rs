//! The connections to a database for one use, and one of them while somebody has it.
//!
//! Whoever is dropped while a statement runs leaves a connection behind on which the server still works. Such a
//! connection is closed a moment later, and the server, which looks after its client while it works
//! (`client_connection_check_interval`), stops too: nothing runs or holds locks for a call that is over.

use std::{
    fmt,
    io::{Error as IoError, ErrorKind},
    ops::{Deref, DerefMut},
    str::FromStr,
    sync::{
        Arc,
        atomic::{AtomicU32, AtomicU64, Ordering},
    },
    time::Duration,
};

use secrecy::{ExposeSecret, SecretString};
use sqlx::{
    PgConnection, PgPool, Postgres,
    pool::PoolConnection,
    postgres::{PgConnectOptions, PgPoolOptions},
};
use tokio::{
    runtime::Handle,
    time::{Instant, timeout},
};

use super::{check_files, measure::Measured};

/// How long it may take to connect: less than a call usually has, so that its caller hears that the database is away.
const CONNECT_WITHIN: Duration = Duration::from_millis(1500);
/// How long a call waits for a connection while others have them all: half of the time that it usually has.
const WAIT: Duration = Duration::from_secs(1);
/// How long one statement may run whatever happens. It is the net under what ends with its call: a machine that is cut off
/// can't close its connections.
const STATEMENT_TIMEOUT: &str = "5s";
/// How often the server looks whether its client is still there while it works on a statement. It costs nothing where
/// statements are shorter.
const LOOK_AFTER_CLIENT: &str = "100ms";
/// How long a connection that is given back may take to be ready, before it is closed: a short statement ends by itself,
/// and a new connection would cost more.
const READY_WITHIN: Duration = Duration::from_millis(500);
/// How long a replica that failed is left alone, and how long one may take to give a connection.
const LEFT_ALONE: Duration = Duration::from_secs(5);
const REPLICA_WITHIN: Duration = Duration::from_millis(500);

/// The connections to a database for one use. Clones share them.
#[derive(Clone)]
pub struct Pool(Arc<Inside>);

struct Inside {
    pool: PgPool,
    most: u32,
    /// How many are with somebody.
    taken: AtomicU32,
    measured: Measured,
    instead: Option<Instead>,
}

/// Who serves while a replica is away.
struct Instead {
    pool: Pool,
    since: Instant,
    /// Until when the replica is left alone, in milliseconds after `since`.
    left_alone: AtomicU64,
}

impl Pool {
    /// At most `most` connections to the database at `url`. It connects when it is first used, so that processes start in
    /// any order. `name` is what the database's own views and the metrics call it: `order`, `order read`.
    ///
    /// # Errors
    /// When `url` is no Postgres URL, or one of the files for TLS that it names doesn't do.
    pub fn open(url: &SecretString, most: u32, name: &'static str) -> Result<Self, sqlx::Error> {
        Self::build(url, most, name, None)
    }

    /// The same, of a replica. While it is away, `primary` serves in its place.
    ///
    /// # Errors
    /// As [`Pool::open`].
    pub fn replica(
        url: &SecretString,
        most: u32,
        name: &'static str,
        primary: &Self,
    ) -> Result<Self, sqlx::Error> {
        let instead = Instead { pool: primary.clone(), since: Instant::now(), left_alone: AtomicU64::new(0) };
        Self::build(url, most, name, Some(instead))
    }

    fn build(
        url: &SecretString,
        most: u32,
        name: &'static str,
        instead: Option<Instead>,
    ) -> Result<Self, sqlx::Error> {
        check_files(url).map_err(|why| sqlx::Error::Configuration(why.into()))?;
        let options = PgConnectOptions::from_str(url.expose_secret())?.application_name(name).options([
            ("statement_timeout", STATEMENT_TIMEOUT),
            ("client_connection_check_interval", LOOK_AFTER_CLIENT),
        ]);
        let pool = PgPoolOptions::new()
            .max_connections(most)
            .acquire_timeout(CONNECT_WITHIN)
            // A ping before each use costs a round trip; a dead connection costs one failed request.
            .test_before_acquire(false)
            .connect_lazy_with(options);
        let (taken, measured) = (AtomicU32::new(0), Measured::new(name, most));
        Ok(Self(Arc::new(Inside { pool, most, taken, measured, instead })))
    }

    /// The crate's own pool of the same connections, for work that is not done in a call's name.
    pub fn raw(&self) -> &PgPool {
        &self.0.pool
    }

    /// A connection, as soon as there is one.
    ///
    /// # Errors
    /// When none can be made, or ([`sqlx::Error::PoolTimedOut`]) others have them all for a second.
    pub async fn acquire(&self) -> Result<Lease, sqlx::Error> {
        let Some(instead) = &self.0.instead else { return self.take().await };
        if !instead.is_needed()
            && let Ok(Ok(lease)) = timeout(REPLICA_WITHIN, self.take()).await
        {
            return Ok(lease);
        }
        instead.leave_alone();
        instead.pool.take().await
    }

    async fn take(&self) -> Result<Lease, sqlx::Error> {
        let connection = match self.0.pool.try_acquire() {
            Some(connection) => connection,
            None => self.wait().await?,
        };
        self.0.taken.fetch_add(1, Ordering::Relaxed);
        Ok(Lease { connection, pool: self.clone(), since: Instant::now(), cut: false })
    }

    async fn wait(&self) -> Result<PoolConnection<Postgres>, sqlx::Error> {
        let waiting = self.0.measured.wait();
        let busy = self.0.taken.load(Ordering::Relaxed) >= self.0.most;
        let patience = if busy { WAIT } else { CONNECT_WITHIN };
        let connection = match timeout(patience, self.0.pool.acquire()).await {
            Ok(Ok(connection)) => connection,
            Err(_) | Ok(Err(sqlx::Error::PoolTimedOut)) if busy => {
                waiting.gave_up();
                return Err(sqlx::Error::PoolTimedOut);
            }
            Err(_) | Ok(Err(sqlx::Error::PoolTimedOut)) => {
                return Err(IoError::new(ErrorKind::TimedOut, "no connection could be made in time").into());
            }
            Ok(Err(error)) => return Err(error),
        };
        waiting.served();
        Ok(connection)
    }

    /// What is measured of it.
    pub(super) fn measured(&self) -> &Measured {
        &self.0.measured
    }

    /// Tells the metrics how many connections there are.
    pub(super) fn tell(&self) {
        self.0.measured.tell(self.0.pool.size(), self.0.pool.num_idle());
    }
}

impl Instead {
    fn is_needed(&self) -> bool {
        self.now() < self.left_alone.load(Ordering::Relaxed)
    }

    /// The replica failed, or is being left alone already.
    fn leave_alone(&self) {
        if !self.is_needed() {
            tracing::warn!("a replica is away; its primary serves in its place");
            self.left_alone.store(self.now() + millis(LEFT_ALONE), Ordering::Relaxed);
        }
    }

    fn now(&self) -> u64 {
        millis(self.since.elapsed())
    }
}

fn millis(duration: Duration) -> u64 {
    duration.as_millis().try_into().unwrap_or(u64::MAX)
}

impl fmt::Debug for Pool {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("Pool").field(&self.0.pool).finish()
    }
}

/// A connection while somebody has it. Dropping it gives it back; a statement that still runs then is stopped.
pub struct Lease {
    connection: PoolConnection<Postgres>,
    pool: Pool,
    since: Instant,
    /// Whether it is closed when it is given back.
    cut: bool,
}

impl Lease {
    /// Has it closed when it is given back: nobody knows what it is in the middle of.
    pub(super) fn cut(&mut self) {
        self.cut = true;
    }
}

impl Deref for Lease {
    type Target = PgConnection;

    fn deref(&self) -> &PgConnection {
        &self.connection
    }
}

impl DerefMut for Lease {
    fn deref_mut(&mut self) -> &mut PgConnection {
        &mut self.connection
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.pool.0.taken.fetch_sub(1, Ordering::Relaxed);
        self.pool.measured().ended(self.since.elapsed());
        if self.cut {
            self.connection.close_on_drop();
            return;
        }
        // What the crate does too when a connection is dropped, but with an end: dropped on the way, it is closed.
        let back = self.connection.return_to_pool();
        if let Ok(runtime) = Handle::try_current() {
            runtime.spawn(async move {
                if timeout(READY_WITHIN, back).await.is_err() {
                    tracing::debug!("a statement was stopped: its caller went away");
                }
            });
        }
    }
}
