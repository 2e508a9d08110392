//! Refusals that clients are told, by code and reason.

use std::{
    cell::RefCell,
    collections::{BTreeSet, HashMap},
    sync::{Mutex, PoisonError},
};

use metrics::Counter;
use runtime::Kind;

/// How many reasons are told apart. Those of the services come over the network, and must not be able to add more.
pub(super) const MOST: usize = 200;
const OTHER: &str = "_OTHER";

/// The reasons that were seen in this process.
static SEEN: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());

thread_local! {
    /// The handles of this thread, so that no two wait for each other.
    static HANDLES: RefCell<HashMap<&'static str, HashMap<String, Counter>>> = RefCell::default();
}

/// The values of the label `code`.
pub(super) fn codes() -> Vec<String> {
    Kind::all().map(|kind| kind.code().to_owned()).collect()
}

/// Counts a refusal that a client is told.
pub(crate) fn refused(code: &'static str, reason: &str) {
    HANDLES.with_borrow_mut(|codes| {
        let reasons = codes.entry(code).or_default();
        let counter = match reasons.get(reason) {
            Some(counter) => counter,
            None => {
                let counter =
                    metrics::counter!("refusals_total", "code" => code, "reason" => bounded(reason));
                if reasons.len() >= MOST {
                    counter.increment(1);
                    return;
                }
                reasons.entry(reason.to_owned()).or_insert(counter)
            }
        };
        counter.increment(1);
    });
}

fn bounded(reason: &str) -> String {
    let mut seen = SEEN.lock().unwrap_or_else(PoisonError::into_inner);
    if seen.contains(reason) || seen.len() < MOST - 1 {
        seen.insert(reason.to_owned());
        return reason.to_owned();
    }
    OTHER.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_without_end_add_a_bounded_number_of_series() {
        let metrics = runtime::telemetry::metrics().unwrap();
        for n in 0..1_000 {
            refused("INTERNAL", &format!("MADE_UP_{n}"));
        }
        refused("NOT_FOUND", "NOT_FOUND");
        let text = metrics.render();
        let series: Vec<_> = text.lines().filter(|line| line.starts_with("refusals_total{")).collect();
        assert!(series.len() <= MOST + 1, "{}", series.len());
        let counted: u64 =
            series.iter().map(|line| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap()).sum();
        assert_eq!(counted, 1_001);
    }
}
