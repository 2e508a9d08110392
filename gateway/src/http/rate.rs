//! How often a client may ask. Each limit is a bucket that fills at its rate: one of requests, one of the points that
//! operations cost, and for each way to get a token one of attempts.
//!
//! A client is a user where somebody is logged in, else an address. Attempts are always counted by address: who tries
//! passwords is nobody yet. A process limits what reaches it: two gateways let a client through twice as often.

mod bucket;
mod kept;

use std::{net::IpAddr, time::Duration};

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use identity::UserId;
use runtime::{Kind, Refusal};

use super::{address::home, viewer::Caller};
use crate::config::{RateConfig, Switch};
pub(crate) use bucket::Standing;
use bucket::{Bucket, Refill, Short};

/// How much is left (draft-ietf-httpapi-ratelimit-headers-10).
const LEFT: HeaderName = HeaderName::from_static("ratelimit");
/// How much there may be (the same draft).
const POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");

/// How often clients are forgotten whose buckets are full again.
pub(super) const PRUNE: Duration = Duration::from_secs(10);

/// The mutations whose attempts are counted.
pub(super) const LIMITED: [&str; 3] = ["login", "register", "refreshToken"];

/// Whom a bucket belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Who {
    User(UserId),
    /// A home, see [`home`]. All who came by no network are one.
    Address(Option<IpAddr>),
}

impl Who {
    fn at(address: Option<IpAddr>) -> Self {
        Self::Address(address.map(home))
    }

    fn is(caller: &Caller) -> Self {
        caller.viewer.map_or_else(|| Self::at(caller.address()), |viewer| Self::User(viewer.user_id))
    }
}

/// The rate limits of this process.
pub(crate) struct Rates(Option<Buckets>);

struct Buckets {
    requests: Bucket,
    cost: Bucket,
    login: Bucket,
    register: Bucket,
    refresh: Bucket,
    /// What all clients are told about the first two.
    policy: HeaderValue,
}

impl Rates {
    /// The limits of these settings; `largest` is the most points that one operation may cost.
    pub(crate) fn new(config: &RateConfig, largest: u32) -> Self {
        if config.rate_limits == Switch::Off {
            return Self(None);
        }
        let clients = config.rate_limit_clients;
        let second = |name, rate, burst| Bucket::new(name, Refill::Second(rate, burst), clients);
        let minute = |name, rate| Bucket::new(name, Refill::Minute(rate), clients);
        // What exceeds the burst would be refused for ever.
        let cost_burst = config.cost_limit_burst.max(largest.try_into().unwrap_or(config.cost_limit_burst));
        let requests = second("requests", config.rate_limit_per_second, config.rate_limit_burst);
        let cost = second("cost", config.cost_limit_per_second, cost_burst);
        let policy = HeaderValue::try_from(format!("{}, {}", requests.policy(), cost.policy()));
        Self(Some(Buckets {
            policy: policy.expect("names and numbers are what a header may hold"),
            requests,
            cost,
            login: minute("login", config.login_limit_per_minute),
            register: minute("register", config.register_limit_per_minute),
            refresh: minute("refreshToken", config.refresh_limit_per_minute),
        }))
    }

    /// Counts requests of this caller. Tells where they stand then, if there are limits.
    ///
    /// # Errors
    /// REQUEST_RATE_EXCEEDED.
    pub(crate) fn requests(&self, caller: &Caller, requests: u32) -> Result<Option<Standing>, Refusal> {
        self.count_requests(Who::is(caller), requests)
    }

    /// Counts a request of somebody whose token is not good, who would else ask for free.
    ///
    /// # Errors
    /// REQUEST_RATE_EXCEEDED.
    pub(crate) fn stranger(&self, address: Option<IpAddr>) -> Result<Option<Standing>, Refusal> {
        self.count_requests(Who::at(address), 1)
    }

    fn count_requests(&self, who: Who, requests: u32) -> Result<Option<Standing>, Refusal> {
        let Self(Some(buckets)) = self else { return Ok(None) };
        buckets
            .requests
            .take(who, requests)
            .map(Some)
            .map_err(|short| refused(short, "REQUEST_RATE_EXCEEDED", "you send too many requests; slow down"))
    }

    /// Counts the points that an operation costs, no more than one may.
    ///
    /// # Errors
    /// COST_RATE_EXCEEDED.
    pub(crate) fn cost(&self, caller: &Caller, points: u32) -> Result<Option<Standing>, Refusal> {
        let Self(Some(buckets)) = self else { return Ok(None) };
        buckets.cost.take(Who::is(caller), points).map(Some).map_err(|short| {
            refused(short, "COST_RATE_EXCEEDED", "your queries cost too much; slow down, or ask for less")
        })
    }

    /// Counts attempts at the mutation `field`, if it is one of [`LIMITED`].
    ///
    /// # Errors
    /// ATTEMPT_RATE_EXCEEDED. None of them may be made then.
    pub(crate) fn attempts(&self, field: &str, caller: &Caller, attempts: u32) -> Result<(), Refusal> {
        let Self(Some(buckets)) = self else { return Ok(()) };
        let bucket = match field {
            "login" => &buckets.login,
            "register" => &buckets.register,
            "refreshToken" => &buckets.refresh,
            _ => return Ok(()),
        };
        let taken = bucket.take(Who::at(caller.address()), attempts);
        taken.map(drop).map_err(|short| {
            refused(short, "ATTEMPT_RATE_EXCEEDED", "too many attempts came from your address; wait a while")
        })
    }

    /// Forgets clients whose buckets are full again.
    pub(crate) fn prune(&self) {
        let Self(Some(buckets)) = self else { return };
        for bucket in buckets.all() {
            metrics::gauge!("rate_limit_clients", "limit" => bucket.name).set(bucket.prune() as f64);
        }
    }

    /// Writes where a caller stands into the headers of an answer that is theirs alone.
    pub(crate) fn tell(&self, headers: &mut HeaderMap, requests: Option<Standing>, cost: Option<Standing>) {
        let (Self(Some(buckets)), Some(requests)) = (self, requests) else { return };
        let left = buckets.requests.left(requests);
        match cost {
            Some(cost) => write(headers, LEFT, &format!("{left}, {}", buckets.cost.left(cost))),
            None => write(headers, LEFT, &left),
        }
        headers.insert(POLICY, buckets.policy.clone());
    }
}

impl Buckets {
    fn all(&self) -> [&Bucket; 5] {
        [&self.requests, &self.cost, &self.login, &self.register, &self.refresh]
    }
}

/// Says which limit it was that this refusal is about, if it is about one, and that nothing is left for so many seconds.
pub(super) fn tell_exceeded(headers: &mut HeaderMap, refusal: &Refusal, seconds: u64) {
    let limit = match refusal.reason.as_ref() {
        "REQUEST_RATE_EXCEEDED" => "requests",
        "COST_RATE_EXCEEDED" => "cost",
        "ATTEMPT_RATE_EXCEEDED" => "attempts",
        _ => return,
    };
    write(headers, LEFT, &format!("\"{limit}\";r=0;t={seconds}"));
}

fn write(headers: &mut HeaderMap, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
}

fn refused(short: Short, reason: &'static str, message: &'static str) -> Refusal {
    match short {
        Short::For(time) => Refusal::new(Kind::RateLimited, reason, message).retry_after(time),
        Short::Always => Refusal::new(
            Kind::RateLimited,
            reason,
            "one request asks for more than is ever permitted at once",
        ),
    }
}
