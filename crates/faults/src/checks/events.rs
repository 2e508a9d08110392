//! Events: from the outboxes to the subscriber and to the consumers.

use std::collections::{BTreeSet, HashMap};

use messaging::topology::QUEUES;
use uuid::Uuid;

use super::Facts;
use crate::{arrivals::Arrival, faults::Kind, ledger::EventRow};

pub(super) fn arrived(facts: &Facts<'_>) -> Vec<String> {
    let committed: HashMap<Uuid, &EventRow> =
        facts.ledger.events.iter().map(|event| (event.id, event)).collect();
    let mut broken: Vec<_> =
        facts.arrivals.strange().iter().map(|what| format!("no event: {what}")).collect();
    for event in &facts.ledger.events {
        let (name, id, source) = (&event.name, event.id, &event.source);
        if facts.arrivals.times(id) == 0 {
            broken.push(format!("{name} {id} of {source} was committed, and never arrived"));
        }
        if !event.published {
            broken.push(format!("{name} {id} of {source} is not marked as told"));
        }
    }
    for arrival in facts.arrivals.first() {
        match committed.get(&arrival.id) {
            None => broken.push(format!("{} {} arrived, and was never committed", arrival.name, arrival.id)),
            Some(event) if !is(event, arrival) => {
                broken.push(format!("{event:?} was committed, and arrived as {arrival:?}"));
            }
            Some(_) => {}
        }
    }
    broken
}

fn is(event: &EventRow, arrival: &Arrival) -> bool {
    (&event.name, &event.source, event.subject, event.sequence)
        == (&arrival.name, &arrival.source, arrival.subject, arrival.sequence)
}

pub(super) fn were_told_again(facts: &Facts<'_>) -> Vec<String> {
    let unmarked: BTreeSet<_> = facts.done.unmarked.iter().collect();
    let once = unmarked.into_iter().filter(|id| facts.arrivals.times(**id) < 2);
    once.map(|id| format!("event {id} came {} times", facts.arrivals.times(*id))).collect()
}

pub(super) fn were_handled(facts: &Facts<'_>) -> Vec<String> {
    let mut broken = Vec::new();
    for (consumer, handled) in &facts.ledger.inboxes {
        let events =
            QUEUES.iter().find(|queue| queue.consumer == consumer).map_or(&[][..], |queue| queue.events);
        let wanted: BTreeSet<_> = facts.ledger.events_named(events).map(|event| event.id).collect();
        let missing = wanted.difference(handled).map(|id| format!("{consumer} did not handle {id}"));
        broken.extend(missing);
        let other =
            handled.difference(&wanted).map(|id| format!("{consumer} handled {id}, which is not for it"));
        broken.extend(other);
    }
    broken
}

pub(super) fn none_is_dead(facts: &Facts<'_>) -> Vec<String> {
    let queues = facts.dead.iter().filter(|(_, messages)| *messages > 0);
    let queues = queues.map(|(queue, messages)| format!("{messages} in {queue}"));
    let rows =
        facts.ledger.dead_letters.iter().map(|(consumer, id)| format!("{id} of {consumer}, in its database"));
    queues.chain(rows).collect()
}

/// A fault that never comes to it tests nothing.
pub(super) fn all_struck(facts: &Facts<'_>) -> Vec<String> {
    let missing = Kind::all().into_iter().filter(|kind| !facts.done.times.contains_key(kind));
    missing.map(|kind| format!("{kind}: never")).collect()
}
