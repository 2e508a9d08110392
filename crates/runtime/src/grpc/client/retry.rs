//! When a call is made again: only one that is safe to repeat, only after UNAVAILABLE, a moment later, and only while most
//! calls to the service go well.
//!
//! The rules are those of gRPC's client retries
//! (<https://github.com/grpc/proposal/blob/master/A6-client-retries.md>), with its throttling. Calls that never left this
//! process are another matter: these go to the next address at once, whatever they do.

use std::{
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use http::{HeaderMap, Response};
use metrics::Counter;
use tonic::{Code, Status, body::Body};
use tonic_types::StatusExt;

/// How often a call is made at most.
pub(super) const MOST: u32 = 3;
/// The pause before the first repeat; it doubles with each.
const PAUSE: Duration = Duration::from_millis(25);
/// By how much a pause is shorter or longer, so that those who failed together don't come back together.
const SPREAD: std::ops::RangeInclusive<f64> = 0.5..=1.5;

/// The budget for repeats, in tenths of a token: it is full at ten, a failure takes one, an answer gives a tenth, and nothing
/// is repeated at five or below.
const FULL: u32 = 100;
const FAILURE: u32 = 10;
const ANSWER: u32 = 1;

/// The repeats of calls to one service.
pub(super) struct Retries {
    budget: AtomicU32,
    retried: Counter,
    no_budget: Counter,
}

impl Retries {
    pub(super) fn new(service: &'static str) -> Self {
        let [retried, no_budget] = ["retried", "no_budget"].map(|outcome| {
            let counter =
                metrics::counter!("rpc_client_retries_total", "service" => service, "outcome" => outcome);
            counter.increment(0);
            counter
        });
        Self { budget: AtomicU32::new(FULL), retried, no_budget }
    }

    /// Hears what came of the try number `tried`, and gives the pause after which the call is to be made again, if it is.
    pub(super) fn pause(
        &self,
        answer: &Result<(Code, Response<Body>), Status>,
        tried: u32,
        repeatable: bool,
    ) -> Option<Duration> {
        let headers = match answer {
            Ok((Code::Unavailable, response)) => Some(response.headers()),
            Err(status) if status.code() == Code::Unavailable => None,
            _ => {
                self.answered();
                return None;
            }
        };
        let allowed = self.failed();
        if !repeatable || tried >= MOST {
            return None;
        }
        let usual = PAUSE * (1 << (tried - 1));
        let pause = match headers.map_or(Word::Nothing, Word::of) {
            Word::Nothing => usual.mul_f64(rand::random_range(SPREAD)),
            Word::After(pause) => pause,
            Word::Never => return None,
        };
        if !allowed {
            self.no_budget.increment(1);
            return None;
        }
        Some(pause)
    }

    /// Counts a repeat that is made.
    pub(super) fn count(&self) {
        self.retried.increment(1);
    }

    fn answered(&self) {
        // Mostly it is full, and then nobody writes to it.
        if self.budget.load(Ordering::Relaxed) < FULL {
            let more = |budget: u32| Some((budget + ANSWER).min(FULL));
            let _ = self.budget.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more);
        }
    }

    /// Takes a token. Says whether more than half are left.
    fn failed(&self) -> bool {
        let less = |budget: u32| Some(budget.saturating_sub(FAILURE));
        let before = self.budget.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
        before.unwrap_or_default().saturating_sub(FAILURE) > FULL / 2
    }
}

/// What a service says of repeating a call that it could not answer.
#[derive(Debug, PartialEq, Eq)]
enum Word {
    Nothing,
    After(Duration),
    Never,
}

impl Word {
    /// `grpc-retry-pushback-ms` is for this side. RetryInfo is for the client: it is told, and nobody comes earlier.
    fn of(headers: &HeaderMap) -> Self {
        if let Some(pushback) = headers.get("grpc-retry-pushback-ms") {
            let milliseconds = pushback.to_str().ok().and_then(|text| text.parse::<u32>().ok());
            return milliseconds.map_or(Self::Never, |ms| Self::After(Duration::from_millis(ms.into())));
        }
        let told =
            Status::from_header_map(headers).is_some_and(|status| status.get_details_retry_info().is_some());
        if told { Self::Never } else { Self::Nothing }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Kind, Refusal};

    fn unavailable() -> Result<(Code, Response<Body>), Status> {
        Err(Status::unavailable(""))
    }

    fn answered(status: Status) -> Result<(Code, Response<Body>), Status> {
        Ok((status.code(), status.into_http()))
    }

    #[test]
    fn unavailable_is_repeated_twice_after_growing_pauses_and_nothing_else_is() {
        let retries = Retries::new("order");
        let first = retries.pause(&unavailable(), 1, true).unwrap().as_secs_f64() * 1000.0;
        let second = retries.pause(&unavailable(), 2, true).unwrap().as_secs_f64() * 1000.0;
        assert!((12.5..=37.5).contains(&first) && (25.0..=75.0).contains(&second), "{first} {second}");
        assert_eq!(retries.pause(&unavailable(), 3, true), None);
        let retries = Retries::new("order");
        assert_eq!(retries.pause(&unavailable(), 1, false), None, "it may have been done already");
        assert!(retries.pause(&answered(Status::unavailable("")), 1, true).is_some());
        for code in (0..17).map(Code::from_i32).filter(|code| *code != Code::Unavailable) {
            assert_eq!(retries.pause(&answered(Status::new(code, "")), 1, true), None, "{code:?}");
            assert_eq!(retries.pause(&Err(Status::new(code, "")), 1, true), None, "{code:?}");
        }
    }

    #[test]
    fn five_failures_use_up_the_budget_and_ten_answers_give_one_back() {
        let retries = Retries::new("order");
        let repeated = || retries.pause(&unavailable(), 1, true).is_some();
        assert_eq!(
            [repeated(), repeated(), repeated(), repeated(), repeated()],
            [true, true, true, true, false]
        );
        let answer = |times| (0..times).for_each(|_| retries.answered());
        answer(10);
        assert!(!repeated(), "this failure takes what ten answers gave");
        answer(11);
        assert!(repeated());
        answer(10_000);
        assert_eq!(retries.budget.load(Ordering::Relaxed), FULL);
    }

    #[test]
    fn a_service_that_says_when_to_come_again_is_heard() {
        let pushed_back = |value: &str| {
            let mut status = Status::unavailable("");
            status.metadata_mut().insert("grpc-retry-pushback-ms", value.parse().unwrap());
            Retries::new("order").pause(&answered(status), 1, true)
        };
        assert_eq!(pushed_back("40"), Some(Duration::from_millis(40)));
        assert_eq!((pushed_back("-1"), pushed_back("soon")), (None, None));
        let told = Refusal::new(Kind::Unavailable, "SOME_REASON", "").retry_after(Duration::from_secs(1));
        assert_eq!(Retries::new("order").pause(&answered(told.into()), 1, true), None);
    }
}
