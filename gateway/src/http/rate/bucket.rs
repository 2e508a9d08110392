//! One limit: a bucket for each client, which refills at a steady rate.

use std::{num::NonZeroU32, time::Duration};

use governor::{Quota, RateLimiter, clock::Clock, middleware::StateInformationMiddleware, nanos::Nanos};
use tokio::time::Instant;

use super::{Who, kept::Kept};

/// How fast a bucket refills, and how much it holds.
#[derive(Clone, Copy)]
pub(super) enum Refill {
    /// So many a second, and so many at once.
    Second(NonZeroU32, NonZeroU32),
    /// So many a minute, all at once if the client likes.
    Minute(NonZeroU32),
}

/// The buckets of one limit.
pub(super) struct Bucket {
    pub(super) name: &'static str,
    limiter: RateLimiter<Who, Kept, Ticks, StateInformationMiddleware>,
    /// What a full one holds.
    burst: u32,
    /// How long one unit takes to refill.
    each: Duration,
}

/// What is left in a client's bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Standing {
    /// How much may still be taken at once.
    pub(crate) remaining: u32,
}

/// There is not enough in the bucket.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Short {
    /// There will be after this time.
    For(Duration),
    /// It does not hold that much.
    Always,
}

/// The time since the limit was made, by tokio's clock, which tests can move.
struct Ticks(Instant);

impl Clock for Ticks {
    type Instant = Nanos;

    fn now(&self) -> Nanos {
        self.0.elapsed().into()
    }
}

impl Bucket {
    /// Full buckets for everyone; `clients` of them are remembered.
    pub(super) fn new(name: &'static str, refill: Refill, clients: usize) -> Self {
        let quota = match refill {
            Refill::Second(rate, burst) => Quota::per_second(rate).allow_burst(burst),
            Refill::Minute(rate) => Quota::per_minute(rate),
        };
        Self {
            name,
            burst: quota.burst_size().get(),
            each: quota.replenish_interval(),
            limiter: RateLimiter::new(quota, Kept::new(clients), Ticks(Instant::now())),
        }
    }

    /// Takes `n` out of a client's bucket, or nothing.
    pub(super) fn take(&self, who: Who, n: u32) -> Result<Standing, Short> {
        let Some(n) = NonZeroU32::new(n) else { return Ok(Standing { remaining: self.burst }) };
        match self.limiter.check_key_n(&who, n) {
            Ok(Ok(state)) => Ok(Standing { remaining: state.remaining_burst_capacity() }),
            Ok(Err(until)) => Err(Short::For(until.wait_time_from(self.limiter.clock().now()))),
            Err(_) => Err(Short::Always),
        }
    }

    /// Forgets clients whose buckets are full. Tells how many are left.
    pub(super) fn prune(&self) -> usize {
        self.limiter.retain_recent();
        self.limiter.len()
    }

    /// An item of the header `RateLimit`: what is left, and the seconds until all is there again.
    pub(super) fn left(&self, standing: Standing) -> String {
        let missing = self.burst.saturating_sub(standing.remaining);
        let whole = self.each.saturating_mul(missing).as_millis().div_ceil(1000);
        format!("\"{}\";r={};t={whole}", self.name, standing.remaining)
    }

    /// An item of the header `RateLimit-Policy`: what a full bucket holds, and the seconds in which an empty one fills.
    pub(super) fn policy(&self) -> String {
        let window = self.each.saturating_mul(self.burst).as_millis().div_ceil(1000).max(1);
        format!("\"{}\";q={};w={window}", self.name, self.burst)
    }
}
