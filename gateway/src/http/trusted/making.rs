//! A manifest out of the .graphql files of a client. Fragments may stand in any of the files; each operation becomes a
//! document of its own, with those fragments that it needs and as it is written there.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use async_graphql::{
    Pos,
    parser::{
        Error, parse_query,
        types::{ExecutableDocument, Selection, SelectionSet},
    },
};

use super::{
    manifest::{Manifest, Operation, Type},
    validation::{Validator, last_line},
};
use crate::{config::LimitConfig, http::persisted::Hash};

/// Stands in for the operation that a file of fragments alone does not have, which the parser insists on.
const NO_OPERATION: &str = "\nquery __none { __typename }";

/// A file of operations and fragments.
#[derive(Clone, Debug)]
pub struct DocumentFile {
    /// By what faults name it.
    pub name: String,
    /// What it holds.
    pub text: String,
}

/// What is wrong with a file, as compilers tell it: file:line:column: message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DocumentFault {
    file: String,
    place: Pos,
    message: String,
}

impl fmt::Display for DocumentFault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { file, place, message } = self;
        write!(formatter, "{file}:{}:{}: {message}", place.line, place.column)
    }
}

/// The manifest of all operations in these files, as JSON; each of them is valid and within the limits.
///
/// # Errors
/// All that is wrong with the files.
pub fn manifest(files: &[DocumentFile], limits: &LimitConfig) -> Result<String, Vec<DocumentFault>> {
    let mut faults = Vec::new();
    let mut definitions = Definitions::default();
    for file in files {
        read(file, &mut definitions).unwrap_or_else(|fault| faults.push(fault));
    }
    let validator = Validator::new(limits);
    let operations = definitions.operations.values().filter_map(|(ty, operation)| {
        let document = Document::of(operation, &definitions);
        let checked = validator.check(&document.text).map_err(|fault| {
            let place = fault.place.unwrap_or(Pos { line: 1, column: 1 });
            document.locate(place, fault.message)
        });
        checked.map_err(|fault| faults.push(fault)).ok()?;
        let id = Hash::of(&document.text).to_string();
        Some(Operation { id, body: document.text, name: operation.name.clone(), ty: *ty })
    });
    let operations = operations.collect();
    // A fragment that is broken is told once for all operations that spread it.
    let mut told = BTreeSet::new();
    faults.retain(|fault| told.insert(fault.to_string()));
    if !faults.is_empty() {
        return Err(faults);
    }
    // Texts alone: nothing in them can't be written.
    Ok(serde_json::to_string_pretty(&Manifest::new(operations)).unwrap_or_default())
}

/// What stands in all files together, by name.
#[derive(Default)]
struct Definitions {
    operations: BTreeMap<String, (Type, Definition)>,
    fragments: BTreeMap<String, Definition>,
}

/// One operation or fragment as it is written.
struct Definition {
    name: String,
    file: String,
    start: Pos,
    text: String,
    /// The fragments that it spreads.
    spreads: BTreeSet<String>,
}

fn read(file: &DocumentFile, definitions: &mut Definitions) -> Result<(), DocumentFault> {
    let fault = |place, message: String| DocumentFault { file: file.name.clone(), place, message };
    let document = parse(&file.text).map_err(|error| {
        let place = error.positions().next().unwrap_or(Pos { line: 1, column: 1 });
        fault(place, last_line(&error.to_string()))
    })?;
    let operations = document.operations.iter().map(|(_, operation)| operation.pos);
    let mut starts: Vec<Pos> =
        operations.chain(document.fragments.values().map(|fragment| fragment.pos)).collect();
    starts.sort_by_key(|start| (start.line, start.column));
    let define = |name: &str, start: Pos, selection: &SelectionSet| {
        let end = starts.iter().find(|next| (next.line, next.column) > (start.line, start.column));
        let end = end.map_or(file.text.len(), |end| offset(&file.text, *end));
        let mut spreads = BTreeSet::new();
        collect_spreads(selection, &mut spreads);
        let text = without_comments_after(&file.text[offset(&file.text, start)..end]).to_owned();
        Definition { name: name.to_owned(), file: file.name.clone(), start, text, spreads }
    };
    for (name, fragment) in &document.fragments {
        let definition = define(name, fragment.pos, &fragment.node.selection_set.node);
        if let Some(other) = definitions.fragments.insert(name.to_string(), definition) {
            return Err(fault(fragment.pos, format!("the fragment {name} stands in {} too", other.file)));
        }
    }
    for (name, operation) in
        document.operations.iter().filter(|(name, _)| name.is_none_or(|name| name != "__none"))
    {
        let Some(name) = name else {
            return Err(fault(operation.pos, "an operation needs a name".to_owned()));
        };
        let definition = define(name, operation.pos, &operation.node.selection_set.node);
        let defined = (operation.node.ty.into(), definition);
        if let Some((_, other)) = definitions.operations.insert(name.to_string(), defined) {
            return Err(fault(operation.pos, format!("the operation {name} stands in {} too", other.file)));
        }
    }
    Ok(())
}

fn parse(text: &str) -> Result<ExecutableDocument, Error> {
    match parse_query(text) {
        Err(Error::MissingOperation) => parse_query(format!("{text}{NO_OPERATION}")),
        parsed => parsed,
    }
}

/// Where the place is in the text, in bytes.
fn offset(text: &str, place: Pos) -> usize {
    let mut lines = text.split_inclusive('\n');
    let before: usize = lines.by_ref().take(place.line - 1).map(str::len).sum();
    let line = lines.next().unwrap_or_default();
    before + line.char_indices().nth(place.column - 1).map_or(line.len(), |(offset, _)| offset)
}

/// Without the comments that belong to what comes next. A definition ends with a bracket, so none of its own lines is
/// taken for one.
fn without_comments_after(text: &str) -> &str {
    let mut text = text.trim_end();
    while let Some((before, last)) = text.rsplit_once('\n')
        && last.trim_start().starts_with('#')
    {
        text = before.trim_end();
    }
    text
}

fn collect_spreads(selection: &SelectionSet, spreads: &mut BTreeSet<String>) {
    for item in &selection.items {
        match &item.node {
            Selection::Field(field) => collect_spreads(&field.node.selection_set.node, spreads),
            Selection::InlineFragment(fragment) => {
                collect_spreads(&fragment.node.selection_set.node, spreads);
            }
            Selection::FragmentSpread(spread) => {
                spreads.insert(spread.node.fragment_name.node.to_string());
            }
        }
    }
}

/// An operation with its fragments.
struct Document<'a> {
    text: String,
    /// What it is made of, each with the line on which it begins in `text`.
    parts: Vec<(usize, &'a Definition)>,
}

impl<'a> Document<'a> {
    fn of(operation: &'a Definition, definitions: &'a Definitions) -> Self {
        let mut wanted: Vec<&str> = operation.spreads.iter().map(String::as_str).collect();
        let mut fragments = BTreeMap::new();
        while let Some(name) = wanted.pop() {
            // One that is nowhere is told by the validation, with its place.
            let Some(fragment) = definitions.fragments.get(name) else { continue };
            if fragments.insert(name, fragment).is_none() {
                wanted.extend(fragment.spreads.iter().map(String::as_str));
            }
        }
        let mut document = Self { text: String::new(), parts: Vec::new() };
        for part in std::iter::once(operation).chain(fragments.into_values()) {
            if !document.text.is_empty() {
                document.text.push_str("\n\n");
            }
            document.parts.push((document.text.matches('\n').count() + 1, part));
            document.text.push_str(&part.text);
        }
        document
    }

    /// A fault at this place, told where it stands in its file.
    fn locate(&self, place: Pos, message: String) -> DocumentFault {
        let part = self.parts.iter().rev().find(|(first, _)| *first <= place.line);
        let (first, part) = part.unwrap_or(&self.parts[0]);
        // What stands before a definition on its own first line was left out.
        let before = if place.line == *first { part.start.column - 1 } else { 0 };
        let place = Pos { line: place.line - first + part.start.line, column: place.column + before };
        DocumentFault { file: part.file.clone(), place, message }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(files: &[(&str, &str)]) -> Result<Manifest, Vec<String>> {
        let config: crate::Config = runtime::config::parse(["gateway"]).unwrap();
        let file = |(name, text): &(&str, &str)| DocumentFile { name: (*name).into(), text: (*text).into() };
        let made = manifest(&files.iter().map(file).collect::<Vec<_>>(), &config.limits);
        made.map(|json| serde_json::from_str(&json).unwrap())
            .map_err(|faults| faults.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn each_operation_gets_the_fragments_that_it_needs_out_of_all_files() {
        let shop = "# The shop.\nquery Shop { products { data { ...p } } }\n\n# Who asks.\nquery Me { me { ...u } }\n";
        let fragments = "fragment p on Product { id ...price } fragment price on Product { unitPrice }\n";
        let made = made(&[
            ("shop.graphql", shop),
            ("f.graphql", fragments),
            ("u.graphql", "fragment u on User { id }"),
        ]);
        let made = made.unwrap();
        let bodies: Vec<&str> = made.operations().iter().map(|operation| operation.body.as_str()).collect();
        assert_eq!(
            bodies,
            [
                "query Me { me { ...u } }\n\nfragment u on User { id }",
                "query Shop { products { data { ...p } } }\n\nfragment p on Product { id ...price }\n\nfragment price on Product { unitPrice }",
            ]
        );
        for operation in made.operations() {
            assert_eq!(operation.id, Hash::of(&operation.body).to_string());
        }
    }

    #[test]
    fn what_is_wrong_is_told_with_file_and_line_and_all_of_it_at_once() {
        let faults = made(&[
            ("a.graphql", "query A {\n  me { id nonsense }\n}"),
            ("b.graphql", "query B {\n  me {"),
            ("c.graphql", "{ me { id } }"),
            ("d.graphql", "\n\nfragment f on User {\n  name\n}"),
            ("e.graphql", "query E { me { ...f } }\nquery E2 { me { ...f ...missing } }"),
            ("f.graphql", "query E { me { id } }"),
        ])
        .unwrap_err();
        let found = |start: &str, word: &str| {
            assert!(
                faults.iter().any(|fault| fault.starts_with(start) && fault.contains(word)),
                "{start} {word}: {faults:#?}"
            );
        };
        found("a.graphql:2:11: ", "nonsense");
        found("b.graphql:2:", "expected");
        found("c.graphql:1:1: ", "needs a name");
        found("d.graphql:4:3: ", "name");
        found("f.graphql:1:1: ", "stands in e.graphql too");
    }

    #[test]
    fn what_is_beyond_the_limits_is_no_trusted_document_either() {
        let deep =
            format!("query Deep {{ {} id {} }}", "me { orders { user { ".repeat(10), "} } } ".repeat(10));
        let faults = made(&[("deep.graphql", &deep)]).unwrap_err();
        assert!(faults[0].starts_with("deep.graphql:1:1: "), "{faults:?}");
    }
}
