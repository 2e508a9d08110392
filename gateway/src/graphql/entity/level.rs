//! One level of an answer: rows of one type, and the fields that are asked for of each.

use std::{mem, ops::Range};

use async_graphql::{
    Context, ContextSelectionSet, Error, Positioned, QueryPathNode, QueryPathSegment, ServerError,
    ServerResult, Value,
    parser::types::{Field, Selection, SelectionSet},
};
use futures::future::{BoxFuture, join_all};
use runtime::Refusal;

use super::{Fields, Link, Teller};
use crate::graphql::json::Json;

/// About how long a field is, with its key.
const BYTES_PER_FIELD: usize = 48;
/// The most bytes for which there is room before any is written.
const ROOM: usize = 64 * 1024;

/// An object, and where it stands in the answer.
pub(super) struct Placed<'a, T> {
    pub(super) path: QueryPathNode<'a>,
    pub(super) object: &'a T,
}

impl<'a, T> Placed<'a, T> {
    /// Where a field of it stands.
    pub(super) fn path_to(&'a self, field: &'a Positioned<Field>) -> QueryPathNode<'a> {
        let key = &field.node.response_key().node;
        QueryPathNode { parent: Some(&self.path), segment: QueryPathSegment::Name(key) }
    }

    /// The refusal of a field of it, as an error that has its place.
    pub(super) fn refused(
        &self,
        refusal: Refusal,
        context: &ContextSelectionSet<'_>,
        field: &Positioned<Field>,
    ) -> ServerError {
        let mut context = context.with_field(field);
        context.path_node = Some(self.path_to(field));
        context.set_error_path(Error::from(refusal).into_server_error(field.pos))
    }
}

/// What became of the rows of a level: the JSON of each, or the error that takes its place.
#[derive(Default)]
pub(in crate::graphql) struct Told {
    json: Json,
    rows: Vec<Result<Range<usize>, Box<ServerError>>>,
}

impl Told {
    /// Nothing yet, with room for so many rows of so many fields.
    pub(super) fn with_capacity(rows: usize, fields: usize) -> Self {
        let bytes = rows.saturating_mul(fields).saturating_mul(BYTES_PER_FIELD).min(ROOM);
        Self { json: Json::with_capacity(bytes), rows: Vec::with_capacity(rows) }
    }

    /// Adds a row: what `write` writes, or its error.
    pub(super) fn add(&mut self, write: impl FnOnce(&mut Json) -> Result<(), Box<ServerError>>) {
        let start = self.json.len();
        let written = write(&mut self.json);
        if written.is_err() {
            self.json.truncate(start);
        }
        self.rows.push(written.map(|()| start..self.json.len()));
    }

    /// Whether no row failed.
    pub(super) fn is_whole(&self) -> bool {
        self.rows.iter().all(Result::is_ok)
    }

    /// The JSON of a row, or its error, which is given once.
    pub(super) fn row(&mut self, n: usize) -> Result<&[u8], Box<ServerError>> {
        match &mut self.rows[n] {
            Ok(range) => Ok(self.json.part(range.clone())),
            Err(error) => Err(mem::replace(error, Box::new(ServerError::new("", None)))),
        }
    }

    /// The only row, where there must be one.
    pub(super) fn into_object(mut self) -> ServerResult<Value> {
        self.row(0).map_err(|error| *error)?;
        Ok(self.json.into_value())
    }

    /// All rows, where none may be missing.
    pub(super) fn into_list(mut self) -> ServerResult<Value> {
        let mut list = Json::with_capacity(self.json.len() + self.rows.len() + 2);
        list.raw(b"[");
        for n in 0..self.rows.len() {
            if n > 0 {
                list.raw(b",");
            }
            list.raw(self.row(n).map_err(|error| *error)?);
        }
        list.raw(b"]");
        Ok(list.into_value())
    }
}

/// A field that is asked for of each row.
struct Part<'a, T> {
    /// Its key in JSON, with what stands before and after it.
    key: Range<usize>,
    field: &'a Positioned<Field>,
    source: Origin<'a, T>,
}

/// Where the values of a field come from.
enum Origin<'a, T> {
    TypeName,
    AtHand(Teller<T>, Context<'a>),
    /// What is waited for, by its number there.
    Waiting(usize),
}

/// Tells what is asked for of these rows. Everything that must be waited for is waited for at the same time.
pub(super) async fn tell<'a, T: Fields>(
    context: &'a ContextSelectionSet<'a>,
    rows: &'a [Placed<'a, T>],
) -> Told {
    if rows.is_empty() {
        return Told::default();
    }
    let type_name = T::type_name();
    let mut fields = Vec::new();
    collect(context, &context.item.node, &type_name, &mut fields);
    let (mut keys, mut waiting, mut parts) = (Json::default(), Vec::new(), Vec::with_capacity(fields.len()));
    for field in fields {
        let start = keys.len();
        keys.key(&field.node.response_key().node, parts.is_empty());
        let source = origin(context, field, rows, &mut waiting);
        parts.push(Part { key: start..keys.len(), field, source });
    }
    let mut found = join_all(waiting).await;
    let mut told = Told::with_capacity(rows.len(), parts.len());
    for (n, row) in rows.iter().enumerate() {
        told.add(|json| {
            for part in &parts {
                json.raw(keys.part(part.key.clone()));
                match &part.source {
                    Origin::TypeName => json.name(&type_name),
                    Origin::AtHand(teller, field) => teller(row.object, field, json)
                        .map_err(|refusal| Box::new(row.refused(refusal, context, part.field)))?,
                    Origin::Waiting(place) => json.raw(found[*place].row(n)?),
                }
            }
            json.raw(if parts.is_empty() { b"{}" } else { b"}" });
            Ok(())
        });
    }
    told
}

/// Where the values of `field` come from; if they must be waited for, begins with that.
fn origin<'a, T: Fields>(
    context: &'a ContextSelectionSet<'a>,
    field: &'a Positioned<Field>,
    rows: &'a [Placed<'a, T>],
    waiting: &mut Vec<BoxFuture<'a, Told>>,
) -> Origin<'a, T> {
    let name = field.node.name.node.as_str();
    if name == "__typename" {
        return Origin::TypeName;
    }
    if let Some(teller) = T::at_hand(name) {
        return Origin::AtHand(teller, context.with_field(field));
    }
    let link = Link { context, field, rows };
    waiting.push(T::follow(&link).unwrap_or_else(|| Box::pin(each(link))));
    Origin::Waiting(waiting.len() - 1)
}

/// The fields of a selection, with those of its fragments that are about this type. What `@skip` and `@include` leave
/// out, the GraphQL crate has taken out before.
fn collect<'a>(
    context: &ContextSelectionSet<'a>,
    selection: &'a SelectionSet,
    type_name: &str,
    fields: &mut Vec<&'a Positioned<Field>>,
) {
    for item in &selection.items {
        let (condition, selection) = match &item.node {
            Selection::Field(field) => {
                fields.push(field);
                continue;
            }
            Selection::InlineFragment(fragment) => {
                (fragment.node.type_condition.as_ref(), &fragment.node.selection_set)
            }
            Selection::FragmentSpread(spread) => {
                // That there is one was validated.
                let name = &spread.node.fragment_name.node;
                let Some(fragment) = context.query_env.fragments.get(name) else { continue };
                (Some(&fragment.node.type_condition), &fragment.node.selection_set)
            }
        };
        if condition.is_none_or(|condition| condition.node.on.node == type_name) {
            collect(context, &selection.node, type_name, fields);
        }
    }
}

/// What the GraphQL crate makes of a field of each row.
async fn each<T: Fields>(link: Link<'_, T>) -> Told {
    let Link { context, field, rows } = link;
    let values = rows.iter().map(|row| async move {
        let mut context = context.clone();
        context.path_node = Some(row.path);
        row.object.resolve_field(&context.with_field(field)).await
    });
    let mut told = Told::with_capacity(rows.len(), 1);
    for value in join_all(values).await {
        told.add(|json| {
            json.value(&value.map_err(Box::new)?.unwrap_or_default());
            Ok(())
        });
    }
    told
}
