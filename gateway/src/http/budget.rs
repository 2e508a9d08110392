//! How long a request may take: what the setting gives to all, or less where a client says so by a header.
//!
//! A little of it is kept from the calls, so that what did come is still sent when a service takes all the time there is.

use std::time::Duration;

use axum::http::{HeaderMap, StatusCode};
use runtime::{Kind, Refusal};
use tokio::time::Instant;

use super::Refused;

/// The header by which a client gives its request less time, in milliseconds.
const TIMEOUT: &str = "x-portico-timeout";
/// How long before the end of a request its calls must be answered; of a short budget no more than a fifth.
const TIME_TO_ANSWER: Duration = Duration::from_millis(200);

/// The time of one request, or of one operation of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Budget(Duration);

impl Budget {
    /// What a request with these headers may take; `most` where they don't say, or say more.
    ///
    /// # Errors
    /// TIMEOUT_INVALID for anything but one whole number of milliseconds above 0.
    pub(crate) fn of(headers: &HeaderMap, most: Duration) -> Result<Self, Refusal> {
        let mut values = headers.get_all(TIMEOUT).iter();
        let Some(value) = values.next() else { return Ok(Self(most)) };
        let digits = value.to_str().ok().filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
        match (digits.and_then(|digits| digits.parse().ok()), values.next()) {
            (Some(milliseconds @ 1..), None) => Ok(Self(Duration::from_millis(milliseconds).min(most))),
            _ => Err(invalid()),
        }
    }

    /// All of it.
    pub(crate) fn whole(self) -> Duration {
        self.0
    }

    /// When the calls of a request that began at `started` must be answered.
    pub(crate) fn calls_until(self, started: Instant) -> Instant {
        started + (self.0 - TIME_TO_ANSWER.min(self.0 / 5))
    }
}

fn invalid() -> Refusal {
    let message = "the header X-Portico-Timeout must be one whole number of milliseconds, from 1";
    Refusal::new(Kind::BadInput, "TIMEOUT_INVALID", message)
}

/// A header that is no time is refused as HTTP refuses a bad request.
impl Refused {
    pub(super) fn by_budget(refusal: Refusal) -> Self {
        Self::by_http(StatusCode::BAD_REQUEST, refusal)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOST: Duration = Duration::from_secs(10);

    fn budget(values: &[&str]) -> Result<Duration, String> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(TIMEOUT, value.parse().unwrap());
        }
        Budget::of(&headers, MOST).map(Budget::whole).map_err(|refusal| refusal.reason.into_owned())
    }

    #[test]
    fn a_client_may_take_less_time_than_there_is_and_never_more() {
        assert_eq!(budget(&[]), Ok(MOST));
        assert_eq!(budget(&["2500"]), Ok(Duration::from_millis(2500)));
        assert_eq!(budget(&["10001"]), Ok(MOST));
        assert_eq!(budget(&["18446744073709551615"]), Ok(MOST));
    }

    #[test]
    fn rubbish_in_place_of_a_time_is_refused() {
        for rubbish in ["", "0", "-1", "+5", "1.5", "2s", "1e3", "99999999999999999999999"] {
            assert_eq!(budget(&[rubbish]), Err("TIMEOUT_INVALID".to_owned()), "{rubbish}");
        }
        assert_eq!(budget(&["100", "100"]), Err("TIMEOUT_INVALID".to_owned()));
    }

    #[tokio::test]
    async fn a_fifth_of_a_second_is_kept_for_the_answer_and_of_a_short_time_a_fifth() {
        let started = Instant::now();
        for (whole, calls) in [(10_000, 9_800), (1_000, 800), (500, 400), (1, 0)] {
            let until = Budget(Duration::from_millis(whole)).calls_until(started);
            assert_eq!((until - started).as_millis(), calls, "{whole}");
        }
    }
}
