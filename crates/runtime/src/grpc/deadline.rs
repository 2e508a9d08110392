//! Until when a call is of use to who made it: `grpc-timeout`, as the gRPC protocol defines it (up to eight digits and a
//! unit). All that is done for the call can ask how much is left.

use std::{future::Future, time::Duration};

use http::{HeaderMap, Response};
use tokio::time::Instant;
use tonic::{Code, Status, body::Body};

use crate::{Kind, Refusal};

tokio::task_local! {
    /// Until when the call is of use in whose name this runs.
    static UNTIL: Instant;
}

/// What a call came to that had less time than its service may take. Where that was up it was the client's request's, and
/// not a service that took long.
pub(super) fn of_request(
    answer: Result<(Code, Response<Body>), Status>,
) -> Result<(Code, Response<Body>), Status> {
    match answer {
        // A service's own word for it, such as PAYMENT_UNDECIDED, tells more.
        Ok((Code::DeadlineExceeded, response)) if has_details(&response) => {
            Ok((Code::DeadlineExceeded, response))
        }
        Ok((Code::DeadlineExceeded, _)) => Err(request_over()),
        Err(status) if status.code() == Code::DeadlineExceeded => Err(request_over()),
        other => other,
    }
}

fn has_details(response: &Response<Body>) -> bool {
    response.headers().contains_key("grpc-status-details-bin")
}

fn request_over() -> Status {
    Refusal::new(Kind::Timeout, "REQUEST_TIMEOUT", "the request took too long").into()
}

/// What is left of the time of the call in whose name this runs; `None` where there is none, or it has no end.
pub fn time_left() -> Option<Duration> {
    UNTIL.try_with(|until| until.saturating_duration_since(Instant::now())).ok()
}

/// The time that the caller gives; `None` when it names none, or none that can be read.
pub(super) fn requested(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get("grpc-timeout")?.to_str().ok()?;
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    if digits.len() > 8 || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let amount: u64 = digits.parse().ok()?;
    Some(match unit {
        "H" => Duration::from_secs(amount * 3600),
        "M" => Duration::from_secs(amount * 60),
        "S" => Duration::from_secs(amount),
        "m" => Duration::from_millis(amount),
        "u" => Duration::from_micros(amount),
        "n" => Duration::from_nanos(amount),
        _ => return None,
    })
}

/// Serves a call no longer than `time`; all that it does knows its end.
pub(super) async fn serve<T>(time: Option<Duration>, work: impl Future<Output = T>) -> Result<T, Status> {
    let Some(until) = time.and_then(|time| Instant::now().checked_add(time)) else { return Ok(work.await) };
    within(time, UNTIL.scope(until, work)).await
}

/// Runs `work` no longer than `deadline`.
pub(super) async fn within<T>(
    deadline: Option<Duration>,
    work: impl Future<Output = T>,
) -> Result<T, Status> {
    let Some(deadline) = deadline else { return Ok(work.await) };
    tokio::time::timeout(deadline, work).await.map_err(|_| Status::new(Code::DeadlineExceeded, "out of time"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timeouts_are_read_as_the_protocol_says_and_rubbish_is_none() {
        let read = |text: &str| {
            let mut headers = HeaderMap::new();
            headers.insert("grpc-timeout", text.parse().unwrap());
            requested(&headers)
        };
        assert_eq!(read("2S"), Some(Duration::from_secs(2)));
        assert_eq!(read("1500m"), Some(Duration::from_millis(1500)));
        assert_eq!(read("99999999H"), Some(Duration::from_secs(99_999_999 * 3600)));
        for rubbish in ["", "S", "1", "-1S", "1.5S", "123456789S", "1x"] {
            assert_eq!(read(rubbish), None, "{rubbish}");
        }
    }
}
