//! Parsed documents, kept for the next request with the same text: clients send few documents many times.
//!
//! A document's size is counted with its fragments spread, before anything else looks at it: nested fragments make a
//! kilobyte stand for billions of fields, and the validation of the GraphQL crate spreads them all.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use async_graphql::{
    Name, ServerError,
    parser::{
        parse_query,
        types::{ExecutableDocument, Selection, SelectionSet},
    },
};
use moka::sync::Cache;
use runtime::{Kind, Refusal};

use super::respond::Refused;

/// The most fields of a document, its fragments spread. The IDE asks for the schema with about 200.
const MOST_FIELDS: u32 = 2_000;
/// How deep fields may be nested. The IDE asks for the schema with 15 levels.
const DEEPEST: u32 = 20;
/// About how much memory a parsed field takes beside its text, in bytes.
const BYTES_PER_FIELD: u32 = 400;

/// The parsed documents that are kept.
pub(super) struct Documents {
    /// By their whole text: two documents must never be taken for each other.
    cache: Cache<Box<str>, Arc<Document>>,
}

/// A parsed document that is small enough to be looked at.
pub(super) struct Document {
    pub(super) parsed: ExecutableDocument,
    /// Whether none of its operations takes variables, so that it is valid always or never.
    constant: bool,
    /// Whether it is `constant` and was found to be valid.
    valid: AtomicBool,
    /// About how much memory it takes.
    bytes: u32,
}

impl Documents {
    /// Keeps documents of `bytes` in all; what was used least goes first.
    pub(super) fn new(bytes: u64) -> Self {
        let cache = Cache::builder()
            .max_capacity(bytes)
            .weigher(|_, document: &Arc<Document>| document.bytes)
            .build();
        Self { cache }
    }

    /// The document of this text.
    pub(super) fn parse(&self, text: &str) -> Result<Arc<Document>, Refused> {
        if let Some(document) = self.cache.get(text) {
            return Ok(document);
        }
        let parsed =
            parse_query(text).map_err(|error| Refused::by_graphql(vec![ServerError::from(error)]))?;
        let size = measure(&parsed).map_err(Refused::by_kind)?;
        let bytes = u32::try_from(text.len()).unwrap_or(u32::MAX);
        let bytes = size.written.saturating_mul(BYTES_PER_FIELD).saturating_add(bytes.saturating_mul(2));
        let mut operations = parsed.operations.iter();
        let constant = operations.all(|(_, operation)| operation.node.variable_definitions.is_empty());
        let document = Arc::new(Document { parsed, constant, valid: AtomicBool::new(false), bytes });
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

/// How large a selection is.
#[derive(Clone, Copy, Default)]
struct Size {
    /// Its fields and those of its fragments, each as often as it is spread.
    fields: u32,
    /// The longest way down.
    depth: u32,
    /// Selections as they are written.
    written: u32,
}

impl Size {
    fn and(self, other: Self) -> Self {
        Self {
            fields: self.fields.saturating_add(other.fields),
            depth: self.depth.max(other.depth),
            written: self.written.saturating_add(other.written),
        }
    }
}

/// The size of a whole document, all of its operations together.
fn measure(document: &ExecutableDocument) -> Result<Size, Refusal> {
    let mut meter = Meter { document, fragments: HashMap::new() };
    let mut whole = Size::default();
    for name in document.fragments.keys() {
        whole.written = whole.written.saturating_add(meter.fragment(name)?.written);
    }
    for (_, operation) in document.operations.iter() {
        whole = whole.and(meter.selection(&operation.node.selection_set.node)?);
    }
    if whole.fields > MOST_FIELDS {
        return Err(Refusal::new(Kind::BadInput, "QUERY_TOO_LARGE", "the document asks for too many fields"));
    }
    if whole.depth > DEEPEST {
        return Err(Refusal::new(Kind::BadInput, "QUERY_TOO_DEEP", "the document is nested too deep"));
    }
    Ok(whole)
}

/// Measures each fragment once.
struct Meter<'a> {
    document: &'a ExecutableDocument,
    /// `None` while the fragment is being measured: who meets that has gone in a circle.
    fragments: HashMap<&'a Name, Option<Size>>,
}

impl<'a> Meter<'a> {
    fn selection(&mut self, selection: &'a SelectionSet) -> Result<Size, Refusal> {
        let mut whole = Size::default();
        for item in &selection.items {
            let size = match &item.node {
                Selection::Field(field) => {
                    let inner = self.selection(&field.node.selection_set.node)?;
                    Size { depth: inner.depth + 1, ..inner.and(Size { fields: 1, depth: 0, written: 1 }) }
                }
                Selection::InlineFragment(fragment) => {
                    let inner = self.selection(&fragment.node.selection_set.node)?;
                    Size { written: inner.written.saturating_add(1), ..inner }
                }
                Selection::FragmentSpread(spread) => {
                    Size { written: 1, ..self.fragment(&spread.node.fragment_name.node)? }
                }
            };
            whole = whole.and(size);
        }
        Ok(whole)
    }

    fn fragment(&mut self, name: &Name) -> Result<Size, Refusal> {
        // One that is not defined is told by the validation, with its place.
        let Some((name, fragment)) = self.document.fragments.get_key_value(name) else {
            return Ok(Size::default());
        };
        match self.fragments.get(name) {
            Some(Some(size)) => return Ok(*size),
            Some(None) => {
                return Err(Refusal::new(Kind::BadInput, "GRAPHQL_INVALID", "a fragment spreads itself"));
            }
            None => self.fragments.insert(name, None),
        };
        let size = self.selection(&fragment.node.selection_set.node)?;
        self.fragments.insert(name, Some(size));
        Ok(size)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(text: &str) -> Option<String> {
        measure(&parse_query(text).unwrap()).err().map(|refusal| refusal.reason.into_owned())
    }

    #[test]
    fn a_small_text_that_stands_for_many_fields_is_refused_at_once() {
        let mut bomb = String::from("{ me { ...f0 } } fragment f99 on User { id }");
        for n in 0..99 {
            bomb += &format!(" fragment f{n} on User {{ ...f{m} ...f{m} }}", m = n + 1);
        }
        let started = std::time::Instant::now();
        assert_eq!(refusal(&bomb).as_deref(), Some("QUERY_TOO_LARGE"));
        assert!(started.elapsed().as_millis() < 500);
    }

    #[test]
    fn fragments_that_go_in_a_circle_are_refused() {
        let circle = "{ me { ...a } } fragment a on User { ...b } fragment b on User { id ...a ...a }";
        assert_eq!(refusal(circle).as_deref(), Some("GRAPHQL_INVALID"));
        assert_eq!(refusal("{ me { id } } fragment a on User { ...a }").as_deref(), Some("GRAPHQL_INVALID"));
    }

    #[test]
    fn depth_counts_the_fields_of_fragments_too() {
        let nested = |levels: usize| format!("{}id{}", "me { ".repeat(levels), " }".repeat(levels));
        assert_eq!(refusal(&format!("{{ {} }}", nested(19))), None);
        assert_eq!(refusal(&format!("{{ {} }}", nested(20))).as_deref(), Some("QUERY_TOO_DEEP"));
        let split = format!("{{ a {{ b {{ ...f }} }} }} fragment f on User {{ {} }}", nested(18));
        assert_eq!(refusal(&split).as_deref(), Some("QUERY_TOO_DEEP"));
    }

    #[test]
    fn the_same_text_is_parsed_once() {
        let documents = Documents::new(1_000_000);
        let first = documents.parse("{ me { id } }").ok().unwrap();
        let second = documents.parse("{ me { id } }").ok().unwrap();
        assert!(Arc::ptr_eq(&first, &second));
        assert!(!Arc::ptr_eq(&first, &documents.parse("{ me {  id } }").ok().unwrap()));
    }

    #[test]
    fn only_a_document_without_variables_is_valid_for_good() {
        let documents = Documents::new(1_000_000);
        for (text, for_good) in
            [("{ me { id } }", true), ("query ($id: ID!) { user(id: $id) { id } }", false)]
        {
            let document = documents.parse(text).ok().unwrap();
            assert!(!document.is_known_to_be_valid(), "{text}");
            document.ran();
            assert_eq!(document.is_known_to_be_valid(), for_good, "{text}");
        }
    }

    #[test]
    fn the_documents_kept_stay_within_their_bytes() {
        let documents = Documents::new(100_000);
        for n in 0..1_000 {
            let _ = documents.parse(&format!("{{ a{n}: me {{ id email }} }}"));
        }
        documents.cache.run_pending_tasks();
        assert!(documents.cache.weighted_size() <= 100_000);
        assert!(documents.cache.entry_count() < 1_000);
    }
}
