//! Whether an answer has to be put together from several halves.

use std::collections::HashSet;

use async_graphql::parser::types::{ExecutableDocument, Field, Selection, SelectionSet};

/// Whether one object is asked for the same key twice, here and there: each is resolved by itself, and the GraphQL crate
/// merges what comes of them. Fragments count as if they all applied. A document that is too large to be looked through
/// counts as one that does.
pub(crate) fn repeats(document: &ExecutableDocument) -> bool {
    let mut search = Search { document, left: MOST_SELECTIONS };
    let mut operations = document.operations.iter();
    operations.any(|(_, operation)| search.finds_in(&operation.node.selection_set.node))
}

/// How many selections are looked at, those of fragments as often as they are spread.
const MOST_SELECTIONS: usize = 2_500;

struct Search<'a> {
    document: &'a ExecutableDocument,
    left: usize,
}

impl<'a> Search<'a> {
    fn finds_in(&mut self, selection: &'a SelectionSet) -> bool {
        let mut fields = Vec::new();
        self.collect(selection, &mut fields);
        let mut keys = HashSet::new();
        self.left == 0
            || !fields.iter().all(|field| keys.insert(&field.response_key().node))
            || fields.iter().any(|field| self.finds_in(&field.selection_set.node))
    }

    fn collect(&mut self, selection: &'a SelectionSet, fields: &mut Vec<&'a Field>) {
        for item in &selection.items {
            self.left = self.left.saturating_sub(1);
            if self.left == 0 {
                return;
            }
            match &item.node {
                Selection::Field(field) => fields.push(&field.node),
                Selection::InlineFragment(fragment) => {
                    self.collect(&fragment.node.selection_set.node, fields);
                }
                Selection::FragmentSpread(spread) => {
                    if let Some(fragment) = self.document.fragments.get(&spread.node.fragment_name.node) {
                        self.collect(&fragment.node.selection_set.node, fields);
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use async_graphql::parser::parse_query;

    use super::*;

    #[test]
    fn what_is_asked_for_twice_is_found_wherever_it_stands() {
        for (text, twice) in [
            ("{ me { id orders { id } } orders { data { id } } }", false),
            ("{ a: me { id } b: me { id } }", false),
            ("{ me { id } me { email } }", true),
            ("{ orders { data { id } data { status } } }", true),
            ("{ me { id } ... on Query { me { email } } }", true),
            (
                "{ me { ...a } ...b } fragment a on User { id } fragment b on Query { order(id: 1) { id } }",
                false,
            ),
            ("{ me { ...a id } } fragment a on User { id }", true),
            ("query a { me { id } } query b { me { id id } }", true),
        ] {
            assert_eq!(repeats(&parse_query(text).unwrap()), twice, "{text}");
        }
    }

    #[test]
    fn a_small_text_that_stands_for_very_many_fields_is_not_looked_through() {
        let mut bomb = String::from("{ me { ...f0 } } fragment f99 on User { id }");
        for n in 0..99 {
            bomb += &format!(" fragment f{n} on User {{ ...f{m} ...f{m} }}", m = n + 1);
        }
        assert!(repeats(&parse_query(bomb).unwrap()));
    }
}
