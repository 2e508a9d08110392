//! How a failure travels: from a service, as gRPC status with `google.rpc` details, to the gateway, and from there as
//! `extensions.code` and `extensions.reason` to the client.
//!
//! A [`Refusal`] holds only what a client may read. What went wrong inside is logged where it is handled.

use std::{borrow::Cow, fmt::Display, time::Duration};

use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};

/// The domain that `google.rpc.ErrorInfo` asks for.
const DOMAIN: &str = "portico";
/// The reason of a service that takes no more: RESOURCE_EXHAUSTED between services, as gRPC has it. For a client it is no
/// rate of its own that was exceeded, but a service that is not there for a moment.
const OVERLOADED: &str = "OVERLOADED";

/// The kinds of failure that a client tells apart: the codes of the graph.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// The input breaks a rule; sending it again changes nothing.
    BadInput,
    /// No valid token.
    Unauthenticated,
    /// A valid token, but not the right.
    Forbidden,
    /// There is no such thing, or not for this viewer.
    NotFound,
    /// Something else happened at the same time, or first.
    Conflict,
    /// The thing is not in a state that allows it.
    FailedPrecondition,
    /// Too often; try again later.
    RateLimited,
    /// It took too long; whether it happened is not known.
    Timeout,
    /// A service can't be reached.
    Unavailable,
    /// A fault of ours.
    Internal,
    /// The hash names no document; clients know it and send the document. It never travels between services.
    PersistedQueryNotFound,
}

/// Every kind with its gRPC code, its code in the graph and its HTTP status. The one place where they meet.
const TABLE: [(Kind, Code, &str, u16); 11] = [
    (Kind::BadInput, Code::InvalidArgument, "BAD_USER_INPUT", 400),
    (Kind::Unauthenticated, Code::Unauthenticated, "UNAUTHENTICATED", 401),
    (Kind::Forbidden, Code::PermissionDenied, "FORBIDDEN", 403),
    (Kind::NotFound, Code::NotFound, "NOT_FOUND", 404),
    (Kind::Conflict, Code::Aborted, "CONFLICT", 409),
    (Kind::FailedPrecondition, Code::FailedPrecondition, "FAILED_PRECONDITION", 422),
    (Kind::RateLimited, Code::ResourceExhausted, "RATE_LIMITED", 429),
    (Kind::Timeout, Code::DeadlineExceeded, "TIMEOUT", 504),
    (Kind::Unavailable, Code::Unavailable, "SERVICE_UNAVAILABLE", 503),
    (Kind::Internal, Code::Internal, "INTERNAL", 500),
    (Kind::PersistedQueryNotFound, Code::NotFound, "PERSISTED_QUERY_NOT_FOUND", 400),
];

impl Kind {
    fn row(self) -> &'static (Kind, Code, &'static str, u16) {
        TABLE.iter().find(|row| row.0 == self).unwrap_or(&TABLE[9])
    }

    /// All kinds.
    pub fn all() -> impl Iterator<Item = Self> {
        TABLE.iter().map(|row| row.0)
    }

    /// The gRPC code.
    pub fn grpc(self) -> Code {
        self.row().1
    }

    /// `extensions.code` in the graph.
    pub fn code(self) -> &'static str {
        self.row().2
    }

    /// The HTTP status where the whole answer is this refusal.
    pub fn http(self) -> u16 {
        self.row().3
    }

    /// The kind of a status that came from a service; what no service of ours answers is a fault.
    pub fn of(code: Code) -> Self {
        TABLE.iter().find(|row| row.1 == code).map_or(Kind::Internal, |row| row.0)
    }
}

/// A field of the input that breaks a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Its path in the input as the graph names it, such as `items.0.quantity`.
    pub field: String,
    /// The rule, in words that continue "it": "must be from 1 to 100". It never repeats the value.
    pub message: String,
}

/// A refusal as a client may read it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Refusal {
    /// What kind it is.
    pub kind: Kind,
    /// The stable reason that programs compare: ORDER_NOT_CANCELLABLE.
    pub reason: Cow<'static, str>,
    /// One sentence for people. It never repeats ids or input.
    pub message: Cow<'static, str>,
    /// The fields that break a rule, where input is bad.
    pub violations: Vec<Violation>,
    /// When to try again, where that helps.
    pub retry_after: Option<Duration>,
}

impl Refusal {
    /// A refusal of this kind.
    pub fn new(kind: Kind, reason: &'static str, message: impl Into<Cow<'static, str>>) -> Self {
        Self { kind, reason: reason.into(), message: message.into(), violations: vec![], retry_after: None }
    }

    /// Bad input in one field. `rule` continues the field's name: "must be from 1 to 100".
    pub fn bad_input(reason: &'static str, field: impl Into<String>, rule: impl Display) -> Self {
        let violation = Violation { field: field.into(), message: rule.to_string() };
        Self {
            violations: vec![violation.clone()],
            ..Self::new(Kind::BadInput, reason, format!("{} {}", violation.field, violation.message))
        }
    }

    /// There is no such thing, or not for this viewer: the two answer alike. `what` is "order", "user" ...
    pub fn not_found(what: &str) -> Self {
        Self::new(Kind::NotFound, "NOT_FOUND", format!("there is no such {what}"))
    }

    /// A token is needed.
    pub fn unauthenticated() -> Self {
        Self::new(
            Kind::Unauthenticated,
            "TOKEN_MISSING",
            "log in, and send the access token as `Authorization: Bearer`",
        )
    }

    /// The viewer may not.
    pub fn forbidden() -> Self {
        Self::new(Kind::Forbidden, "FORBIDDEN", "this is not permitted to you")
    }

    /// A service takes no more work until `delay` from now.
    pub fn overloaded(delay: Duration) -> Self {
        let message = "a service has too much to do; try again in a moment";
        Self::new(Kind::Unavailable, OVERLOADED, message).retry_after(delay)
    }

    /// A fault of ours. `source` is logged here, once, and does not leave the process.
    pub fn internal(source: impl Display) -> Self {
        tracing::error!(error = %source, "internal error");
        Self::new(Kind::Internal, "INTERNAL", "something went wrong on our side")
    }

    /// Adds when to try again.
    pub fn retry_after(mut self, delay: Duration) -> Self {
        self.retry_after = Some(delay);
        self
    }

    /// When to try again, in whole seconds, rounded up: a client that comes back too early is refused again.
    pub fn retry_after_seconds(&self) -> Option<u64> {
        self.retry_after.map(|delay| delay.as_millis().div_ceil(1000).try_into().unwrap_or(u64::MAX))
    }
}

impl From<Refusal> for Status {
    fn from(refusal: Refusal) -> Self {
        let code = if refusal.reason == OVERLOADED { Code::ResourceExhausted } else { refusal.kind.grpc() };
        let mut details = ErrorDetails::new();
        details.set_error_info(refusal.reason, DOMAIN, std::collections::HashMap::<String, String>::new());
        for violation in refusal.violations {
            details.add_bad_request_violation(violation.field, violation.message);
        }
        if let Some(delay) = refusal.retry_after {
            details.set_retry_info(Some(delay));
        }
        Status::with_error_details(code, refusal.message, details)
    }
}

/// Reads back what a service answered. A status that carries no reason of ours comes from the transport or from a
/// fault, and its text stays here.
impl From<&Status> for Refusal {
    fn from(status: &Status) -> Self {
        let details = status.get_error_details();
        let Some(info) = details.error_info().filter(|info| info.domain == DOMAIN) else {
            return Self::of_transport(status);
        };
        let violations = details.bad_request().map(|bad| bad.field_violations.as_slice()).unwrap_or_default();
        Self {
            kind: if info.reason == OVERLOADED { Kind::Unavailable } else { Kind::of(status.code()) },
            reason: info.reason.clone().into(),
            message: status.message().to_owned().into(),
            violations: violations
                .iter()
                .map(|v| Violation { field: v.field.clone(), message: v.description.clone() })
                .collect(),
            retry_after: details.retry_info().and_then(|retry| retry.retry_delay),
        }
    }
}

impl Refusal {
    fn of_transport(status: &Status) -> Self {
        match status.code() {
            Code::DeadlineExceeded | Code::Cancelled => {
                Self::new(Kind::Timeout, "SERVICE_TIMEOUT", "a service took too long to answer")
            }
            Code::Unavailable | Code::Unknown => Self::new(
                Kind::Unavailable,
                "SERVICE_UNAVAILABLE",
                "a service can't be reached; try again in a moment",
            ),
            _ => Self::internal(status),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_arrives_as_it_was_sent() {
        for (kind, ..) in TABLE.into_iter().filter(|row| row.0 != Kind::PersistedQueryNotFound) {
            let mut sent =
                Refusal::new(kind, "SOME_REASON", "some words").retry_after(Duration::from_secs(3));
            sent.violations.push(Violation { field: "items.0.quantity".into(), message: "must be 1".into() });
            assert_eq!(Refusal::from(&Status::from(sent.clone())), sent);
        }
    }

    #[test]
    fn a_service_that_takes_no_more_is_exhausted_between_services_and_unavailable_to_clients() {
        let sent = Refusal::overloaded(Duration::from_secs(1));
        let status = Status::from(sent.clone());
        assert_eq!(status.code(), Code::ResourceExhausted);
        assert_eq!(
            status.get_error_details().retry_info().and_then(|info| info.retry_delay),
            sent.retry_after
        );
        assert_eq!(Refusal::from(&status), sent);
    }

    #[test]
    fn the_text_of_a_strange_status_does_not_travel_on() {
        for code in [Code::Internal, Code::Unknown, Code::Unavailable, Code::DataLoss, Code::Cancelled] {
            let refusal = Refusal::from(&Status::new(code, "SELECT secret FROM users"));
            assert!(!refusal.message.contains("secret"), "{code}");
        }
    }
}
