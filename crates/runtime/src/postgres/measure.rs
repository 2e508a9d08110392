//! What is measured of a pool, in handles that are made once.

use std::time::Duration;

use metrics::{Counter, Gauge, Histogram};
use tokio::time::Instant;

/// From how long on a statement, or a transaction, is slow.
const SLOW: Duration = Duration::from_millis(500);

/// The handles of one pool.
pub(super) struct Measured {
    idle: Gauge,
    used: Gauge,
    pending: Gauge,
    wait: Histogram,
    timeouts: Counter,
    slow: Counter,
    serialization: Counter,
    deadlock: Counter,
}

impl Measured {
    /// Those of the pool of this name, which has at most so many connections.
    pub(super) fn new(name: &'static str, most: u32) -> Self {
        const POOL: &str = "db_client_connection_pool_name";
        let count = |state| metrics::gauge!("db_client_connection_count", POOL => name, "db_client_connection_state" => state);
        let reruns = |reason| metrics::counter!("db_client_reruns_total", POOL => name, "reason" => reason);
        metrics::gauge!("db_client_connection_max", POOL => name).set(f64::from(most));
        let measured = Self {
            idle: count("idle"),
            used: count("used"),
            pending: metrics::gauge!("db_client_connection_pending_requests", POOL => name),
            wait: metrics::histogram!("db_client_connection_wait_time_seconds", POOL => name),
            timeouts: metrics::counter!("db_client_connection_timeouts_total", POOL => name),
            slow: metrics::counter!("db_client_slow_operations_total", POOL => name),
            serialization: reruns("serialization"),
            deadlock: reruns("deadlock"),
        };
        // Counted from nothing: what appears with its first event never grew, for whoever watches it.
        for counter in [&measured.timeouts, &measured.slow, &measured.serialization, &measured.deadlock] {
            counter.increment(0);
        }
        measured.pending.increment(0);
        measured
    }

    /// Somebody waits for a connection.
    pub(super) fn wait(&self) -> Waiting<'_> {
        self.pending.increment(1);
        Waiting { of: self, since: Instant::now() }
    }

    /// Somebody had a connection for so long.
    pub(super) fn ended(&self, took: Duration) {
        if took >= SLOW {
            self.slow.increment(1);
        }
    }

    /// A transaction is run again.
    pub(super) fn rerun(&self, deadlock: bool) {
        let counter = if deadlock { &self.deadlock } else { &self.serialization };
        counter.increment(1);
    }

    /// There are so many connections, of which so many rest.
    pub(super) fn tell(&self, size: u32, idle: usize) {
        self.idle.set(idle as f64);
        self.used.set(f64::from(size) - idle as f64);
    }
}

/// Somebody who waits for a connection.
pub(super) struct Waiting<'a> {
    of: &'a Measured,
    since: Instant,
}

impl Waiting<'_> {
    /// Got one.
    pub(super) fn served(self) {
        self.of.wait.record(self.since.elapsed());
    }

    /// Got none, since others have them all.
    pub(super) fn gave_up(self) {
        self.of.timeouts.increment(1);
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.of.pending.decrement(1);
    }
}
