//! Events as subscribers get them: heard once in this process, kept for a while, and handed to all who want them.
//!
//! An event is held in memory once, however many want it. A subscriber costs a place in a table: it has no queue of its
//! own but reads from the one window that all share, so one that does not keep up costs nobody else anything, and falls
//! out of the window in the end.

mod hub;
mod window;

use std::{io, sync::Arc};

use messaging::CloudEvent;
use proto::EVENTS;
use uuid::Uuid;

pub(crate) use hub::{Feed, Hub, Told};

/// Some of the events that the protos declare. One that they do not declare is heard by no subscriber.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Names(u64);

const _: () = assert!(EVENTS.len() < u64::BITS as usize, "each event needs a bit");

impl Names {
    /// All of them.
    pub(crate) const ALL: Self = Self((1 << EVENTS.len()) - 1);

    /// The one of this name; `None` when there is none.
    pub(crate) fn one(name: &str) -> Option<Self> {
        EVENTS.iter().position(|event| event.name == name).map(|place| Self(1 << place))
    }

    /// These and the others.
    pub(crate) fn and(self, others: Self) -> Self {
        Self(self.0 | others.0)
    }

    fn contains(self, one: Self) -> bool {
        self.0 & one.0 != 0
    }
}

/// An event with what subscribers are told apart by, read once.
#[derive(Debug)]
pub(crate) struct Event {
    /// As it was told.
    pub(crate) cloud: Arc<CloudEvent>,
    name: Names,
    /// The order that it is about, if it is about one.
    order: Option<Uuid>,
    /// Whose affair it is. Without an owner it is the admins' alone.
    owner: Option<Uuid>,
    /// About how much memory it takes.
    bytes: usize,
}

impl Event {
    /// Reads it; `None` when it is none that the protos declare.
    fn read(cloud: Arc<CloudEvent>) -> Option<Self> {
        let name = Names::one(cloud.name()?)?;
        let id = |pointer: &str| cloud.data.pointer(pointer)?.as_str()?.parse().ok();
        let (order, owner) = (id("/orderId"), id("/userId").or_else(|| id("/user/id")));
        let bytes = size_of::<Self>() + size_of::<CloudEvent>() + written(&cloud.data);
        Some(Self { name, order, owner, bytes, cloud })
    }
}

/// How long the payload is as JSON. In memory it is larger, but not by orders of magnitude.
fn written(data: &serde_json::Value) -> usize {
    struct Count(usize);
    impl io::Write for Count {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0 += bytes.len();
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let mut count = Count(0);
    // Counting fails never.
    let _ = serde_json::to_writer(&mut count, data);
    count.0
}

/// Which events a subscriber wants and may see.
#[derive(Clone, Debug, Default)]
pub(crate) struct Wanted {
    /// Those of these names.
    pub(crate) names: Names,
    /// Only those about this order.
    pub(crate) order: Option<Uuid>,
    /// Only those of this user.
    pub(crate) owner: Option<Uuid>,
    /// Those that came after this one, which was heard before; without it, those that come from now on.
    pub(crate) after: Option<Uuid>,
}

impl Wanted {
    fn matches(&self, event: &Event) -> bool {
        self.names.contains(event.name)
            && (self.order.is_none() || self.order == event.order)
            && (self.owner.is_none() || self.owner == event.owner)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use serde_json::{Value, json};

    use super::*;

    /// An event of this name with this payload.
    pub(crate) fn cloud(name: &str, data: Value) -> Arc<CloudEvent> {
        Arc::new(CloudEvent {
            specversion: "1.0".into(),
            id: Uuid::now_v7(),
            source: "order".into(),
            kind: format!("portico.{name}.v1"),
            subject: Uuid::now_v7(),
            time: chrono::Utc::now(),
            sequence: "1".into(),
            traceparent: None,
            datacontenttype: "application/json".into(),
            data,
        })
    }

    #[test]
    fn an_event_is_wanted_by_its_name_its_order_and_its_owner() {
        let (order, owner, other) = (Uuid::now_v7(), Uuid::now_v7(), Uuid::now_v7());
        let event =
            Event::read(cloud("order.created", json!({ "orderId": order, "userId": owner }))).unwrap();
        let names = Names::one("order.created").unwrap();
        let wanted = |names, order, owner| Wanted { names, order, owner, after: None }.matches(&event);
        assert!(wanted(names, None, None) && wanted(Names::ALL, Some(order), Some(owner)));
        assert!(!wanted(Names::one("order.deleted").unwrap(), None, None));
        assert!(!wanted(names, Some(other), None) && !wanted(names, None, Some(other)));
    }

    #[test]
    fn an_event_without_an_owner_is_nobody_s_own() {
        for data in [json!({}), json!({ "userId": 7 }), json!({ "userId": "x" }), json!(null), json!([1])] {
            let event = Event::read(cloud("order.created", data)).unwrap();
            let mine = Wanted { names: Names::ALL, owner: Some(Uuid::now_v7()), ..Wanted::default() };
            let all = Wanted { names: Names::ALL, ..Wanted::default() };
            assert!(!mine.matches(&event) && all.matches(&event));
        }
    }

    #[test]
    fn an_account_s_events_are_its_own() {
        let user = Uuid::now_v7();
        let event = Event::read(cloud("user.created", json!({ "user": { "id": user } }))).unwrap();
        assert_eq!(event.owner, Some(user));
    }

    #[test]
    fn what_is_no_event_of_ours_is_left_out() {
        assert!(Event::read(cloud("order.exploded", json!({}))).is_none());
        let mut strange = (*cloud("order.created", json!({}))).clone();
        strange.kind = "order.created".into();
        assert!(Event::read(Arc::new(strange)).is_none());
    }
}
