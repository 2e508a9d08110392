//! The manifest of trusted documents, in the format of Apollo's tools, so that these can make it too:
//! <https://www.apollographql.com/docs/kotlin/advanced/persisted-queries#operation-manifest-format>.

use std::{collections::HashMap, fs, sync::Arc};

use async_graphql::parser::{parse_query, types::OperationType};
use serde::{Deserialize, Serialize};

use crate::http::persisted::Hash;

const FORMAT: &str = "apollo-persisted-query-manifest";
const VERSION: u32 = 1;

/// A manifest that was read: each of its documents can be parsed, has the operation that it names, and an identifier of
/// its own.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Manifest {
    format: String,
    version: u32,
    operations: Vec<Operation>,
}

/// One operation with its fragments.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Operation {
    /// By what clients ask for it.
    pub(crate) id: String,
    /// The text of its document.
    pub(crate) body: String,
    /// The operation's name.
    pub(crate) name: String,
    /// What kind of operation it is.
    #[serde(rename = "type")]
    pub(crate) ty: Type,
}

/// The kind of an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Type {
    Query,
    Mutation,
    Subscription,
}

impl From<OperationType> for Type {
    fn from(ty: OperationType) -> Self {
        match ty {
            OperationType::Query => Self::Query,
            OperationType::Mutation => Self::Mutation,
            OperationType::Subscription => Self::Subscription,
        }
    }
}

impl Manifest {
    /// Of these operations.
    pub(super) fn new(operations: Vec<Operation>) -> Self {
        Self { format: FORMAT.to_owned(), version: VERSION, operations }
    }

    /// Reads the file at `path`.
    ///
    /// # Errors
    /// Why it is none, naming the document that is not good.
    pub(crate) fn read(path: &str) -> Result<Arc<Self>, String> {
        let text = fs::read_to_string(path).map_err(|error| format!("{path} can't be read: {error}"))?;
        Self::parse(&text).map(Arc::new).map_err(|fault| format!("{path}: {fault}"))
    }

    fn parse(text: &str) -> Result<Self, String> {
        let manifest: Self = serde_json::from_str(text).map_err(|error| format!("no manifest: {error}"))?;
        if manifest.format != FORMAT || manifest.version != VERSION {
            return Err(format!("no manifest of the format {FORMAT:?}, version {VERSION}"));
        }
        let mut names = HashMap::new();
        for (place, operation) in manifest.operations.iter().enumerate() {
            let told = |fault: String| format!("the document {:?} is not good: {fault}", operation.name);
            operation.check().map_err(told)?;
            for name in [operation.id.clone(), Hash::of(&operation.body).to_string()] {
                if names.insert(name, place).is_some_and(|other| other != place) {
                    return Err(told("another one has its identifier or its text".to_owned()));
                }
            }
        }
        Ok(manifest)
    }

    /// What it holds.
    pub(crate) fn operations(&self) -> &[Operation] {
        &self.operations
    }
}

impl Operation {
    fn check(&self) -> Result<(), String> {
        if self.id.is_empty() {
            return Err("it has no identifier".to_owned());
        }
        let document = parse_query(&self.body).map_err(|error| error.to_string())?;
        let mut operations = document.operations.iter();
        match (operations.next(), operations.next()) {
            (Some((Some(name), operation)), None)
                if *name == self.name && Type::from(operation.node.ty) == self.ty =>
            {
                Ok(())
            }
            _ => Err("it must hold the one operation of its name and its type".to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn fault(manifest: &Value) -> String {
        Manifest::parse(&manifest.to_string()).unwrap_err()
    }

    fn of(operations: Value) -> Value {
        json!({ "format": FORMAT, "version": 1, "operations": operations })
    }

    #[test]
    fn a_manifest_of_apollos_tools_is_read() {
        let operation = json!({ "id": "1", "name": "A", "type": "query", "body": "query A { me { id } }" });
        let manifest = Manifest::parse(&of(json!([operation])).to_string()).unwrap();
        assert_eq!(manifest.operations()[0].body, "query A { me { id } }");
        assert_eq!(serde_json::to_value(&manifest).unwrap(), of(json!([operation])));
    }

    #[test]
    fn a_bad_manifest_is_refused_and_names_its_document() {
        let one = |id: &str, name: &str, ty: &str, body: &str| json!({ "id": id, "name": name, "type": ty, "body": body });
        let good = one("1", "A", "query", "query A { me { id } }");
        for bad in [
            one("1", "Bad", "query", "query Bad { me { id } }"),
            one("2", "Bad", "query", "query A { me { id } }"),
            one("2", "Bad", "mutation", "query Bad { me { id } }"),
            one("2", "Bad", "query", "query Bad { me {"),
            one("2", "Bad", "query", "query Bad { me { id } } query C { me { id } }"),
            one("2", "Bad", "query", "{ me { id } }"),
            one("", "Bad", "query", "query Bad { me { id } }"),
        ] {
            let fault = fault(&of(json!([good, bad])));
            assert!(fault.contains("the document \"Bad\""), "{fault}");
        }
        for manifest in [json!({}), json!([]), json!({ "format": "other", "version": 1, "operations": [] })] {
            assert!(fault(&manifest).contains("no manifest"), "{manifest}");
        }
    }
}
