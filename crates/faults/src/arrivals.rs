//! What the subscriber heard: which events, how often each, and whether those of one aggregate came in their order.

use std::collections::HashMap;

use messaging::CloudEvent;
use uuid::Uuid;

/// An event as it was heard first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Arrival {
    /// Its id.
    pub(crate) id: Uuid,
    /// What happened: `order.created`.
    pub(crate) name: String,
    /// Who says so.
    pub(crate) source: String,
    /// The aggregate.
    pub(crate) subject: Uuid,
    /// The aggregate's version.
    pub(crate) sequence: i64,
}

impl Arrival {
    /// `None` for what is no event of ours.
    pub(crate) fn of(event: &CloudEvent) -> Option<Self> {
        Some(Self {
            id: event.id,
            name: event.name()?.to_owned(),
            source: event.source.clone(),
            subject: event.subject,
            sequence: event.sequence()?,
        })
    }
}

/// All that was heard.
#[derive(Default)]
pub(crate) struct Arrivals {
    first: Vec<Arrival>,
    times: HashMap<Uuid, u32>,
    strange: Vec<String>,
}

impl Arrivals {
    /// Notes one delivery.
    pub(crate) fn note(&mut self, arrival: Arrival) {
        let times = self.times.entry(arrival.id).or_default();
        *times += 1;
        if *times == 1 {
            self.first.push(arrival);
        }
    }

    /// Notes a message that is no event of ours, as it is to be told.
    pub(crate) fn note_strange(&mut self, what: String) {
        self.strange.push(what);
    }

    /// In the order of their first arrival.
    pub(crate) fn first(&self) -> &[Arrival] {
        &self.first
    }

    /// Messages that were no events.
    pub(crate) fn strange(&self) -> &[String] {
        &self.strange
    }

    /// How often an event was heard.
    pub(crate) fn times(&self, id: Uuid) -> u32 {
        self.times.get(&id).copied().unwrap_or(0)
    }

    /// How many deliveries were repeats.
    pub(crate) fn repeats(&self) -> u64 {
        self.times.values().map(|times| u64::from(times - 1)).sum()
    }

    /// Each event that was heard first after a later one of the same aggregate.
    pub(crate) fn out_of_order(&self) -> Vec<String> {
        let mut newest: HashMap<Uuid, &Arrival> = HashMap::new();
        let mut late = Vec::new();
        for arrival in &self.first {
            match newest.get(&arrival.subject) {
                Some(before) if before.sequence >= arrival.sequence => late.push(format!(
                    "{} {} (sequence {}) of {} came after {} (sequence {})",
                    arrival.name, arrival.id, arrival.sequence, arrival.subject, before.id, before.sequence
                )),
                _ => {
                    newest.insert(arrival.subject, arrival);
                }
            }
        }
        late
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(subject: u128, sequence: i64) -> Arrival {
        Arrival {
            id: Uuid::from_u128(subject << 64 | u128::from(sequence.unsigned_abs())),
            name: "order.created".into(),
            source: "order".into(),
            subject: Uuid::from_u128(subject),
            sequence,
        }
    }

    fn heard(events: &[(u128, i64)]) -> Arrivals {
        let mut arrivals = Arrivals::default();
        events.iter().for_each(|(subject, sequence)| arrivals.note(event(*subject, *sequence)));
        arrivals
    }

    #[test]
    fn only_the_first_arrival_of_an_event_counts_for_the_order() {
        let arrivals = heard(&[(1, 1), (1, 2), (1, 1), (1, 2), (1, 5)]);
        assert_eq!(arrivals.out_of_order(), Vec::<String>::new());
        assert_eq!(arrivals.repeats(), 2);
        assert_eq!(arrivals.first().len(), 3);
        assert_eq!(arrivals.times(event(1, 2).id), 2);
    }

    #[test]
    fn an_event_that_comes_after_a_later_one_of_its_aggregate_is_told() {
        let late = heard(&[(1, 1), (1, 3), (2, 1), (1, 2)]).out_of_order();
        assert_eq!(late.len(), 1);
        assert!(late[0].contains(&event(1, 2).id.to_string()), "{late:?}");
    }

    #[test]
    fn two_events_with_one_sequence_are_told() {
        let mut arrivals = heard(&[(1, 1)]);
        arrivals.note(Arrival { id: Uuid::from_u128(9), ..event(1, 1) });
        assert_eq!(arrivals.out_of_order().len(), 1);
    }

    #[test]
    fn aggregates_do_not_wait_for_each_other() {
        assert!(heard(&[(1, 2), (2, 1), (1, 3), (2, 4)]).out_of_order().is_empty());
    }
}
