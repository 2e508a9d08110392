//! Reading `grpc-timeout`, as the gRPC protocol defines it: up to eight digits and a unit.

use std::{future::Future, time::Duration};

use http::HeaderMap;
use tonic::{Code, Status};

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
