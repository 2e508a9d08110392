//! How many calls a service takes at once. One more is refused at once: a queue would only let callers wait until their
//! time is over, and all of that work be done for nobody.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use clap::Args;
use tokio::time::Instant;

use crate::{Refusal, admin::Check};

/// Calls wait for connections to the database above all, and each for about a millisecond: so many at once wait for a tenth
/// of a second at most, and many more would wait for nothing.
const USUAL: usize = 512;
/// When one that was refused may come again.
const COME_AGAIN: Duration = Duration::from_secs(1);
/// For how long calls must have been refused until readiness turns, and how long ago the last must be until it turns
/// back: a burst is no reason to send clients elsewhere, and one that ebbs none to send them back.
const TURNS_AFTER: Duration = Duration::from_secs(3);

/// Settings of what a service takes.
#[derive(Args, Clone, Copy, Debug)]
pub struct RoomConfig {
    /// How many RPCs a service takes at once; those beyond are refused (OVERLOADED) and may come again a second later.
    #[arg(long = "grpc-concurrency", env = "GRPC_CONCURRENCY", default_value_t = USUAL)]
    pub concurrency: usize,
}

/// The room for the calls of one service. Clones share it.
#[derive(Clone, Debug)]
pub(super) struct Room(Arc<Inside>);

#[derive(Debug)]
struct Inside {
    most: usize,
    under_way: AtomicUsize,
    began: Instant,
    /// When the refusals began that have not ended, and when the last was, in milliseconds after `began`; 0 for never.
    first: AtomicU64,
    last: AtomicU64,
}

impl Room {
    /// Room for so many calls.
    pub(super) fn new(config: RoomConfig) -> Self {
        let (first, last) = Default::default();
        let (most, under_way, began) = (config.concurrency, AtomicUsize::new(0), Instant::now());
        Self(Arc::new(Inside { most, under_way, began, first, last }))
    }

    /// Takes a place, for as long as the call runs.
    ///
    /// # Errors
    /// OVERLOADED when there is none.
    pub(super) fn enter(&self) -> Result<Place, Refusal> {
        let before = self.0.under_way.fetch_add(1, Ordering::Relaxed);
        let place = Place(self.0.clone());
        if before < self.0.most {
            return Ok(place);
        }
        self.0.note_refusal();
        Err(Refusal::overloaded(COME_AGAIN))
    }

    /// Whether calls have been refused for a while, for `/ready`.
    pub(super) fn check(&self) -> Check {
        let room = self.clone();
        Check::new("overload", move || {
            let overloaded = room.0.is_overloaded();
            async move { if overloaded { Err("calls are being refused".to_owned()) } else { Ok(()) } }
        })
    }
}

impl Default for Room {
    fn default() -> Self {
        Self::new(RoomConfig { concurrency: USUAL })
    }
}

impl Inside {
    fn note_refusal(&self) {
        let now = self.now();
        let last = self.last.swap(now, Ordering::Relaxed);
        if last == 0 || now - last.min(now) > millis(TURNS_AFTER) {
            self.first.store(now, Ordering::Relaxed);
        }
    }

    fn is_overloaded(&self) -> bool {
        let (now, first, last) =
            (self.now(), self.first.load(Ordering::Relaxed), self.last.load(Ordering::Relaxed));
        let ago = |at: u64| now.saturating_sub(at);
        last > 0 && ago(last) <= millis(TURNS_AFTER) && ago(first) >= millis(TURNS_AFTER)
    }

    /// In milliseconds, never 0.
    fn now(&self) -> u64 {
        millis(self.began.elapsed()) + 1
    }
}

fn millis(duration: Duration) -> u64 {
    duration.as_millis().try_into().unwrap_or(u64::MAX)
}

/// The place of a call that is under way. Dropping it makes room.
#[derive(Debug)]
pub(super) struct Place(Arc<Inside>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.under_way.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;
    use crate::{Kind, admin::readiness};

    #[tokio::test]
    async fn one_call_more_than_there_is_room_for_is_refused_until_one_ends() {
        let room = Room::new(RoomConfig { concurrency: 2 });
        let places = [room.enter().unwrap(), room.enter().unwrap()];
        let refusal = room.enter().unwrap_err();
        assert_eq!((refusal.kind, refusal.reason.as_ref()), (Kind::Unavailable, "OVERLOADED"));
        assert_eq!(refusal.retry_after, Some(COME_AGAIN));
        drop(places);
        assert!(room.enter().is_ok());
        assert_eq!(room.0.under_way.load(Ordering::Relaxed), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn readiness_turns_when_calls_are_refused_for_a_while_and_back_when_none_was_for_a_while() {
        let room = Room::new(RoomConfig { concurrency: 0 });
        let checks = [room.check()];
        let second = Duration::from_secs(1);
        assert!(readiness(&checks).await.0);
        for _ in 0..3 {
            room.enter().unwrap_err();
            assert!(readiness(&checks).await.0, "a burst turned it");
            advance(second).await;
        }
        room.enter().unwrap_err();
        assert!(!readiness(&checks).await.0);
        advance(2 * second).await;
        assert!(!readiness(&checks).await.0, "it turned back at once");
        advance(2 * second).await;
        assert!(readiness(&checks).await.0);
        room.enter().unwrap_err();
        assert!(readiness(&checks).await.0, "what was refused long ago counted");
    }
}
