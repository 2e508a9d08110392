//! What must hold once all is quiet. Each check tells what breaks it, with the ids; nothing told means that it holds.

mod events;
mod money;
mod orders;

#[cfg(test)]
mod tests;

use crate::{
    arrivals::Arrivals,
    faults::{Done, Kind},
    ledger::Ledger,
    rolling,
    told::Inner,
};

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

/// What was done to the system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Plan {
    /// It was struck by faults; clients send requests again.
    Faults,
    /// It was replaced piece by piece; clients notice nothing.
    Rolling,
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
    ("every consumer handled each of its events, and no other", events::were_handled),
    ("nothing is a dead letter", events::none_is_dead),
    ("every payment's events tell what became of it, once", money::is_told_once),
    ("the provider took and gave back what the payments say, once", money::moved_once),
];
const AFTER_FAULTS: &[Check] = &[
    ("what was published and not marked when its relay died was told again", events::were_told_again),
    ("every kind of fault struck", events::all_struck),
];
const AFTER_ROLLING: &[Check] = &[
    ("every request was answered the first time", |facts| were_repeated(facts.told)),
    ("every process was replaced, and RabbitMQ restarted", was_replaced),
];

/// Checks everything.
pub(crate) fn all(facts: &Facts<'_>, plan: Plan) -> Vec<Verdict> {
    let others = match plan {
        Plan::Faults => AFTER_FAULTS,
        Plan::Rolling => AFTER_ROLLING,
    };
    let checks = CHECKS.iter().chain(others);
    checks.map(|(promise, check)| Verdict { promise, broken: check(facts) }).collect()
}

/// What a client hears that is too early, which has nothing to do with who answers it: of a payment that waits for its
/// event, or for the provider.
const TOO_EARLY: [&str; 2] = ["ORDER_NOT_READY", "PAYMENT_IN_PROGRESS"];

fn were_repeated(told: &Inner) -> Vec<String> {
    let repeats = told.repeats.iter().filter(|(reason, _)| !TOO_EARLY.contains(&reason.as_str()));
    repeats.map(|(reason, times)| format!("{reason}: {times} times")).collect()
}

fn was_replaced(facts: &Facts<'_>) -> Vec<String> {
    let (replaced, all) = (facts.done.replaced.len(), rolling::SIZE.total());
    let mut broken = Vec::new();
    if replaced != all {
        broken.push(format!("of {all} processes {replaced} were replaced"));
    }
    if !facts.done.times.contains_key(&Kind::BrokerStopped) {
        broken.push("RabbitMQ was not restarted".to_owned());
    }
    broken
}
