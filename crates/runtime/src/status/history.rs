//! What the metrics of this process were over the last minutes.

use std::{
    collections::{HashMap, VecDeque},
    time::Duration,
};

use tokio::time::Instant;

use crate::measure::text::{self, Sample};

/// How often the metrics are looked at.
pub(super) const EVERY: Duration = Duration::from_secs(5);
/// How many looks are kept: five minutes.
const KEPT: usize = 60;

/// The metrics that are looked at. The others cost nothing here.
const WATCHED: &[&str] = &[
    "broker_",
    "circuit_breaker_state",
    "dead_letters_total",
    "event_retries_total",
    "graphql_edge_duration_seconds",
    "graphql_operation_duration_seconds",
    "graphql_streams",
    "http_server_",
    "messaging_client_sent_messages_total",
    "outbox_",
    "process_",
    "refusals_total",
    "relay_leads",
    "rpc_client_call_duration_seconds",
    "rpc_server_call_duration_seconds",
];

/// The last looks. A series is named once, and each look is a list of numbers.
#[derive(Default)]
pub(super) struct History {
    places: HashMap<Box<str>, usize>,
    series: Vec<Sample>,
    looks: VecDeque<(Instant, Vec<f64>)>,
}

impl History {
    /// Adds what is told now.
    pub(super) fn look(&mut self, told: &str, now: Instant) {
        let mut values = vec![0.0; self.series.len()];
        let watched = |line: &&str| WATCHED.iter().any(|name| line.starts_with(name));
        for (series, value) in told.lines().filter(watched).filter_map(text::split) {
            match self.places.get(series) {
                Some(place) => values[*place] = value,
                None => {
                    let Some(sample) = text::read(series, value) else { continue };
                    self.places.insert(series.into(), self.series.len());
                    self.series.push(sample);
                    values.push(value);
                }
            }
        }
        if self.looks.len() == KEPT {
            self.looks.pop_front();
        }
        self.looks.push_back((now, values));
    }

    /// The last value of each series.
    pub(super) fn now(&self) -> impl Iterator<Item = (&Sample, f64)> {
        let last = self.looks.back().map(|(_, values)| values.as_slice()).unwrap_or_default();
        self.series.iter().zip(last.iter().copied())
    }

    /// By how much each series grew from the first look that is kept to the last, and in which time. What was not there at
    /// the first began at 0.
    pub(super) fn grown(&self) -> (Duration, impl Iterator<Item = (&Sample, f64)>) {
        let first = self.looks.front().map(|(_, values)| values.as_slice()).unwrap_or_default();
        let since = self.looks.front().zip(self.looks.back()).map(|(first, last)| last.0 - first.0);
        let grown = self.now().enumerate();
        let grown =
            grown.map(|(place, (series, now))| (series, now - first.get(place).copied().unwrap_or_default()));
        (since.unwrap_or_default(), grown)
    }

    /// For each look after the first: how long it was after the one before, and by how much the series that `wanted` takes
    /// grew in between, all together.
    pub(super) fn steps(&self, wanted: impl Fn(&Sample) -> bool) -> Vec<(Duration, f64)> {
        let places: Vec<_> = (0..self.series.len()).filter(|place| wanted(&self.series[*place])).collect();
        let sum = |values: &[f64]| places.iter().filter_map(|place| values.get(*place)).sum::<f64>();
        let pairs = self.looks.iter().zip(self.looks.iter().skip(1));
        pairs.map(|(before, after)| (after.0 - before.0, sum(&after.1) - sum(&before.1))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(requests: u32, waiting: u32) -> String {
        format!(
            "# HELP x y\nhttp_server_request_duration_seconds_count{{http_route=\"/graphql\"}} {requests}\n\
             outbox_waiting_events{{source=\"order\"}} {waiting}\nunwatched_total 5\n"
        )
    }

    #[tokio::test(start_paused = true)]
    async fn growth_is_told_over_what_is_kept_and_nothing_older() {
        let mut history = History::default();
        let begun = Instant::now();
        for n in 0..200 {
            history.look(&told(n * 10, n), begun + EVERY * n);
        }
        let (time, grown) = history.grown();
        assert_eq!(time, EVERY * (u32::try_from(KEPT).unwrap() - 1));
        let grown: Vec<_> = grown.map(|(series, by)| (series.name.as_str(), by)).collect();
        assert_eq!(
            grown,
            [("http_server_request_duration_seconds_count", 590.0), ("outbox_waiting_events", 59.0)]
        );
        assert_eq!(history.now().last().map(|(_, value)| value), Some(199.0));
        let steps = history.steps(|series| series.label("http_route") == "/graphql");
        assert!(steps.len() == KEPT - 1 && steps.iter().all(|step| *step == (EVERY, 10.0)), "{steps:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_series_that_appears_later_began_at_nothing() {
        let mut history = History::default();
        history.look("", Instant::now());
        history.look(&told(7, 1), Instant::now() + EVERY);
        assert_eq!(history.grown().1.next().map(|(_, by)| by), Some(7.0));
        assert_eq!(history.steps(|series| series.name.starts_with("http")), [(EVERY, 7.0)]);
    }
}
