//! Root fields that a query asks for several times, here and in a fragment: as one field, so that its service is called
//! once. What stands deeper is loaded by key, and so called for once however often it is asked for.

use std::collections::HashSet;

use async_graphql::{
    Name, Positioned,
    parser::types::{DocumentOperations, ExecutableDocument, Field, OperationType, Selection, SelectionSet},
};

/// The type of the root of queries.
const QUERY: &str = "Query";
/// How many selections of a root are looked at, those of fragments as often as they are spread.
const MOST_SELECTIONS: usize = 500;

/// Puts together what each query asks of the same root field with the same arguments. What has a condition stays as it
/// is, and so does what would not be valid. Fragments whose fields were all taken out of them are gone.
pub(super) fn merge(document: &mut ExecutableDocument) {
    let mut spread = HashSet::new();
    let merged: Vec<_> = document
        .operations
        .iter()
        .filter(|(_, operation)| operation.node.ty == OperationType::Query)
        .filter_map(|(name, operation)| {
            let selection = merged(document, &operation.node.selection_set.node, &mut spread)?;
            Some((name.cloned(), selection))
        })
        .collect();
    if merged.is_empty() {
        return;
    }
    for (name, selection) in merged {
        let operation = match (&mut document.operations, name) {
            (DocumentOperations::Single(operation), _) => Some(operation),
            (DocumentOperations::Multiple(operations), name) => {
                name.and_then(|name| operations.get_mut(&name))
            }
        };
        if let Some(operation) = operation {
            operation.node.selection_set.node = selection;
        }
    }
    // A fragment that nothing spreads would make the document invalid.
    let still = spread_in(document);
    document.fragments.retain(|name, _| still.contains(name) || !spread.contains(name));
}

/// The selection with each field once; `None` when there is nothing to put together. Adds what fragments it took in to
/// `spread`.
fn merged(
    document: &ExecutableDocument,
    selection: &SelectionSet,
    spread: &mut HashSet<Name>,
) -> Option<SelectionSet> {
    let (mut fields, mut fragments, mut left) = (Vec::new(), HashSet::new(), MOST_SELECTIONS);
    flatten(document, selection, &mut fields, &mut fragments, &mut left)?;
    let mut keys = HashSet::new();
    if fields.iter().all(|field| keys.insert(&field.node.response_key().node)) {
        return None;
    }
    let mut once: Vec<Positioned<Field>> = Vec::with_capacity(fields.len());
    for field in fields {
        match once.iter_mut().find(|first| are_one(&first.node, &field.node)) {
            Some(first) => {
                let more = field.node.selection_set.node.items.iter().cloned();
                first.node.selection_set.node.items.extend(more);
            }
            None => once.push(field.clone()),
        }
    }
    spread.extend(fragments);
    let items = once.into_iter().map(|field| Positioned::new(Selection::Field(field.clone()), field.pos));
    Some(SelectionSet { items: items.collect() })
}

fn are_one(one: &Field, other: &Field) -> bool {
    one.directives.is_empty()
        && other.directives.is_empty()
        && one.response_key() == other.response_key()
        && one.name == other.name
        && one.arguments == other.arguments
}

/// The fields of a root, those of its fragments among them; `None` where a fragment has a condition, is not about the
/// root, or leads too far.
fn flatten<'a>(
    document: &'a ExecutableDocument,
    selection: &'a SelectionSet,
    fields: &mut Vec<&'a Positioned<Field>>,
    spread: &mut HashSet<Name>,
    left: &mut usize,
) -> Option<()> {
    for item in &selection.items {
        *left = left.checked_sub(1)?;
        let (condition, directives, selection) = match &item.node {
            Selection::Field(field) => {
                fields.push(field);
                continue;
            }
            Selection::InlineFragment(inline) => {
                let inline = &inline.node;
                (inline.type_condition.as_ref(), &inline.directives, &inline.selection_set)
            }
            Selection::FragmentSpread(used) if used.node.directives.is_empty() => {
                let name = &used.node.fragment_name.node;
                let fragment = &document.fragments.get(name)?.node;
                spread.insert(name.clone());
                (Some(&fragment.type_condition), &fragment.directives, &fragment.selection_set)
            }
            Selection::FragmentSpread(_) => return None,
        };
        let is_plain = directives.is_empty() && condition.is_none_or(|on| on.node.on.node == QUERY);
        if !is_plain {
            return None;
        }
        flatten(document, &selection.node, fields, spread, left)?;
    }
    Some(())
}

/// The names of all fragments that are spread somewhere.
fn spread_in(document: &ExecutableDocument) -> HashSet<Name> {
    let operations = document.operations.iter().map(|(_, operation)| &operation.node.selection_set.node);
    let fragments = document.fragments.values().map(|fragment| &fragment.node.selection_set.node);
    let mut open: Vec<&SelectionSet> = operations.chain(fragments).collect();
    let mut names = HashSet::new();
    while let Some(selection) = open.pop() {
        for item in &selection.items {
            match &item.node {
                Selection::Field(field) => open.push(&field.node.selection_set.node),
                Selection::InlineFragment(inline) => open.push(&inline.node.selection_set.node),
                Selection::FragmentSpread(used) => {
                    names.insert(used.node.fragment_name.node.clone());
                }
            }
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use async_graphql::parser::parse_query;

    use super::*;

    /// How often each root field of the only query is asked for, and which fragments are left.
    fn after(text: &str) -> (Vec<String>, Vec<String>) {
        let mut document = parse_query(text).unwrap();
        merge(&mut document);
        let (_, operation) = document.operations.iter().next().unwrap();
        let items = &operation.node.selection_set.node.items;
        let told = items.iter().map(|item| match &item.node {
            Selection::Field(field) => {
                let asked = field.node.selection_set.node.items.len();
                format!("{}:{asked}", field.node.response_key().node)
            }
            Selection::InlineFragment(_) => "...".into(),
            Selection::FragmentSpread(spread) => format!("...{}", spread.node.fragment_name.node),
        });
        let mut left: Vec<_> = document.fragments.keys().map(ToString::to_string).collect();
        left.sort();
        (told.collect(), left)
    }

    #[test]
    fn the_same_root_field_is_asked_for_once_wherever_it_stands() {
        for (text, roots, left) in [
            ("{ me { id } me { email } }", vec!["me:2"], vec![]),
            ("{ me { id } a: me { id } me { id } }", vec!["me:2", "a:1"], vec![]),
            ("{ me { id } ... { me { email } } ... on Query { me { role } } }", vec!["me:3"], vec![]),
            (
                "{ ...f me { id } } fragment f on Query { me { email } b: me { id } }",
                vec!["me:2", "b:1"],
                vec![],
            ),
            (
                "{ ...f me { ...g } } fragment f on Query { me { ...g } } fragment g on User { id }",
                vec!["me:2"],
                vec!["g"],
            ),
        ] {
            assert_eq!(
                after(text),
                (roots.into_iter().map(Into::into).collect(), left.into_iter().map(str::to_owned).collect()),
                "{text}"
            );
        }
    }

    #[test]
    fn what_differs_or_has_a_condition_stays_as_it_is() {
        for text in [
            "{ me { id } orders { data { id } } ...f } fragment f on Query { user(id: 1) { id } }",
            "{ order(id: 1) { id } order(id: 2) { id } }",
            "{ me { id } me @include(if: true) { email } }",
            "{ me { id } ... @include(if: true) { me { email } } }",
            "{ me { id } ...f @skip(if: false) } fragment f on Query { me { email } }",
            "{ me { id } ... on User { me { email } } }",
            "{ me { id } ...missing }",
            "mutation { logout logout }",
            "subscription { orderStatusChanged { id } orderStatusChanged { id } }",
        ] {
            let roots = parse_query(text).unwrap();
            let (_, operation) = roots.operations.iter().next().unwrap();
            let before = operation.node.selection_set.node.items.len();
            assert_eq!(after(text).0.len(), before, "{text}");
        }
    }

    #[test]
    fn fragments_that_spread_one_another_without_end_stay_as_they_are() {
        let (roots, left) = after("{ me { id } me { id } ...f } fragment f on Query { ...f }");
        assert_eq!((roots.len(), left.len()), (3, 1));
        let mut bomb = String::from("{ ...f0 ...f0 } fragment f99 on Query { me { id } }");
        for n in 0..99 {
            bomb += &format!(" fragment f{n} on Query {{ ...f{m} ...f{m} }}", m = n + 1);
        }
        assert_eq!(after(&bomb).1.len(), 100);
    }
}
