//! How many calls to one service may be under way: one that is slow must not hold all that the process can have under
//! way. Who finds no place waits for one, but not for long, so that a burst passes and a standstill does not spread.

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use metrics::{Counter, Gauge};
use tokio::{
    sync::{Semaphore, SemaphorePermit},
    time::timeout,
};

use super::ClientConfig;
use crate::{Kind, Refusal};

/// How long a call waits for a place.
const WAIT: Duration = Duration::from_millis(100);
/// When one who was refused may come again.
const COME_AGAIN: Duration = Duration::from_secs(1);

/// The places for calls to one service, and the line before them, which is as long as there are places.
pub(super) struct Bulkhead {
    places: Semaphore,
    most: usize,
    waiting: AtomicUsize,
    active: Gauge,
    refused: Counter,
}

impl Bulkhead {
    pub(super) fn new(service: &'static str, config: &ClientConfig) -> Self {
        let most = config.rpc_concurrency.get();
        let refused = metrics::counter!("rpc_client_bulkhead_refused_total", "service" => service);
        let active = metrics::gauge!("rpc_client_active_calls", "service" => service);
        refused.increment(0);
        active.set(0.0);
        Self { places: Semaphore::new(most), most, waiting: AtomicUsize::new(0), active, refused }
    }

    /// Takes a place for a call.
    ///
    /// # Errors
    /// SERVICE_BUSY when there is none and none gets free in time.
    pub(super) async fn enter(&self) -> Result<Place<'_>, Refusal> {
        let place = match self.places.try_acquire() {
            Ok(place) => Some(place),
            Err(_) => self.wait().await,
        };
        let Some(place) = place else {
            self.refused.increment(1);
            let message = "too many calls to a service are under way; try again in a moment";
            return Err(Refusal::new(Kind::Unavailable, "SERVICE_BUSY", message).retry_after(COME_AGAIN));
        };
        self.active.increment(1.0);
        Ok(Place { _place: place, active: &self.active })
    }

    async fn wait(&self) -> Option<SemaphorePermit<'_>> {
        let line = Line(&self.waiting);
        if line.0.fetch_add(1, Ordering::Relaxed) >= self.most {
            return None;
        }
        timeout(WAIT, self.places.acquire()).await.ok()?.ok()
    }
}

/// The place of a call. Dropped, it is free.
pub(super) struct Place<'a> {
    _place: SemaphorePermit<'a>,
    active: &'a Gauge,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.active.decrement(1.0);
    }
}

/// One who waits, until it is dropped.
struct Line<'a>(&'a AtomicUsize);

impl Drop for Line<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use futures::{future::join_all, poll};

    use super::{super::config::by_default, *};

    fn with_places(places: usize) -> Bulkhead {
        let config = ClientConfig { rpc_concurrency: places.try_into().unwrap(), ..by_default() };
        Bulkhead::new("order", &config)
    }

    #[tokio::test(start_paused = true)]
    async fn who_finds_no_place_waits_for_one_but_not_for_long() {
        let bulkhead = with_places(2);
        let first = bulkhead.enter().await.ok().unwrap();
        let _second = bulkhead.enter().await.ok().unwrap();
        let began = tokio::time::Instant::now();
        let refusal = bulkhead.enter().await.err().unwrap();
        assert_eq!(began.elapsed(), WAIT);
        assert_eq!((refusal.kind, refusal.reason.as_ref()), (Kind::Unavailable, "SERVICE_BUSY"));
        assert_eq!(refusal.retry_after, Some(COME_AGAIN));
        let mut third = Box::pin(bulkhead.enter());
        assert!(poll!(&mut third).is_pending());
        drop(first);
        assert!(third.await.is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn no_more_wait_than_there_are_places_and_who_leaves_the_line_makes_room_in_it() {
        let bulkhead = with_places(2);
        let _places = join_all([bulkhead.enter(), bulkhead.enter()]).await;
        let mut line: Vec<_> = (0..2).map(|_| Box::pin(bulkhead.enter())).collect();
        for waiting in &mut line {
            assert!(poll!(waiting).is_pending());
        }
        let began = tokio::time::Instant::now();
        assert!(bulkhead.enter().await.is_err());
        assert_eq!(began.elapsed(), Duration::ZERO, "refused at once");
        line.pop();
        assert!(poll!(&mut Box::pin(bulkhead.enter())).is_pending());
    }
}
