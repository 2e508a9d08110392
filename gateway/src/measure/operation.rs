//! Operations, by type, outcome and, where it is trusted, name.

use std::sync::{Arc, LazyLock, OnceLock};

use async_graphql::parser::types::OperationType;
use metrics::Histogram;
use tokio::time::Instant;

/// Types of operations. What is refused before its document is read has none.
pub(super) const TYPES: [&str; 4] = ["query", "mutation", "subscription", "unknown"];
/// How operations end.
pub(super) const OUTCOMES: [&str; 4] = ["ok", "errors", "refused", "abandoned"];
const UNKNOWN: usize = 3;

/// All operations whose names are not trusted.
static OTHERS: LazyLock<Named> = LazyLock::new(|| Named::new("other"));

/// The operations of one name, with a handle for each type and outcome, made when it is first used.
pub(crate) struct Named {
    name: String,
    handles: [[OnceLock<Histogram>; OUTCOMES.len()]; TYPES.len()],
}

impl Named {
    /// Of this name, which is the operator's and not a client's.
    pub(crate) fn new(name: &str) -> Self {
        Self { name: name.to_owned(), handles: Default::default() }
    }

    fn record(&self, kind: usize, outcome: usize, since: Instant) {
        let handle = self.handles[kind][outcome].get_or_init(|| {
            metrics::histogram!(
                "graphql_operation_duration_seconds",
                "graphql_operation_type" => TYPES[kind],
                "graphql_operation_name" => self.name.clone(),
                "outcome" => OUTCOMES[outcome]
            )
        });
        handle.record(since.elapsed().as_secs_f64());
    }
}

/// An operation that is under way. It is counted when this is dropped, so also one that nobody waits for any more.
pub(crate) struct Timed {
    since: Instant,
    named: Option<Arc<Named>>,
    kind: usize,
    outcome: usize,
}

impl Timed {
    /// It begins, and nothing is known of it.
    pub(crate) fn begin() -> Self {
        Self { since: Instant::now(), named: None, kind: UNKNOWN, outcome: 3 }
    }

    /// Its document has this name, if any that is trusted.
    pub(crate) fn is_named(&mut self, named: Option<&Arc<Named>>) {
        self.named = named.cloned();
    }

    /// It is of this type.
    pub(crate) fn is(&mut self, kind: OperationType) {
        self.kind = match kind {
            OperationType::Query => 0,
            OperationType::Mutation => 1,
            OperationType::Subscription => 2,
        };
    }

    /// Its name, if it has one that is trusted.
    pub(crate) fn name(&self) -> Option<&str> {
        self.named.as_ref().map(|named| named.name.as_str())
    }

    /// It ran; with errors in its answer or without.
    pub(crate) fn ran(mut self, errors: bool) {
        self.outcome = usize::from(errors);
    }

    /// Nothing of it ran.
    pub(crate) fn refused(mut self) {
        self.outcome = 2;
    }
}

impl Drop for Timed {
    fn drop(&mut self) {
        self.named.as_deref().unwrap_or(&OTHERS).record(self.kind, self.outcome, self.since);
    }
}
