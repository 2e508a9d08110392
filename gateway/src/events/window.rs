//! The events heard last, by the order in which they were heard.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
};

use uuid::Uuid;

use super::{Event, Wanted};

/// The last events, bounded in number and in bytes. Each has a position, one more than that of the event before, which
/// it keeps while others leave.
pub(super) struct Window {
    events: VecDeque<Arc<Event>>,
    positions: HashMap<Uuid, u64>,
    /// The position of the oldest event that is here.
    first: u64,
    bytes: usize,
    most_events: usize,
    most_bytes: usize,
}

impl Window {
    /// An empty one, for so many events and so many bytes.
    pub(super) fn new(most_events: usize, most_bytes: usize) -> Self {
        Self {
            events: VecDeque::new(),
            positions: HashMap::new(),
            first: 0,
            bytes: 0,
            most_events,
            most_bytes,
        }
    }

    /// Adds an event and gives its position; `None` when it is here already, since brokers repeat themselves. Older
    /// ones make room, but this one stays, however large.
    pub(super) fn add(&mut self, event: Arc<Event>) -> Option<u64> {
        let position = self.end();
        if self.positions.contains_key(&event.cloud.id) {
            return None;
        }
        self.positions.insert(event.cloud.id, position);
        self.bytes += event.bytes;
        self.events.push_back(event);
        while self.events.len() > 1 && (self.events.len() > self.most_events || self.bytes > self.most_bytes)
        {
            self.drop_first();
        }
        Some(position)
    }

    /// The event at this position, unless it has left.
    pub(super) fn get(&self, position: u64) -> Option<&Arc<Event>> {
        let place = position.checked_sub(self.first)?;
        self.events.get(usize::try_from(place).ok()?)
    }

    /// The first position from this one on whose event is wanted.
    pub(super) fn find(&self, from: u64, wanted: &Wanted) -> Option<u64> {
        (from.max(self.first)..self.end())
            .find(|position| self.get(*position).is_some_and(|event| wanted.matches(event)))
    }

    /// The position behind the event with this id; `None` when it is not here.
    pub(super) fn after(&self, id: Uuid) -> Option<u64> {
        self.positions.get(&id).map(|position| position + 1)
    }

    /// Forgets all events. Positions go on.
    pub(super) fn clear(&mut self) {
        self.first = self.end();
        self.events.clear();
        self.positions.clear();
        self.bytes = 0;
    }

    fn end(&self) -> u64 {
        self.first + self.events.len() as u64
    }

    fn drop_first(&mut self) {
        if let Some(event) = self.events.pop_front() {
            self.positions.remove(&event.cloud.id);
            self.bytes -= event.bytes;
            self.first += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::{Names, tests::cloud};
    use super::*;

    fn event(name: &str) -> Arc<Event> {
        Arc::new(Event::read(cloud(name, json!({}))).unwrap())
    }

    fn all() -> Wanted {
        Wanted { names: Names::ALL, ..Wanted::default() }
    }

    #[test]
    fn the_oldest_leaves_when_there_are_too_many() {
        let mut window = Window::new(2, usize::MAX);
        let events = [event("order.created"), event("order.created"), event("order.created")];
        for (position, event) in events.iter().enumerate() {
            assert_eq!(window.add(event.clone()), Some(position as u64));
        }
        assert_eq!(window.after(events[0].cloud.id), None);
        assert_eq!(window.after(events[1].cloud.id), Some(2));
        assert!(window.get(0).is_none());
        assert_eq!(window.get(2).unwrap().cloud.id, events[2].cloud.id);
    }

    #[test]
    fn the_oldest_leave_when_they_take_too_much_memory_but_the_newest_stays() {
        let one = event("order.created").bytes;
        let mut window = Window::new(100, 3 * one);
        for _ in 0..10 {
            window.add(event("order.created"));
        }
        assert_eq!(window.events.len(), 3);
        let huge = cloud("order.created", json!({ "notes": "x".repeat(10 * one) }));
        window.add(Arc::new(Event::read(huge).unwrap()));
        assert_eq!((window.events.len(), window.positions.len()), (1, 1));
    }

    #[test]
    fn a_repeat_is_no_event() {
        let mut window = Window::new(10, usize::MAX);
        let first = event("order.created");
        assert_eq!(window.add(first.clone()), Some(0));
        assert_eq!(window.add(first), None);
        assert_eq!(window.add(event("order.created")), Some(1));
    }

    #[test]
    fn only_what_is_wanted_is_found() {
        let mut window = Window::new(10, usize::MAX);
        for name in ["order.created", "order.deleted", "order.created"] {
            window.add(event(name));
        }
        let created = Wanted { names: Names::one("order.created").unwrap(), ..Wanted::default() };
        assert_eq!(window.find(0, &created), Some(0));
        assert_eq!(window.find(1, &created), Some(2));
        assert_eq!(window.find(3, &created), None);
    }

    #[test]
    fn what_was_forgotten_is_not_found_again() {
        let mut window = Window::new(10, usize::MAX);
        let first = event("order.created");
        window.add(first.clone());
        window.clear();
        assert_eq!((window.after(first.cloud.id), window.find(0, &all())), (None, None));
        assert_eq!(window.add(first), Some(1), "positions are never given twice");
    }
}
