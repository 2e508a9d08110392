//! How failed logins slow down. No I/O, and time is passed in.
//!
//! An attempt is counted as a failure when it begins, and taken back when it succeeds: a hundred at the same time are a
//! hundred. Three counts decide:
//! - of one account from one address: after a few failures the next attempts are refused for 1 s, 2 s, 4 s ...;
//! - of one address, for whatever accounts: likewise, after more failures;
//! - of one account from all addresses: only slows the answers down, by a second at most. To refuse here would let a
//!   stranger lock an account's owner out.
//!
//! Counts live in the memory of this process: with several, each has its own. They are bounded, the longest unused go.

use std::{
    net::{IpAddr, Ipv6Addr},
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use chrono::{DateTime, TimeDelta, Utc};
use moka::{policy::EvictionPolicy, sync::Cache};

use crate::{LoginLimits, user::Email};

/// How many counts are kept: about 20 MB when full.
const COUNTS_KEPT: u64 = 100_000;
/// Failures are forgotten so long after the last.
const FORGOTTEN_AFTER: TimeDelta = TimeDelta::minutes(15);
/// A count that nobody asked for so long is dropped.
const UNUSED_KEPT: Duration = Duration::from_secs(3600);
/// The first delay of a refusal, which doubles from then on.
const FIRST_DELAY: Duration = Duration::from_secs(1);
/// The first wait of an account, which doubles from then on.
const FIRST_WAIT: Duration = Duration::from_millis(100);
/// In how long an address may make as many accounts as the settings say.
const MINUTE: TimeDelta = TimeDelta::minutes(1);

/// Where a request comes from: an IPv4 address, the /64 network of an IPv6 address (whoever has one has them all), or
/// the one place of all whose address is not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Origin(Option<IpAddr>);

impl Origin {
    pub(crate) fn new(address: Option<IpAddr>) -> Self {
        Self(address.map(|address| match address.to_canonical() {
            IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() >> 64 << 64)),
            v4 => v4,
        }))
    }
}

#[derive(Debug, PartialEq, Eq, Hash)]
enum Key {
    /// What is no email at all shares one account.
    AccountFrom(Option<String>, Origin),
    Account(Option<String>),
    Address(Origin),
}

/// Counts failed logins.
pub(crate) struct LoginThrottle {
    limits: LoginLimits,
    counts: Cache<Key, Shared>,
}

type Shared = Arc<Mutex<Count>>;

/// Failures of one key, and attempts that are not decided yet.
#[derive(Debug, Default)]
struct Count {
    failed: u32,
    failed_at: DateTime<Utc>,
    pending: u32,
    pending_at: DateTime<Utc>,
}

impl LoginThrottle {
    pub(crate) fn new(limits: LoginLimits) -> Self {
        Self { limits, counts: bounded() }
    }

    /// Begins an attempt; text that is no email is `None`. An error says how long no attempt is taken.
    pub(crate) fn attempt(
        &self,
        account: Option<&Email>,
        origin: Origin,
        now: DateTime<Utc>,
    ) -> Result<Attempt, Duration> {
        let account = account.map(Email::key);
        let longest = Duration::from_secs(self.limits.login_longest_delay_seconds.into());
        let mut attempt = Attempt { counts: vec![], wait: Duration::ZERO, counted: true };
        for (key, free) in [
            (Key::Address(origin), self.limits.login_free_failures_per_address),
            (Key::AccountFrom(account.clone(), origin), self.limits.login_free_failures),
        ] {
            let shared = self.counts.get_with(key, Shared::default);
            let refused = lock(&shared).reserve(free, longest, now);
            if let Some(delay) = refused {
                // What is refused tried no password, so it does not count.
                attempt.counted = false;
                return Err(delay);
            }
            attempt.counts.push(shared);
        }
        let shared = self.counts.get_with(Key::Account(account), Shared::default);
        attempt.wait = lock(&shared).slow_down(self.limits.login_free_failures, self.longest_wait(), now);
        attempt.counts.push(shared);
        Ok(attempt)
    }

    fn longest_wait(&self) -> Duration {
        Duration::from_millis(self.limits.login_longest_wait_ms.into())
    }
}

/// A login under way. Dropping it (the password was wrong, or the caller went away) leaves it counted as a failure.
#[must_use]
pub(crate) struct Attempt {
    /// Those in which it counts: the address, the account from the address, the account.
    counts: Vec<Shared>,
    /// How long its answer is to wait.
    pub(crate) wait: Duration,
    counted: bool,
}

impl Attempt {
    /// The password was right: it does not count, and what failed before for this account from this address is forgotten.
    pub(crate) fn succeeded(mut self) {
        self.counted = false;
        if let Some(account_from) = self.counts.get(1) {
            lock(account_from).failed = 0;
        }
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        for shared in &self.counts {
            lock(shared).settle(self.counted);
        }
    }
}

impl Count {
    /// Counts an attempt, unless it comes too early: then says by how much.
    fn reserve(&mut self, free: u32, longest: Duration, now: DateTime<Utc>) -> Option<Duration> {
        self.forget(now);
        let failures = self.failed + self.pending;
        if let Some(delay) = doubled(FIRST_DELAY, failures, free, longest) {
            let last = if self.pending > 0 { self.pending_at.max(self.failed_at) } else { self.failed_at };
            let early = last + delay - now;
            if early > TimeDelta::zero() {
                return early.to_std().ok();
            }
        }
        self.begin(now);
        None
    }

    /// Counts an attempt, and says how long it has to wait.
    fn slow_down(&mut self, free: u32, longest: Duration, now: DateTime<Utc>) -> Duration {
        self.forget(now);
        let wait = doubled(FIRST_WAIT, self.failed + self.pending, free, longest).unwrap_or_default();
        self.begin(now);
        wait
    }

    fn begin(&mut self, now: DateTime<Utc>) {
        self.pending += 1;
        self.pending_at = now;
    }

    fn settle(&mut self, failed: bool) {
        self.pending = self.pending.saturating_sub(1);
        if failed {
            self.failed = self.failed.saturating_add(1);
            self.failed_at = self.failed_at.max(self.pending_at);
        }
    }

    fn forget(&mut self, now: DateTime<Utc>) {
        if now - self.failed_at >= FORGOTTEN_AFTER {
            self.failed = 0;
        }
    }
}

/// `first` after `free` failures, twice as much after one more, and so on up to `longest`. `None` while they are free.
fn doubled(first: Duration, failures: u32, free: u32, longest: Duration) -> Option<Duration> {
    let beyond = failures.checked_sub(free)?;
    let factor = 1u32.checked_shl(beyond).unwrap_or(u32::MAX);
    Some(first.saturating_mul(factor).min(longest))
}

/// Bounds how many accounts an address makes: a minute's worth at once, then evenly (the generic cell rate algorithm).
pub(crate) struct RegisterThrottle {
    interval: TimeDelta,
    /// When all that was taken will have been earned.
    earned_at: Cache<Origin, Arc<Mutex<DateTime<Utc>>>>,
}

impl RegisterThrottle {
    pub(crate) fn new(limits: &LoginLimits) -> Self {
        let interval =
            TimeDelta::microseconds(60_000_000 / i64::from(limits.registrations_per_minute.max(1)));
        Self { interval, earned_at: bounded() }
    }

    /// Takes one. An error says how long none is to be had.
    pub(crate) fn attempt(&self, origin: Origin, now: DateTime<Utc>) -> Result<(), Duration> {
        let shared = self.earned_at.get_with(origin, Default::default);
        let mut earned_at = lock(&shared);
        let next = (*earned_at).max(now) + self.interval;
        let early = next - MINUTE - now;
        if early > TimeDelta::zero() {
            return Err(early.to_std().unwrap_or_default());
        }
        *earned_at = next;
        Ok(())
    }
}

fn bounded<K: std::hash::Hash + Eq + Send + Sync + 'static, V: Clone + Send + Sync + 'static>() -> Cache<K, V>
{
    Cache::builder()
        .max_capacity(COUNTS_KEPT)
        .eviction_policy(EvictionPolicy::lru())
        .time_to_idle(UNUSED_KEPT)
        .build()
}

fn lock<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

#[cfg(test)]
mod tests;
