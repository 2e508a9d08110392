//! How many requests are under way at once. One more is refused at once: a queue would only let every client wait
//! until it gives up, and all of that work be done for nobody.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use runtime::{Kind, Refusal, admin::Check};

/// When one who was refused may come again: requests take tens of milliseconds, so room is made soon.
const COME_AGAIN: Duration = Duration::from_secs(1);

/// The room that there is for requests. Clones share it.
#[derive(Clone)]
pub(crate) struct Admission(Arc<Room>);

struct Room {
    most: usize,
    under_way: AtomicUsize,
}

impl Admission {
    /// Room for `most` requests.
    pub(crate) fn new(most: usize) -> Self {
        Self(Arc::new(Room { most, under_way: AtomicUsize::new(0) }))
    }

    /// Takes a place, for as long as the request runs.
    ///
    /// # Errors
    /// GATEWAY_FULL when there is none.
    pub(crate) fn enter(&self) -> Result<Place, Refusal> {
        let before = self.0.under_way.fetch_add(1, Ordering::Relaxed);
        let place = Place(self.0.clone());
        if before < self.0.most {
            return Ok(place);
        }
        let message = "the gateway has too many requests under way; try again in a moment";
        Err(Refusal::new(Kind::Unavailable, "GATEWAY_FULL", message).retry_after(COME_AGAIN))
    }

    /// Whether there is room, for `/ready`: others are to take what comes while there is none.
    pub(crate) fn check(&self) -> Check {
        let admission = self.clone();
        Check::new("room", move || {
            let full = admission.under_way() >= admission.0.most;
            async move { if full { Err("too many requests are under way".to_owned()) } else { Ok(()) } }
        })
    }

    /// Tells the metrics how many are under way.
    pub(crate) fn tell(&self) {
        metrics::gauge!("http_server_active_requests").set(self.under_way() as f64);
    }

    /// How many are under way.
    pub(crate) fn under_way(&self) -> usize {
        self.0.under_way.load(Ordering::Relaxed)
    }
}

/// The place of a request that is under way. Dropping it makes room.
pub(crate) struct Place(Arc<Room>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.under_way.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use runtime::admin::readiness;

    use super::*;

    #[tokio::test]
    async fn one_more_than_there_is_room_for_is_refused_until_one_leaves() {
        let admission = Admission::new(2);
        let checks = [admission.check()];
        let places = [admission.enter().ok().unwrap(), admission.enter().ok().unwrap()];
        let refusal = admission.enter().err().unwrap();
        assert_eq!((refusal.kind, refusal.reason.as_ref()), (Kind::Unavailable, "GATEWAY_FULL"));
        assert_eq!(refusal.retry_after, Some(COME_AGAIN));
        assert!(!readiness(&checks).await.0);
        drop(places);
        assert_eq!(admission.under_way(), 0);
        assert!(readiness(&checks).await.0);
        assert!(admission.enter().is_ok());
    }
}
