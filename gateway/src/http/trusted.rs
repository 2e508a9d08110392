//! Documents that are trusted: those of a manifest, which the people who run this gateway made from the documents of
//! their own clients. In the mode `log` it is told which others clients send; in the mode `enforce` no other runs.
//!
//! Each of them is parsed, validated and held against the limits when the gateway starts. A request costs a look into a
//! table, by its document's text or by its name.

pub(crate) mod making;
pub(crate) mod manifest;
mod validation;

use std::{collections::HashMap, sync::Arc};

use async_graphql::parser::types::{ExecutableDocument, Selection, SelectionSet};
use identity::Viewer;
use moka::sync::Cache;
use runtime::{Kind, Refusal};

use super::{
    check::SCHEMA_FIELDS,
    document::{Document, Documents},
    limits::Limits,
    persisted::Hash,
    read::Inquiry,
    respond::Refused,
};
use crate::{
    Config,
    config::{DocumentConfig, Trusting},
    measure::Named,
};
use manifest::Operation;

/// How many documents are remembered of which the log was told.
const TOLD: u64 = 10_000;

/// The documents of the manifest.
pub(super) struct Trusted {
    mode: Trusting,
    /// By their identifiers, and by the hashes of their texts in hexadecimal.
    by_name: HashMap<Box<str>, Arc<Entry>>,
    by_text: HashMap<Box<str>, Arc<Entry>>,
    told: Cache<Hash, ()>,
}

/// One of them.
pub(super) struct Entry {
    text: Box<str>,
    pub(super) document: Arc<Document>,
    /// Under its name, which is ours and not a client's, it is counted.
    pub(super) named: Arc<Named>,
}

impl Trusted {
    /// Those of the settings. One that is beyond the limits is left out: [`check`] has told of it before.
    pub(super) fn new(config: &DocumentConfig, documents: &Documents, limits: &Limits) -> Self {
        let (mut by_name, mut by_text) = (HashMap::new(), HashMap::new());
        let used = config.trusted_documents.iter().filter(|_| config.trusted_documents_mode != Trusting::Off);
        for operation in used.flat_map(|manifest| manifest.operations()) {
            let Operation { id, body, name, .. } = operation;
            let Ok(document) = documents.parse(body, limits) else { continue };
            let named = Arc::new(Named::new(name));
            let entry = Arc::new(Entry { text: body.as_str().into(), document, named });
            by_name.insert(Hash::of(body).to_string().into(), entry.clone());
            by_name.insert(id.as_str().into(), entry.clone());
            by_text.insert(body.as_str().into(), entry);
        }
        let told = Cache::new(TOLD);
        Self { mode: config.trusted_documents_mode, by_name, by_text, told }
    }

    /// The trusted document that is asked for; `None` when it is none. Fills in its text.
    pub(super) fn find(
        &self,
        name: Option<&str>,
        inquiry: &mut Inquiry<'_>,
    ) -> Result<Option<&Entry>, Refused> {
        if self.mode == Trusting::Off {
            return Ok(None);
        }
        let Some(name) = name else {
            return Ok(self.by_text.get(inquiry.query.as_ref()).map(AsRef::as_ref));
        };
        let Some(entry) = self.by_name.get(name) else { return Ok(None) };
        if inquiry.query.is_empty() {
            inquiry.query = entry.text.to_string().into();
        } else if inquiry.query != *entry.text {
            let message = "the hash is not that of the document";
            return Err(Refused::by_kind(Refusal::new(
                Kind::BadInput,
                "PERSISTED_QUERY_HASH_WRONG",
                message,
            )));
        }
        Ok(Some(entry))
    }

    /// Whether another document may be looked at: an admin's may, since tools ask for the schema by their own.
    pub(super) fn admit(&self, inquiry: &Inquiry<'_>, viewer: Option<Viewer>) -> Result<(), Refused> {
        let admin = viewer.is_some_and(|viewer| viewer.is_admin());
        if self.mode == Trusting::Enforce && (!admin || inquiry.query.is_empty()) {
            return Err(not_trusted());
        }
        Ok(())
    }

    /// Judges a document that is none of the manifest's.
    pub(super) fn judge(&self, inquiry: &Inquiry<'_>, document: &Document) -> Result<(), Refused> {
        match self.mode {
            Trusting::Off => Ok(()),
            Trusting::Log => {
                self.tell(inquiry);
                Ok(())
            }
            Trusting::Enforce if asks_for_the_schema_alone(&document.parsed) => Ok(()),
            Trusting::Enforce => Err(not_trusted()),
        }
    }

    /// Tells the log, once for each document. Not its text, which may hold what is nobody's business.
    fn tell(&self, inquiry: &Inquiry<'_>) {
        metrics::counter!("graphql_untrusted_documents_total").increment(1);
        let hash = Hash::of(&inquiry.query);
        if self.told.contains_key(&hash) {
            return;
        }
        self.told.insert(hash, ());
        let operation = inquiry.operation_name.as_deref().unwrap_or_default();
        tracing::warn!(%hash, operation, "a document is not in the manifest of trusted ones");
    }
}

fn not_trusted() -> Refused {
    let message = "only the documents of this service's own clients are answered here";
    Refused::by_kind(Refusal::new(Kind::Forbidden, "DOCUMENT_NOT_TRUSTED", message))
}

/// Whether no operation of the document asks for data.
fn asks_for_the_schema_alone(document: &ExecutableDocument) -> bool {
    let mut roots: Vec<&SelectionSet> =
        document.operations.iter().map(|(_, operation)| &operation.node.selection_set.node).collect();
    while let Some(root) = roots.pop() {
        for item in &root.items {
            match &item.node {
                Selection::Field(field) => {
                    let name = field.node.name.node.as_str();
                    if !SCHEMA_FIELDS.contains(&name) && name != "__typename" {
                        return false;
                    }
                }
                Selection::InlineFragment(fragment) => roots.push(&fragment.node.selection_set.node),
                // The IDE spreads its fragments deeper down; at a root nobody has to.
                Selection::FragmentSpread(_) => return false,
            }
        }
    }
    true
}

/// Holds the manifest of the settings against the schema and the limits.
///
/// # Errors
/// A line that names the first document that is not good, and says why.
pub(crate) fn check(config: &Config) -> Result<(), String> {
    let Some(manifest) = &config.documents.trusted_documents else { return Ok(()) };
    let validator = validation::Validator::new(&config.limits);
    manifest.operations().iter().try_for_each(|operation| {
        validator.check(&operation.body).map_err(|fault| {
            format!(
                "GATEWAY_TRUSTED_DOCUMENTS: the document {:?} is not good: {}",
                operation.name, fault.message
            )
        })
    })
}

#[cfg(test)]
mod tests {
    use async_graphql::parser::parse_query;

    use super::*;

    #[test]
    fn what_asks_for_anything_beside_the_schema_does_not_ask_for_it_alone() {
        let alone = |text| asks_for_the_schema_alone(&parse_query(text).unwrap());
        assert!(alone(
            "{ __schema { types { ...t } } __typename } fragment t on __Type { name fields { name } }"
        ));
        assert!(alone(
            "query A { ... on Query { _service { sdl } } } query B { __type(name: \"A\") { name } }"
        ));
        for text in [
            "{ __schema { types { name } } me { id } }",
            "{ ... { ... { me { id } } } }",
            "{ ...q } fragment q on Query { me { id } }",
            "query A { __typename } mutation B { logout }",
            "{ _entities(representations: []) { __typename } }",
        ] {
            assert!(!alone(text), "{text}");
        }
    }
}
