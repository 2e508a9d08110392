//! The circuit breaker of a service: one that fails too often is left alone for a while, so that it can come back and
//! nobody waits for it in vain.
//!
//! One short lock for each service and process, held for a few nanoseconds at the begin and at the end of a call, and
//! never across an await.

mod circuit;

use std::sync::{Mutex, MutexGuard, PoisonError};

use metrics::{Counter, Gauge};
use tokio::time::Instant;
use tonic::Code;

use self::circuit::{Circuit, Rules, State, Ticket};
use super::ClientConfig;
use crate::{Kind, Refusal};

pub(super) use circuit::Verdict;

/// The breaker of one service.
pub(super) struct Breaker {
    service: &'static str,
    circuit: Mutex<Circuit>,
    /// What the metrics show of each state: whether it is in it, and how often it came there.
    shown: [(State, Gauge, Counter); 3],
}

impl Breaker {
    /// That of `service`, closed.
    pub(super) fn new(service: &'static str, config: &ClientConfig) -> Self {
        let rules = Rules {
            probes: config.circuit_breaker_max_requests.get(),
            interval: config.circuit_breaker_interval,
            timeout: config.circuit_breaker_timeout,
        };
        let shown = State::ALL.map(|state| {
            let gauge =
                metrics::gauge!("circuit_breaker_state", "service" => service, "state" => state.name());
            let counter = metrics::counter!("circuit_breaker_transitions_total", "service" => service, "to" => state.name());
            counter.increment(0);
            (state, gauge, counter)
        });
        let breaker = Self { service, circuit: Mutex::new(Circuit::new(rules, Instant::now())), shown };
        breaker.show(State::Closed);
        breaker
    }

    /// Lets a call pass that begins `now`.
    ///
    /// # Errors
    /// CIRCUIT_OPEN, with the time after which it makes sense to come again.
    pub(super) fn enter(&self, now: Instant) -> Result<Pass<'_>, Refusal> {
        let mut circuit = self.lock();
        let before = circuit.state();
        let entered = circuit.enter(now);
        self.tell(before, &circuit);
        drop(circuit);
        match entered {
            Ok(ticket) => Ok(Pass { breaker: self, ticket: Some(ticket) }),
            Err(wait) => {
                let message = "a service has failed too often and is left alone for a moment";
                Err(Refusal::new(Kind::Unavailable, "CIRCUIT_OPEN", message).retry_after(wait))
            }
        }
    }

    fn leave(&self, ticket: Ticket, verdict: Verdict, now: Instant) {
        let mut circuit = self.lock();
        let before = circuit.state();
        circuit.leave(ticket, verdict, now);
        self.tell(before, &circuit);
    }

    fn lock(&self) -> MutexGuard<'_, Circuit> {
        self.circuit.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells of a change of state, under the lock, so that metrics and log have them in their order.
    fn tell(&self, before: State, circuit: &Circuit) {
        let state = circuit.state();
        if state == before {
            return;
        }
        self.show(state);
        if let Some((.., counter)) = self.shown.iter().find(|shown| shown.0 == state) {
            counter.increment(1);
        }
        let (service, before, state) = (self.service, before.name(), state.name());
        tracing::warn!(service, from = before, to = state, "the circuit breaker of a service changed");
    }

    fn show(&self, state: State) {
        for (shown, gauge, _) in &self.shown {
            gauge.set(if *shown == state { 1.0 } else { 0.0 });
        }
    }
}

/// The leave to make one call. Dropped without a word, the call says nothing of the service.
pub(super) struct Pass<'a> {
    breaker: &'a Breaker,
    ticket: Option<Ticket>,
}

impl Pass<'_> {
    /// Says what came of the call.
    pub(super) fn tell(mut self, verdict: Verdict) {
        if let Some(ticket) = self.ticket.take() {
            self.breaker.leave(ticket, verdict, Instant::now());
        }
    }
}

impl Drop for Pass<'_> {
    fn drop(&mut self) {
        if let Some(ticket) = self.ticket.take() {
            self.breaker.leave(ticket, Verdict::Neither, Instant::now());
        }
    }
}

impl Verdict {
    /// What `code` says of the service that answered it. With `hurried` the call had less time than a service may take.
    pub(super) fn of(code: Code, hurried: bool) -> Self {
        match code {
            Code::Unavailable | Code::Internal | Code::Unknown | Code::DataLoss => Self::Bad,
            Code::DeadlineExceeded if hurried => Self::Neither,
            Code::DeadlineExceeded => Self::Bad,
            // Who has too much to do says so, and is well; but it is no time to send more.
            Code::ResourceExhausted | Code::Cancelled => Self::Neither,
            _ => Self::Good,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{super::config::by_default, *};

    fn broken(breaker: &Breaker, code: Code) {
        for _ in 0..20 {
            if let Ok(pass) = breaker.enter(Instant::now()) {
                pass.tell(Verdict::of(code, false));
            }
        }
    }

    #[test]
    fn what_is_the_services_fault_opens_it_and_nothing_else_does() {
        use Code::*;
        for code in [
            Ok,
            Cancelled,
            InvalidArgument,
            NotFound,
            AlreadyExists,
            PermissionDenied,
            ResourceExhausted,
            FailedPrecondition,
            Aborted,
            OutOfRange,
            Unimplemented,
            Unauthenticated,
        ] {
            let breaker = Breaker::new("order", &by_default());
            broken(&breaker, code);
            assert!(breaker.enter(Instant::now()).is_ok(), "{code:?}");
        }
        for code in [Unknown, DeadlineExceeded, Internal, Unavailable, DataLoss] {
            let breaker = Breaker::new("order", &by_default());
            broken(&breaker, code);
            let refusal = breaker.enter(Instant::now()).err().unwrap();
            assert_eq!((refusal.kind, refusal.reason.as_ref()), (Kind::Unavailable, "CIRCUIT_OPEN"));
            assert!(refusal.retry_after_seconds().unwrap() <= 30, "{code:?}");
        }
        assert_eq!(Verdict::of(DeadlineExceeded, true), Verdict::Neither);
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_that_nobody_waits_for_any_more_gives_its_place_back() {
        let breaker = Breaker::new("order", &by_default());
        broken(&breaker, Code::Unavailable);
        tokio::time::advance(Duration::from_secs(30)).await;
        for _ in 0..10 {
            let passes: Vec<_> = (0..3).map(|_| breaker.enter(Instant::now())).collect();
            assert!(passes.iter().all(Result::is_ok));
            assert!(breaker.enter(Instant::now()).is_err());
        }
        for _ in 0..3 {
            breaker.enter(Instant::now()).ok().unwrap().tell(Verdict::Good);
        }
        assert_eq!(breaker.lock().state(), State::Closed);
    }
}
