//! Parsed documents, kept for the next request with the same text: clients send few documents many times.
//!
//! What can be said about a document without its variables is found out once and kept with it.

mod roots;

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use async_graphql::{
    ServerError,
    parser::{parse_query, types::ExecutableDocument},
};
use moka::sync::Cache;

use super::{
    cost::{Costs, Plans},
    limits::{Excess, Limits},
    public::PublicOperations,
    respond::Refused,
};
use crate::{graphql::repeats, measure::DOCUMENTS};

/// About how much memory a parsed field takes beside its text, in bytes.
const BYTES_PER_FIELD: u32 = 400;

/// The parsed documents that are kept.
pub(super) struct Documents {
    /// By their whole text: two documents must never be taken for each other.
    cache: Cache<Box<str>, Arc<Document>>,
    costs: Costs,
}

/// A parsed document that is small enough to be looked at.
pub(super) struct Document {
    pub(super) parsed: ExecutableDocument,
    /// What its operations cost.
    pub(super) plans: Plans,
    /// The limits that it is beyond, where they are only measured.
    pub(super) excess: Excess,
    /// Which of its operations ask for public fields alone.
    pub(super) public: PublicOperations,
    /// Whether an object of its answer is put together from several halves.
    pub(super) repeats: bool,
    /// Whether none of its operations takes variables, so that it is valid always or never.
    constant: bool,
    /// Whether it is `constant` and was found to be valid.
    valid: AtomicBool,
    /// About how much memory it takes.
    bytes: u32,
}

impl Documents {
    /// Keeps documents of `bytes` in all; what was used least goes first.
    pub(super) fn new(bytes: u64, costs: Costs) -> Self {
        let cache = Cache::builder()
            .max_capacity(bytes)
            .weigher(|_, document: &Arc<Document>| document.bytes)
            .build();
        Self { cache, costs }
    }

    /// The document of this text.
    pub(super) fn parse(&self, text: &str, limits: &Limits) -> Result<Arc<Document>, Refused> {
        let kept = self.cache.get(text);
        DOCUMENTS.count(kept.is_some());
        if let Some(document) = kept {
            return Ok(document);
        }
        let mut excess = limits.look(text).map_err(Refused::by_kind)?;
        limits.refuse(&excess).map_err(Refused::by_kind)?;
        let mut parsed =
            parse_query(text).map_err(|error| Refused::by_graphql(vec![ServerError::from(error)]))?;
        let size = limits.measure(&parsed, &mut excess).map_err(Refused::by_kind)?;
        limits.refuse(&excess).map_err(Refused::by_kind)?;
        roots::merge(&mut parsed);
        let bytes = u32::try_from(text.len()).unwrap_or(u32::MAX);
        let mut operations = parsed.operations.iter();
        let document = Arc::new(Document {
            repeats: repeats(&parsed),
            plans: self.costs.plan(&parsed),
            excess,
            public: PublicOperations::default(),
            constant: operations.all(|(_, operation)| operation.node.variable_definitions.is_empty()),
            valid: AtomicBool::new(false),
            bytes: size.written.saturating_mul(BYTES_PER_FIELD).saturating_add(bytes.saturating_mul(2)),
            parsed,
        });
        self.cache.insert(text.into(), document.clone());
        Ok(document)
    }
}

impl Document {
    /// Notes that a field of it ran, which none does before all of it was found to be valid.
    pub(super) fn ran(&self) {
        if self.constant {
            self.valid.store(true, Ordering::Relaxed);
        }
    }

    /// Whether validating it once more would find the same.
    pub(super) fn is_known_to_be_valid(&self) -> bool {
        self.valid.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn documents(bytes: u64) -> (Documents, Limits) {
        let config: crate::Config = runtime::config::parse(["gateway"]).unwrap();
        (Documents::new(bytes, Costs::of(&crate::sdl())), Limits::new(&config.limits))
    }

    #[test]
    fn the_same_text_is_parsed_once() {
        let (documents, limits) = documents(1_000_000);
        let first = documents.parse("{ me { id } }", &limits).ok().unwrap();
        let second = documents.parse("{ me { id } }", &limits).ok().unwrap();
        assert!(Arc::ptr_eq(&first, &second));
        assert!(!Arc::ptr_eq(&first, &documents.parse("{ me {  id } }", &limits).ok().unwrap()));
    }

    #[test]
    fn only_a_document_without_variables_is_valid_for_good() {
        let (documents, limits) = documents(1_000_000);
        for (text, for_good) in
            [("{ me { id } }", true), ("query ($id: ID!) { user(id: $id) { id } }", false)]
        {
            let document = documents.parse(text, &limits).ok().unwrap();
            assert!(!document.is_known_to_be_valid(), "{text}");
            document.ran();
            assert_eq!(document.is_known_to_be_valid(), for_good, "{text}");
        }
    }

    #[test]
    fn the_documents_kept_stay_within_their_bytes() {
        let (documents, limits) = documents(100_000);
        for n in 0..1_000 {
            let _ = documents.parse(&format!("{{ a{n}: me {{ id email }} }}"), &limits);
        }
        documents.cache.run_pending_tasks();
        assert!(documents.cache.weighted_size() <= 100_000);
        assert!(documents.cache.entry_count() < 1_000);
    }
}
