//! What must hold once all is quiet. Each check tells what breaks it, with the ids; nothing told means that it holds.

mod events;
mod money;
mod orders;

#[cfg(test)]
mod tests;

use crate::{arrivals::Arrivals, faults::Done, ledger::Ledger, told::Inner};

/// All that the checks compare.
pub(crate) struct Facts<'a> {
    /// What the databases hold.
    pub(crate) ledger: &'a Ledger,
    /// What clients were told.
    pub(crate) told: &'a Inner,
    /// What the subscriber heard.
    pub(crate) arrivals: &'a Arrivals,
    /// What was done to the system.
    pub(crate) done: &'a Done,
    /// How many messages lie in each dead-letter queue.
    pub(crate) dead: &'a [(String, u32)],
}

/// A promise, in the words in which it is told that it holds, and what breaks it.
pub(crate) struct Verdict {
    /// The promise.
    pub(crate) promise: &'static str,
    /// What breaks it.
    pub(crate) broken: Vec<String>,
}

/// A promise and how it is checked.
type Check = (&'static str, fn(&Facts<'_>) -> Vec<String>);

const CHECKS: &[Check] = &[
    ("no client was answered what it must not be", |facts| facts.told.wrong.clone()),
    ("every order that a client was told of is there, as it was told", orders::are_as_told),
    ("there is no order and no account that nobody was told of", orders::none_is_unknown),
    ("every order's events tell its whole life, and it was confirmed once at most", orders::lives_are_whole),
    ("every order has one payment, and the two agree", orders::agree_with_payments),
    ("every committed event reached the subscriber, and none that was not committed", events::arrived),
    ("the events of one aggregate arrived in their order", |facts| facts.arrivals.out_of_order()),
    ("what was published and not marked when its relay died was told again", events::were_told_again),
    ("every consumer handled each of its events, and no other", events::were_handled),
    ("nothing is a dead letter", events::none_is_dead),
    ("every payment's events tell what became of it, once", money::is_told_once),
    ("the provider took and gave back what the payments say, once", money::moved_once),
    ("every kind of fault struck", events::all_struck),
];

/// Checks everything.
pub(crate) fn all(facts: &Facts<'_>) -> Vec<Verdict> {
    CHECKS.iter().map(|(promise, check)| Verdict { promise, broken: check(facts) }).collect()
}
