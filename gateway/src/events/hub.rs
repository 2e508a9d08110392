//! Where all subscribers of this process get their events.

use std::{
    collections::HashMap,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard},
    task::{Context, Poll, Waker},
};

use futures::Stream;
use messaging::{CloudEvent, Heard};
use tokio::sync::watch;

use super::{Event, Wanted, window::Window};

/// The events heard last, and who waits for more.
pub(crate) struct Hub {
    state: Mutex<State>,
    listening: watch::Sender<bool>,
}

struct State {
    window: Window,
    subscribers: HashMap<u64, Subscriber>,
    next_key: u64,
}

struct Subscriber {
    wanted: Wanted,
    /// The position of the next event for it; `None` when there is none yet.
    next: Option<u64>,
    /// Whether events may have been told that nobody here heard.
    missed: bool,
    waker: Option<Waker>,
}

/// What a subscriber is told.
#[derive(Debug)]
pub(crate) enum Told {
    /// The next event that it wants.
    Event(Arc<Event>),
    /// Events may be missing from here on: it has to read anew what it follows. Nothing comes after this.
    Missed,
    /// It took so long that its next event is not kept any more. Nothing comes after this.
    TooSlow,
}

impl Hub {
    /// Keeps the last events, so many and so many bytes of them.
    pub(crate) fn new(most_events: usize, most_bytes: usize) -> Self {
        let window = Window::new(most_events, most_bytes);
        let state = State { window, subscribers: HashMap::new(), next_key: 0 };
        Self { state: Mutex::new(state), listening: watch::Sender::new(false) }
    }

    /// Takes what the broker says.
    pub(crate) fn hear(&self, heard: &Heard) {
        match heard {
            Heard::Event(event) => self.tell(event.clone()),
            Heard::Anew => self.start_anew(),
        }
    }

    /// Waits until events are heard here, for the first time.
    pub(crate) async fn listening(&self) {
        // The sender lives in `self`, so it does not end.
        let _ = self.listening.subscribe().wait_for(|listening| *listening).await;
    }

    /// Subscribes. `None` when the event behind which it is to begin is not kept here, or not any more.
    pub(crate) fn subscribe(self: &Arc<Self>, wanted: Wanted) -> Option<Feed> {
        let mut state = self.lock();
        // Under one lock: what is told from here on finds the subscriber in its place.
        let next = match wanted.after {
            Some(after) => {
                let from = state.window.after(after)?;
                state.window.find(from, &wanted)
            }
            None => None,
        };
        let key = state.next_key;
        state.next_key += 1;
        state.subscribers.insert(key, Subscriber { wanted, next, missed: false, waker: None });
        Some(Feed { hub: self.clone(), key })
    }

    fn tell(&self, event: Arc<CloudEvent>) {
        let Some(event) = Event::read(event).map(Arc::new) else { return };
        let mut woken = Vec::new();
        {
            let state = &mut *self.lock();
            let Some(position) = state.window.add(event.clone()) else { return };
            // One that still has events before it comes to this one by itself.
            let waiting = state.subscribers.values_mut().filter(|subscriber| subscriber.next.is_none());
            for subscriber in waiting.filter(|subscriber| subscriber.wanted.matches(&event)) {
                subscriber.next = Some(position);
                woken.extend(subscriber.waker.take());
            }
        }
        woken.into_iter().for_each(Waker::wake);
    }

    fn start_anew(&self) {
        let mut woken = Vec::new();
        {
            let state = &mut *self.lock();
            state.window.clear();
            for subscriber in state.subscribers.values_mut() {
                subscriber.missed = true;
                woken.extend(subscriber.waker.take());
            }
        }
        self.listening.send_replace(true);
        woken.into_iter().for_each(Waker::wake);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

/// The events of one subscriber. Dropping it ends the subscription.
pub(crate) struct Feed {
    hub: Arc<Hub>,
    key: u64,
}

impl Stream for Feed {
    type Item = Told;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Told>> {
        let State { window, subscribers, .. } = &mut *self.hub.lock();
        let Some(subscriber) = subscribers.get_mut(&self.key) else { return Poll::Ready(None) };
        if subscriber.missed {
            return Poll::Ready(Some(Told::Missed));
        }
        let Some(position) = subscriber.next else {
            subscriber.waker = Some(context.waker().clone());
            return Poll::Pending;
        };
        let Some(event) = window.get(position) else { return Poll::Ready(Some(Told::TooSlow)) };
        subscriber.next = window.find(position + 1, &subscriber.wanted);
        Poll::Ready(Some(Told::Event(event.clone())))
    }
}

impl Drop for Feed {
    fn drop(&mut self) {
        self.hub.lock().subscribers.remove(&self.key);
    }
}

#[cfg(test)]
mod tests {
    use futures::{FutureExt, StreamExt};
    use serde_json::json;
    use uuid::Uuid;

    use super::super::{Names, tests::cloud};
    use super::*;

    fn hub() -> Arc<Hub> {
        let hub = Arc::new(Hub::new(4, usize::MAX));
        hub.hear(&Heard::Anew);
        hub
    }

    fn subscribe(hub: &Arc<Hub>, name: &str, after: Option<Uuid>) -> Option<Feed> {
        hub.subscribe(Wanted { names: Names::one(name).unwrap(), after, ..Wanted::default() })
    }

    fn tell(hub: &Hub, name: &str) -> Uuid {
        let event = cloud(name, json!({}));
        hub.hear(&Heard::Event(event.clone()));
        event.id
    }

    /// What the feed has now.
    fn told(feed: &mut Feed) -> Option<Result<Uuid, &'static str>> {
        feed.next().now_or_never().map(|told| match told.unwrap() {
            Told::Event(event) => Ok(event.cloud.id),
            Told::Missed => Err("missed"),
            Told::TooSlow => Err("too slow"),
        })
    }

    #[test]
    fn each_gets_what_it_wants_in_the_order_in_which_it_was_told() {
        let hub = hub();
        let mut created = subscribe(&hub, "order.created", None).unwrap();
        let mut deleted = subscribe(&hub, "order.deleted", None).unwrap();
        let first = tell(&hub, "order.created");
        let gone = tell(&hub, "order.deleted");
        let second = tell(&hub, "order.created");
        assert_eq!((told(&mut created), told(&mut created)), (Some(Ok(first)), Some(Ok(second))));
        assert_eq!((told(&mut deleted), told(&mut deleted)), (Some(Ok(gone)), None));
        assert_eq!(told(&mut created), None);
    }

    #[test]
    fn a_repeat_is_told_once() {
        let hub = hub();
        let mut feed = subscribe(&hub, "order.created", None).unwrap();
        let event = cloud("order.created", json!({}));
        hub.hear(&Heard::Event(event.clone()));
        hub.hear(&Heard::Event(event.clone()));
        assert_eq!((told(&mut feed), told(&mut feed)), (Some(Ok(event.id)), None));
    }

    #[test]
    fn who_comes_back_gets_what_was_told_meanwhile_and_then_what_is_told() {
        let hub = hub();
        let seen = tell(&hub, "order.created");
        let missed = tell(&hub, "order.created");
        tell(&hub, "order.deleted");
        let mut feed = subscribe(&hub, "order.created", Some(seen)).unwrap();
        let live = tell(&hub, "order.created");
        assert_eq!((told(&mut feed), told(&mut feed)), (Some(Ok(missed)), Some(Ok(live))));
        assert_eq!(told(&mut feed), None);
        assert!(subscribe(&hub, "order.created", Some(Uuid::now_v7())).is_none(), "it is not known here");
    }

    #[test]
    fn an_event_of_another_kind_is_a_place_to_begin_too() {
        let hub = hub();
        let place = tell(&hub, "order.deleted");
        let next = tell(&hub, "order.created");
        let mut feed = subscribe(&hub, "order.created", Some(place)).unwrap();
        assert_eq!((told(&mut feed), told(&mut feed)), (Some(Ok(next)), None));
    }

    #[test]
    fn who_is_slower_than_the_window_is_told_so_and_the_others_lose_nothing() {
        let hub = hub();
        let mut slow = subscribe(&hub, "order.created", None).unwrap();
        let mut quick = subscribe(&hub, "order.created", None).unwrap();
        for _ in 0..5 {
            let id = tell(&hub, "order.created");
            assert_eq!(told(&mut quick), Some(Ok(id)));
        }
        assert_eq!(told(&mut slow), Some(Err("too slow")));
    }

    #[test]
    fn who_wants_nothing_of_what_is_told_is_never_slow() {
        let hub = hub();
        let mut idle = subscribe(&hub, "order.deleted", None).unwrap();
        for _ in 0..20 {
            tell(&hub, "order.created");
        }
        assert_eq!(told(&mut idle), None);
        let id = tell(&hub, "order.deleted");
        assert_eq!(told(&mut idle), Some(Ok(id)));
    }

    #[test]
    fn after_a_gap_everybody_reads_anew_and_nobody_resumes_across_it() {
        let hub = hub();
        let mut feed = subscribe(&hub, "order.created", None).unwrap();
        let before = tell(&hub, "order.created");
        hub.hear(&Heard::Anew);
        let after = tell(&hub, "order.created");
        assert_eq!(told(&mut feed), Some(Err("missed")));
        assert!(subscribe(&hub, "order.created", Some(before)).is_none());
        assert!(subscribe(&hub, "order.created", Some(after)).is_some());
    }

    #[tokio::test]
    async fn one_that_waits_is_woken() {
        let hub = hub();
        let mut feed = subscribe(&hub, "order.created", None).unwrap();
        let waiting = tokio::spawn(async move { feed.next().await });
        tokio::task::yield_now().await;
        tell(&hub, "order.created");
        assert!(matches!(waiting.await.unwrap(), Some(Told::Event(_))));
    }

    #[test]
    fn who_left_takes_no_room() {
        let hub = hub();
        drop(subscribe(&hub, "order.created", None));
        assert!(hub.lock().subscribers.is_empty());
    }
}
