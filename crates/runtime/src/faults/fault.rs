//! What can be set, in the form in which it travels.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The longest that something may be slowed down, in milliseconds.
const LONGEST: u64 = 10 * 60 * 1000;

/// What a service is to do badly; by default nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Fault {
    /// How long each call waits before its work, in milliseconds.
    pub latency_ms: u64,
    /// How many of a hundred calls are refused, by chance.
    pub error_percent: f64,
    /// With what they are refused.
    pub error_code: Code,
    /// Whether nobody is found at the service's port, and who is connected there is cut off.
    pub unreachable: bool,
    /// Whether it says that it is not ready.
    pub not_ready: bool,
    /// Whether its connections to the broker are lost, and none is made.
    pub broker_down: bool,
    /// How long its consumers wait before they handle an event, in milliseconds.
    pub slow_consumer_ms: u64,
}

/// With what calls are refused.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Code {
    /// As if the service could not take them: a client tries again what is safe to repeat.
    #[default]
    Unavailable,
    /// As if something went wrong inside.
    Internal,
}

impl Fault {
    /// Whether it is none.
    pub fn is_none(&self) -> bool {
        *self == Self { error_code: self.error_code, ..Self::default() }
    }

    pub(super) fn is_of_calls(&self) -> bool {
        let Self { latency_ms, error_percent, unreachable, slow_consumer_ms, .. } = *self;
        unreachable || latency_ms + slow_consumer_ms > 0 || error_percent > 0.0
    }

    pub(super) fn check(&self) -> Result<(), String> {
        if !(0.0..=100.0).contains(&self.error_percent) {
            return Err("errorPercent must be from 0 to 100".into());
        }
        if self.latency_ms > LONGEST || self.slow_consumer_ms > LONGEST {
            return Err(format!("latencyMs and slowConsumerMs must be at most {LONGEST}"));
        }
        Ok(())
    }
}

/// For people: `latency 2 s, error 30 %`.
impl fmt::Display for Fault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = |milliseconds: u64| std::time::Duration::from_millis(milliseconds);
        let code = match self.error_code {
            Code::Unavailable => "",
            Code::Internal => " internal",
        };
        let parts = [
            (self.latency_ms > 0).then(|| format!("latency {:?}", seconds(self.latency_ms))),
            (self.error_percent > 0.0).then(|| format!("{} %{code} errors", self.error_percent)),
            self.unreachable.then(|| "unreachable".to_owned()),
            self.not_ready.then(|| "not ready".to_owned()),
            self.broker_down.then(|| "broker down".to_owned()),
            (self.slow_consumer_ms > 0)
                .then(|| format!("consumers slow by {:?}", seconds(self.slow_consumer_ms))),
        ];
        let parts: Vec<String> = parts.into_iter().flatten().collect();
        formatter.write_str(if parts.is_empty() { "none" } else { "" })?;
        formatter.write_str(&parts.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_is_told_as_people_say_it() {
        let fault = Fault { latency_ms: 2500, error_percent: 30.0, broker_down: true, ..Fault::default() };
        assert_eq!(fault.to_string(), "latency 2.5s, 30 % errors, broker down");
        assert_eq!(Fault::default().to_string(), "none");
    }

    #[test]
    fn shares_are_from_none_to_all() {
        for percent in [-1.0, 130.0, f64::NAN] {
            assert!(Fault { error_percent: percent, ..Fault::default() }.check().is_err(), "{percent}");
        }
        assert!(Fault { error_percent: 100.0, ..Fault::default() }.check().is_ok());
    }
}
