//! The states of a circuit breaker, over a time that is passed in. No I/O, no clock, no lock.
//!
//! Closed, it counts calls and failures, and opens when half of at least [`ENOUGH`] have failed. Open, it lets nothing
//! through for a while. Half-open, it lets a few through: if all of them go well it closes, and one failure opens it again.

use std::time::Duration;

use tokio::time::Instant;

/// How many calls are needed to judge by.
const ENOUGH: usize = 20;
/// At so many calls the counts are halved: what failed now must not be outweighed by a long time in which all was well.
const MANY: usize = 200;
/// When to come again if others are trying already whether the service is back.
const SOON: Duration = Duration::from_secs(1);

/// What the settings say.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rules {
    /// How many calls are let through when it is half-open.
    pub(super) probes: usize,
    /// After how long the counts are cleared.
    pub(super) interval: Duration,
    /// How long it is open.
    pub(super) timeout: Duration,
}

/// What a call says of its service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum Verdict {
    /// It answers, be it with a refusal.
    Good,
    /// It fails.
    Bad,
    /// Nothing: the call was given up, or had too little time, or the service asked for less.
    Neither,
}

/// The states as metrics and logs name them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    Closed,
    Open,
    HalfOpen,
}

impl State {
    pub(super) const ALL: [Self; 3] = [Self::Closed, Self::Open, Self::HalfOpen];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Open => "open",
            Self::HalfOpen => "half_open",
        }
    }
}

/// The leave to make a call. It says in which turn it was given: what is told later than that is no longer of interest.
#[derive(Debug)]
pub(super) struct Ticket(u64);

/// A circuit breaker.
#[derive(Debug)]
pub(super) struct Circuit {
    rules: Rules,
    phase: Phase,
    /// How often the state has changed.
    turn: u64,
}

#[derive(Debug)]
enum Phase {
    Closed { since: Instant, calls: usize, failures: usize },
    Open { until: Instant },
    HalfOpen { under_way: usize, good: usize },
}

impl Circuit {
    /// A closed one.
    pub(super) fn new(rules: Rules, now: Instant) -> Self {
        Self { rules, phase: Phase::Closed { since: now, calls: 0, failures: 0 }, turn: 0 }
    }

    pub(super) fn state(&self) -> State {
        match self.phase {
            Phase::Closed { .. } => State::Closed,
            Phase::Open { .. } => State::Open,
            Phase::HalfOpen { .. } => State::HalfOpen,
        }
    }

    /// Lets a call through.
    ///
    /// # Errors
    /// The time after which one may be let through, where this one isn't.
    pub(super) fn enter(&mut self, now: Instant) -> Result<Ticket, Duration> {
        if let Phase::Open { until } = self.phase {
            if now < until {
                return Err(until - now);
            }
            self.turn_to(Phase::HalfOpen { under_way: 0, good: 0 });
        }
        if let Phase::HalfOpen { under_way, good } = &mut self.phase {
            if *under_way + *good >= self.rules.probes {
                return Err(SOON);
            }
            *under_way += 1;
        }
        Ok(Ticket(self.turn))
    }

    /// Hears what came of a call that was let through.
    pub(super) fn leave(&mut self, ticket: Ticket, verdict: Verdict, now: Instant) {
        if ticket.0 != self.turn {
            return;
        }
        let opens = match &mut self.phase {
            Phase::Open { .. } => false,
            Phase::Closed { since, calls, failures } => {
                if verdict == Verdict::Neither {
                    return;
                }
                if now.saturating_duration_since(*since) >= self.rules.interval {
                    (*since, *calls, *failures) = (now, 0, 0);
                } else if *calls >= MANY {
                    (*calls, *failures) = (*calls / 2, *failures / 2);
                }
                *calls += 1;
                *failures += usize::from(verdict == Verdict::Bad);
                *calls >= ENOUGH && *failures * 2 >= *calls
            }
            Phase::HalfOpen { under_way, good } => {
                *under_way -= 1;
                *good += usize::from(verdict == Verdict::Good);
                if *good >= self.rules.probes {
                    return self.turn_to(Phase::Closed { since: now, calls: 0, failures: 0 });
                }
                verdict == Verdict::Bad
            }
        };
        if opens {
            self.turn_to(Phase::Open { until: now + self.rules.timeout });
        }
    }

    fn turn_to(&mut self, phase: Phase) {
        self.phase = phase;
        self.turn += 1;
    }
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*};

    use super::*;

    const RULES: Rules =
        Rules { probes: 3, interval: Duration::from_secs(60), timeout: Duration::from_secs(30) };

    fn call(circuit: &mut Circuit, verdict: Verdict, now: Instant) {
        let ticket = circuit.enter(now).unwrap();
        circuit.leave(ticket, verdict, now);
    }

    /// One that has just opened.
    fn open(now: Instant) -> Circuit {
        let mut circuit = Circuit::new(RULES, now);
        (0..20).for_each(|_| call(&mut circuit, Verdict::Bad, now));
        assert_eq!(circuit.state(), State::Open);
        circuit
    }

    #[test]
    fn half_of_twenty_open_it_and_fewer_do_not() {
        let now = Instant::now();
        let mut circuit = Circuit::new(RULES, now);
        (0..19).for_each(|_| call(&mut circuit, Verdict::Bad, now));
        assert_eq!(circuit.state(), State::Closed, "nineteen are too few to judge by");
        let mut circuit = Circuit::new(RULES, now);
        for turn in 0..19 {
            call(&mut circuit, if turn < 9 { Verdict::Bad } else { Verdict::Good }, now);
        }
        call(&mut circuit, Verdict::Good, now);
        assert_eq!(circuit.state(), State::Closed, "nine of twenty");
        call(&mut circuit, Verdict::Bad, now);
        assert_eq!(circuit.state(), State::Closed, "ten of twenty-one");
        call(&mut circuit, Verdict::Bad, now);
        assert_eq!(circuit.state(), State::Open, "eleven of twenty-two");
    }

    #[test]
    fn the_counts_are_cleared_after_the_interval() {
        let now = Instant::now();
        let mut circuit = Circuit::new(RULES, now);
        (0..19).for_each(|_| call(&mut circuit, Verdict::Bad, now));
        let later = now + RULES.interval;
        (0..19).for_each(|_| call(&mut circuit, Verdict::Bad, later));
        assert_eq!(circuit.state(), State::Closed);
        call(&mut circuit, Verdict::Bad, later);
        assert_eq!(circuit.state(), State::Open);
    }

    #[test]
    fn a_long_time_in_which_all_was_well_does_not_keep_it_closed() {
        let now = Instant::now();
        let mut circuit = Circuit::new(RULES, now);
        (0..100_000).for_each(|_| call(&mut circuit, Verdict::Good, now));
        let needed = (1..).find(|_| {
            call(&mut circuit, Verdict::Bad, now);
            circuit.state() == State::Open
        });
        assert!(needed.unwrap() <= MANY, "{needed:?} failures in a row were needed");
    }

    #[test]
    fn open_it_refuses_until_its_time_is_over_and_says_how_long_that_is() {
        let now = Instant::now();
        let mut circuit = open(now);
        assert_eq!(circuit.enter(now).unwrap_err(), RULES.timeout);
        let shortly_before = now + RULES.timeout - Duration::from_millis(1);
        assert_eq!(circuit.enter(shortly_before).unwrap_err(), Duration::from_millis(1));
        assert!(circuit.enter(now + RULES.timeout).is_ok());
        assert_eq!(circuit.state(), State::HalfOpen);
    }

    #[test]
    fn half_open_it_lets_three_through_and_closes_when_these_went_well() {
        let now = Instant::now() + RULES.timeout;
        let mut circuit = open(now - RULES.timeout);
        let tickets: Vec<_> = (0..3).map(|_| circuit.enter(now).unwrap()).collect();
        assert_eq!(circuit.enter(now).unwrap_err(), SOON);
        for ticket in tickets {
            assert_eq!(circuit.state(), State::HalfOpen);
            circuit.leave(ticket, Verdict::Good, now);
        }
        assert_eq!(circuit.state(), State::Closed);
        (0..19).for_each(|_| call(&mut circuit, Verdict::Bad, now));
        assert_eq!(circuit.state(), State::Closed, "what was counted before is forgotten");
    }

    #[test]
    fn one_failure_half_open_opens_it_again_for_its_whole_time() {
        let now = Instant::now() + RULES.timeout;
        let mut circuit = open(now - RULES.timeout);
        let (first, second) = (circuit.enter(now).unwrap(), circuit.enter(now).unwrap());
        circuit.leave(first, Verdict::Bad, now);
        assert_eq!(circuit.enter(now).unwrap_err(), RULES.timeout);
        circuit.leave(second, Verdict::Good, now);
        assert_eq!(circuit.state(), State::Open, "what was told late changes nothing");
    }

    #[test]
    fn what_began_before_it_opened_says_nothing_of_what_it_is_now() {
        let now = Instant::now();
        let mut circuit = Circuit::new(RULES, now);
        let old: Vec<_> = (0..30).map(|_| circuit.enter(now).unwrap()).collect();
        (0..20).for_each(|_| call(&mut circuit, Verdict::Bad, now));
        let later = now + RULES.timeout;
        let probe = circuit.enter(later).unwrap();
        for ticket in old {
            circuit.leave(ticket, Verdict::Bad, later);
        }
        assert_eq!(circuit.state(), State::HalfOpen);
        circuit.leave(probe, Verdict::Neither, later);
        assert_eq!((0..4).filter_map(|_| circuit.enter(later).ok()).count(), 3);
    }

    /// Something that happens to a breaker.
    #[derive(Clone, Copy, Debug)]
    enum Event {
        Enter,
        Leave(usize, Verdict),
        Wait(u64),
    }

    fn event() -> impl Strategy<Value = Event> {
        let verdict = prop_oneof![Just(Verdict::Good), Just(Verdict::Bad), Just(Verdict::Neither)];
        prop_oneof![
            8 => Just(Event::Enter),
            8 => (any::<usize>(), verdict).prop_map(|(which, verdict)| Event::Leave(which, verdict)),
            1 => (0u64..40).prop_map(Event::Wait),
        ]
    }

    proptest! {
        #[test]
        fn whatever_happens_it_lets_no_more_than_three_through_half_open_and_never_stays_shut(
            events in vec(event(), 0..400)
        ) {
            let mut now = Instant::now();
            let mut circuit = Circuit::new(RULES, now);
            let mut under_way: Vec<(State, u64, Ticket)> = Vec::new();
            for event in events {
                match event {
                    Event::Wait(seconds) => now += Duration::from_secs(seconds),
                    Event::Enter => match circuit.enter(now) {
                        Ok(ticket) => under_way.push((circuit.state(), ticket.0, ticket)),
                        Err(wait) => {
                            prop_assert!(circuit.state() != State::Closed);
                            prop_assert!(wait <= RULES.timeout);
                        }
                    },
                    Event::Leave(which, verdict) if !under_way.is_empty() => {
                        let (_, _, ticket) = under_way.swap_remove(which % under_way.len());
                        circuit.leave(ticket, verdict, now);
                    }
                    Event::Leave(..) => {}
                }
                let probing = |(state, turn, _): &&(State, u64, Ticket)| {
                    *state == State::HalfOpen && *turn == circuit.turn
                };
                prop_assert!(under_way.iter().filter(probing).count() <= RULES.probes);
            }
            // Whatever has happened: once nothing is under way, waiting and three calls that go well close it.
            for (.., ticket) in under_way {
                circuit.leave(ticket, Verdict::Neither, now);
            }
            now += RULES.interval;
            (0..RULES.probes).for_each(|_| call(&mut circuit, Verdict::Good, now));
            prop_assert_eq!(circuit.state(), State::Closed);
        }
    }
}
