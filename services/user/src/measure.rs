//! What the user service measures beside what every process does.

use runtime::measure::{Kind, Metric};

/// The catalogue of it.
pub const METRICS: &[Metric] = &[Metric {
    name: "password_verification_seconds",
    kind: Kind::Histogram,
    by: &["user"],
    labels: &[],
    meaning: "How long it took to check a password, the wait for a core included",
}];
