//! Waiting for what another task or process does.

use std::time::{Duration, Instant};

/// Looks again and again until `condition` holds.
///
/// # Panics
/// When it does not within 30 seconds, with `what` was waited for.
pub async fn until(what: &str, mut condition: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !condition().await {
        assert!(Instant::now() < deadline, "waited in vain until {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
