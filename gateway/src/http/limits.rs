//! What a request may be. Its document is looked at in three steps, each cheap enough for what it lets through to the
//! next: [`text`] before it is parsed, [`size`] before anything else looks at what was parsed, and its cost, which
//! depends on the variables. The first two are done once for a document, and kept with it.
//!
//! Where limits are only measured, a request beyond them is answered, and the log and a metric tell. What would end the
//! process, or keep it busy for minutes, is refused even then.

mod definitions;
mod size;
mod text;

use async_graphql::{Variables, parser::types::ExecutableDocument};
use async_graphql_value::ConstValue;
use runtime::{Kind, Refusal};

use super::cost::Cost;
use crate::config::{LimitConfig, Limiting};
pub(super) use size::Size;

/// The limits of this process.
pub(super) struct Limits(LimitConfig);

/// The limits that something is beyond, the first of them first. Empty is good.
pub(super) type Excess = Vec<Refusal>;

impl Limits {
    pub(super) fn new(config: &LimitConfig) -> Self {
        Self(config.clone())
    }

    /// Looks at the text of a document.
    ///
    /// # Errors
    /// BRACKETS_TOO_DEEP, which would end the process: the parser goes down into each bracket.
    pub(super) fn look(&self, text: &str) -> Result<Excess, Refusal> {
        let Self(limits) = self;
        let mut excess = Excess::new();
        over(&mut excess, text.len(), limits.document, "DOCUMENT_TOO_LARGE", "bytes");
        if self.refuse(&excess).is_err() {
            return Ok(excess);
        }
        let most = if self.enforces() { limits.tokens } else { u32::MAX };
        let scanned = text::scan(text.as_bytes(), most, limits.nesting);
        if scanned.nesting > limits.nesting {
            return Err(beyond("BRACKETS_TOO_DEEP", "levels of brackets", scanned.nesting, limits.nesting));
        }
        over(&mut excess, scanned.tokens, limits.tokens, "TOO_MANY_TOKENS", "tokens");
        over(&mut excess, scanned.depth, limits.depth, "QUERY_TOO_DEEP", "levels of fields");
        over(&mut excess, scanned.fields, limits.fields, "QUERY_TOO_LARGE", "fields");
        over(&mut excess, scanned.aliases, limits.aliases, "TOO_MANY_ALIASES", "aliases");
        Ok(excess)
    }

    /// Measures a document, all of its operations together. Adds to what its text is beyond.
    ///
    /// # Errors
    /// When looking at it any more would take too long.
    pub(super) fn measure(
        &self,
        document: &ExecutableDocument,
        excess: &mut Excess,
    ) -> Result<Size, Refusal> {
        let Self(limits) = self;
        let size = size::measure(document)?;
        // What the text was beyond is told already.
        let told = |reason| excess.iter().any(|refusal: &Refusal| refusal.reason == reason);
        let [deep, large, aliased] = ["QUERY_TOO_DEEP", "QUERY_TOO_LARGE", "TOO_MANY_ALIASES"].map(told);
        if !deep {
            over(excess, size.depth, limits.depth, "QUERY_TOO_DEEP", "levels of fields");
        }
        if !large {
            over(excess, size.fields, limits.fields, "QUERY_TOO_LARGE", "fields");
        }
        if !aliased {
            over(excess, size.aliases, limits.aliases, "TOO_MANY_ALIASES", "aliases");
        }
        over(excess, size.root_fields, limits.root_fields, "TOO_MANY_ROOT_FIELDS", "fields at the root");
        over(excess, size.directives, limits.directives, "TOO_MANY_DIRECTIVES", "directives");
        Ok(size)
    }

    /// Measures the values of variables.
    pub(super) fn measure_variables(&self, variables: &Variables, excess: &mut Excess) {
        let depth = variables.values().map(depth).max().unwrap_or(0);
        over(excess, depth, self.0.variables_depth, "VARIABLES_TOO_DEEP", "levels in its variables");
    }

    /// Judges how many representations `_entities` is asked for, which are found in the variables too.
    pub(super) fn measure_representations(&self, representations: usize, excess: &mut Excess) {
        if representations > self.0.representations as usize {
            let rule = format!("must be at most {}", self.0.representations);
            excess.push(Refusal::bad_input("TOO_MANY_KEYS", "representations", rule));
        }
    }

    /// Judges what an operation costs.
    pub(super) fn measure_cost(&self, cost: Cost, excess: &mut Excess) {
        over(excess, cost.points, self.0.cost, "QUERY_TOO_COSTLY", "points of cost");
        let parts = "parts of the schema";
        over(excess, cost.introspection, self.0.introspection, "INTROSPECTION_TOO_LARGE", parts);
    }

    /// The most points that an operation may cost.
    pub(super) fn most_points(&self) -> u32 {
        self.0.cost
    }

    fn enforces(&self) -> bool {
        self.0.limiting == Limiting::Enforce
    }

    /// Refuses what is beyond a limit.
    ///
    /// # Errors
    /// The first of it, where limits are enforced.
    pub(super) fn refuse(&self, excess: &[Refusal]) -> Result<(), Refusal> {
        excess.first().filter(|_| self.enforces()).map_or(Ok(()), |first| Err(first.clone()))
    }

    /// Judges a request once by all that it is beyond.
    ///
    /// # Errors
    /// The first of it, where limits are enforced.
    pub(super) fn judge(&self, excess: &[Refusal]) -> Result<(), Refusal> {
        self.refuse(excess)?;
        if excess.is_empty() {
            return Ok(());
        }
        for refusal in excess {
            let reason = refusal.reason.clone().into_owned();
            metrics::counter!("graphql_limits_exceeded_total", "reason" => reason).increment(1);
        }
        let beyond: Vec<&str> = excess.iter().map(|refusal| refusal.message.as_ref()).collect();
        tracing::warn!(beyond = beyond.join("; "), "a request beyond the limits is answered");
        Ok(())
    }
}

/// How deep lists and objects are nested.
fn depth(value: &ConstValue) -> u32 {
    let inner = match value {
        ConstValue::List(items) => items.iter().map(depth).max(),
        ConstValue::Object(members) => members.values().map(depth).max(),
        _ => return 0,
    };
    inner.unwrap_or(0) + 1
}

fn over<N, M>(excess: &mut Excess, found: N, most: M, reason: &'static str, what: &str)
where
    N: TryInto<u64>,
    M: TryInto<u64>,
{
    let (found, most) = (found.try_into().unwrap_or(u64::MAX), most.try_into().unwrap_or(u64::MAX));
    if found > most {
        excess.push(beyond(reason, what, found, most));
    }
}

fn beyond(reason: &'static str, what: &str, found: impl Into<u64>, most: impl Into<u64>) -> Refusal {
    let (found, most) = (found.into(), most.into());
    Refusal::new(
        Kind::BadInput,
        reason,
        format!("the request has {found} {what}; at most {most} are permitted"),
    )
}
