//! The size of a parsed document with its fragments spread, each of which is measured once: nested fragments make a
//! kilobyte stand for billions of fields, and the validation of the GraphQL crate spreads them all.

use std::collections::HashMap;

use async_graphql::{
    Name,
    parser::types::{ExecutableDocument, Selection, SelectionSet},
};
use runtime::{Kind, Refusal};

/// How deep selections of any kind may be nested. Whoever walks through a document goes down that far on its stack.
const MOST_LEVELS: u32 = 100;
/// How many fields a document may ask for even where that is only measured: some seconds of validation.
const MOST_FIELDS: u32 = 100_000;

/// How large a selection is. What a fragment adds counts each time that it is spread.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::http) struct Size {
    /// Its fields.
    pub(super) fields: u32,
    /// The longest way down through fields.
    pub(super) depth: u32,
    /// Fields that have an alias.
    pub(super) aliases: u32,
    /// The most fields that an operation has at its root.
    pub(super) root_fields: u32,
    /// Uses of directives.
    pub(super) directives: u32,
    /// The longest way down through fields and fragments.
    levels: u32,
    /// Selections as they are written.
    pub(in crate::http) written: u32,
}

impl Size {
    /// Both, side by side.
    fn and(self, other: Self) -> Self {
        Self {
            fields: self.fields.saturating_add(other.fields),
            depth: self.depth.max(other.depth),
            aliases: self.aliases.saturating_add(other.aliases),
            root_fields: self.root_fields.saturating_add(other.root_fields),
            directives: self.directives.saturating_add(other.directives),
            levels: self.levels.max(other.levels),
            written: self.written.saturating_add(other.written),
        }
    }
}

/// Measures a document, all of its operations together.
///
/// # Errors
/// GRAPHQL_INVALID when fragments go in a circle; QUERY_TOO_LARGE or QUERY_TOO_DEEP when the document can't be looked at
/// any more.
pub(super) fn measure(document: &ExecutableDocument) -> Result<Size, Refusal> {
    let mut meter = Meter { document, fragments: HashMap::new(), level: 0 };
    let mut whole = Size::default();
    for name in document.fragments.keys() {
        whole.written = whole.written.saturating_add(meter.fragment(name)?.written);
    }
    for (_, operation) in document.operations.iter() {
        let size = meter.selection(&operation.node.selection_set.node)?;
        let directives = count(operation.node.directives.len());
        let root_fields = whole.root_fields.max(size.root_fields);
        whole = whole.and(Size { directives: size.directives.saturating_add(directives), ..size });
        whole.root_fields = root_fields;
    }
    if whole.levels > MOST_LEVELS {
        return Err(too_deep());
    }
    if whole.fields > MOST_FIELDS {
        return Err(Refusal::new(Kind::BadInput, "QUERY_TOO_LARGE", "the document asks for too many fields"));
    }
    Ok(whole)
}

/// Measures each fragment once.
struct Meter<'a> {
    document: &'a ExecutableDocument,
    /// `None` while the fragment is being measured: who meets that has gone in a circle.
    fragments: HashMap<&'a Name, Option<Size>>,
    /// How far down it is.
    level: u32,
}

impl<'a> Meter<'a> {
    fn selection(&mut self, selection: &'a SelectionSet) -> Result<Size, Refusal> {
        if self.level > MOST_LEVELS {
            return Err(too_deep());
        }
        self.level += 1;
        let mut whole = Size::default();
        for item in &selection.items {
            whole = whole.and(self.item(&item.node)?);
        }
        self.level -= 1;
        whole.levels += 1;
        Ok(whole)
    }

    fn item(&mut self, item: &'a Selection) -> Result<Size, Refusal> {
        let (inner, directives) = match item {
            Selection::Field(field) => {
                let inner = self.selection(&field.node.selection_set.node)?;
                let of_field = Size {
                    fields: inner.fields.saturating_add(1),
                    depth: inner.depth + 1,
                    aliases: inner.aliases.saturating_add(field.node.alias.is_some().into()),
                    root_fields: 1,
                    ..inner
                };
                (of_field, field.node.directives.len())
            }
            Selection::InlineFragment(fragment) => {
                (self.selection(&fragment.node.selection_set.node)?, fragment.node.directives.len())
            }
            Selection::FragmentSpread(spread) => {
                let inner = self.fragment(&spread.node.fragment_name.node)?;
                (Size { written: 0, ..inner }, spread.node.directives.len())
            }
        };
        Ok(Size {
            directives: inner.directives.saturating_add(count(directives)),
            written: inner.written.saturating_add(1),
            ..inner
        })
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
        let inner = self.selection(&fragment.node.selection_set.node)?;
        let directives = inner.directives.saturating_add(count(fragment.node.directives.len()));
        let size = Size { directives, ..inner };
        self.fragments.insert(name, Some(size));
        Ok(size)
    }
}

fn count(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}

fn too_deep() -> Refusal {
    Refusal::new(Kind::BadInput, "QUERY_TOO_DEEP", "the document is nested too deep")
}

#[cfg(test)]
mod tests {
    use async_graphql::parser::parse_query;

    use super::*;

    fn size(text: &str) -> Size {
        measure(&parse_query(text).unwrap()).unwrap()
    }

    fn refusal(text: &str) -> Option<String> {
        measure(&parse_query(text).unwrap()).err().map(|refusal| refusal.reason.into_owned())
    }

    #[test]
    fn a_small_text_that_stands_for_many_fields_is_refused() {
        let mut bomb = String::from("{ me { ...f0 } } fragment f49 on User { id }");
        for n in 0..49 {
            bomb += &format!(" fragment f{n} on User {{ ...f{m} ...f{m} }}", m = n + 1);
        }
        assert_eq!(refusal(&bomb).as_deref(), Some("QUERY_TOO_LARGE"));
    }

    #[test]
    fn fragments_in_a_long_row_are_refused() {
        let row = |length: usize| {
            let fragments = (0..length).map(|n| format!(" fragment f{n} on User {{ ...f{} }}", n + 1));
            let last = format!(" fragment f{length} on User {{ id }}");
            format!("{{ me {{ ...f0 }} }}{}{last}", fragments.collect::<String>())
        };
        assert_eq!(refusal(&row(90)), None);
        assert_eq!(refusal(&row(110)).as_deref(), Some("QUERY_TOO_DEEP"));
        assert_eq!(refusal(&row(2_000)).as_deref(), Some("QUERY_TOO_DEEP"));
    }

    #[test]
    fn fragments_that_go_in_a_circle_are_refused() {
        let circle = "{ me { ...a } } fragment a on User { ...b } fragment b on User { id ...a ...a }";
        assert_eq!(refusal(circle).as_deref(), Some("GRAPHQL_INVALID"));
        assert_eq!(refusal("{ me { id } } fragment a on User { ...a }").as_deref(), Some("GRAPHQL_INVALID"));
    }

    #[test]
    fn what_a_fragment_adds_counts_each_time_that_it_is_spread() {
        let size =
            size("{ a: me { ...f ...f @skip(if: true) } } fragment f on User @d { x: id @d orders { id } }");
        let Size { fields, depth, aliases, root_fields, directives, levels, written } = size;
        assert_eq!((fields, depth, aliases, root_fields), (7, 3, 3, 1));
        assert_eq!((directives, written), (5, 6));
        assert!(levels >= 3);
    }

    #[test]
    fn of_several_operations_all_fields_count_and_the_widest_root() {
        let size = size("query A { a b c } query B { a { b } }");
        assert_eq!((size.fields, size.root_fields, size.depth), (5, 3, 2));
    }
}
