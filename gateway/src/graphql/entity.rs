//! How the objects of the graph are answered: most of their fields are at hand, and only what must be loaded waits.
//!
//! The GraphQL crate gives each field a boxed future, and grows the answer's map as they end. A page of orders has some
//! hundred fields, and nine of ten are read from a message that is already here.

use std::{
    borrow::Cow,
    collections::HashMap,
    pin::pin,
    sync::{Mutex, PoisonError},
};

use async_graphql::{
    Context, ContextSelectionSet, Name, ObjectType, OutputType, Positioned, ServerResult, Value,
    indexmap::IndexMap,
    parser::types::{Field, Selection, SelectionSet},
    registry::Registry,
    resolver_utils::ContainerType,
};
use futures::{FutureExt, future::try_join_all};

use super::Visit;

/// An object with the fields of `T`. A field without a selection of its own must not wait for anything; one that does is
/// begun twice.
pub(super) struct Entity<T>(pub(super) T);

impl<T: ObjectType> OutputType for Entity<T> {
    fn type_name() -> Cow<'static, str> {
        T::type_name()
    }

    fn create_type_info(registry: &mut Registry) -> String {
        T::create_type_info(registry)
    }

    async fn resolve(
        &self,
        context: &ContextSelectionSet<'_>,
        field: &Positioned<Field>,
    ) -> ServerResult<Value> {
        let Some(mut object) = Visit::of(context).shapes.of(context.item) else {
            return self.0.resolve(context, field).await;
        };
        let mut waiting = Vec::new();
        for (place, field) in fields(context.item).enumerate() {
            let at_hand = if field.node.selection_set.node.items.is_empty() {
                self.at_hand(context, field)?
            } else {
                None
            };
            match at_hand {
                Some(value) => object[place] = value,
                None => {
                    waiting.push(async move { ServerResult::Ok((place, self.value(context, field).await?)) })
                }
            }
        }
        for (place, value) in try_join_all(waiting).await? {
            object[place] = value;
        }
        Ok(Value::Object(object))
    }
}

impl<T: ObjectType> Entity<T> {
    async fn value(
        &self,
        context: &ContextSelectionSet<'_>,
        field: &Positioned<Field>,
    ) -> ServerResult<Value> {
        let context = context.with_field(field);
        Ok(self.0.resolve_field(&context).await?.unwrap_or_default())
    }

    /// The value of a field that waits for nothing.
    fn at_hand(
        &self,
        context: &ContextSelectionSet<'_>,
        field: &Positioned<Field>,
    ) -> ServerResult<Option<Value>> {
        if field.node.name.node == "__typename" {
            return Ok(Some(Value::String(T::type_name().into_owned())));
        }
        pin!(self.value(context, field)).now_or_never().transpose()
    }
}

/// An object with its keys in the order asked for.
type Object = IndexMap<Name, Value>;

/// The objects that the selections of one request make, with null for each value: rows of one list are alike. A selection
/// is known by its place in the request's document, which nothing moves.
#[derive(Default)]
pub(super) struct Shapes(Mutex<HashMap<usize, Option<Object>>>);

impl Shapes {
    /// The object of a selection that is fields alone, each with a key of its own. Fragments, directives and fields that
    /// are to be merged are left to the crate.
    fn of(&self, selection: &Positioned<SelectionSet>) -> Option<Object> {
        let place = std::ptr::from_ref(selection).addr();
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.entry(place).or_insert_with(|| shape(selection)).clone()
    }
}

fn shape(selection: &Positioned<SelectionSet>) -> Option<Object> {
    let items = &selection.node.items;
    let plain = fields(selection).filter(|field| field.node.directives.is_empty());
    let object: Object = plain.map(|field| (field.node.response_key().node.clone(), Value::Null)).collect();
    (object.len() == items.len()).then_some(object)
}

/// The fields of a selection that stand in it themselves.
fn fields(selection: &Positioned<SelectionSet>) -> impl Iterator<Item = &Positioned<Field>> {
    selection.node.items.iter().filter_map(|item| match &item.node {
        Selection::Field(field) => Some(field),
        Selection::FragmentSpread(_) | Selection::InlineFragment(_) => None,
    })
}

impl<T: ObjectType> ContainerType for Entity<T> {
    async fn resolve_field(&self, context: &Context<'_>) -> ServerResult<Option<Value>> {
        self.0.resolve_field(context).await
    }
}

impl<T: ObjectType> ObjectType for Entity<T> {}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use async_graphql::{EmptyMutation, EmptySubscription, Object, Request, Response, Schema};
    use runtime::Refusal;
    use tokio::task::yield_now;

    use super::{super::loader::tests::calls, Entity};
    use crate::graphql::Visit;

    type Thing = Entity<ThingFields>;

    struct ThingFields;

    #[Object(name = "Thing")]
    impl ThingFields {
        fn quick(&self) -> i32 {
            1
        }

        async fn slow(&self) -> i32 {
            yield_now().await;
            2
        }

        async fn inner(&self) -> Thing {
            yield_now().await;
            Entity(ThingFields)
        }

        fn broken(&self) -> Result<i32, Refusal> {
            Err(Refusal::not_found("thing"))
        }
    }

    struct Query;

    #[Object]
    impl Query {
        async fn thing(&self) -> Option<Thing> {
            Some(Entity(ThingFields))
        }
    }

    async fn ask(selection: &str) -> Response {
        let schema = Schema::new(Query, EmptyMutation, EmptySubscription);
        let visit = Arc::new(Visit::new(None, Arc::into_inner(calls()).unwrap()));
        let fragment = "fragment f on Thing { inner { slow } quick }";
        let spread = if selection.contains("...f") { fragment } else { "" };
        schema.execute(Request::new(format!("{{ thing {selection} }} {spread}")).data(visit)).await
    }

    #[tokio::test]
    async fn however_a_selection_is_written_its_object_holds_what_was_asked_for_in_that_order() {
        for (selection, object) in [
            ("{ inner { quick } slow quick }", r#"{"inner":{"quick":1},"slow":2,"quick":1}"#),
            ("{ a: slow __typename b: quick }", r#"{"a":2,"__typename":"Thing","b":1}"#),
            ("{ quick inner { quick } inner { slow } quick }", r#"{"quick":1,"inner":{"quick":1,"slow":2}}"#),
            ("{ ...f inner { quick } }", r#"{"inner":{"slow":2,"quick":1},"quick":1}"#),
            ("{ slow ... on Thing { quick } ... { a: quick } }", r#"{"slow":2,"quick":1,"a":1}"#),
            ("{ slow @skip(if: true) quick @include(if: true) }", r#"{"quick":1}"#),
        ] {
            let answer = ask(selection).await;
            let data = serde_json::to_string(&answer.data).unwrap();
            assert_eq!(data, format!(r#"{{"thing":{object}}}"#), "{selection}: {:?}", answer.errors);
        }
    }

    #[tokio::test]
    async fn a_field_that_fails_takes_its_object_with_it_and_is_named() {
        for (selection, path) in
            [("{ slow broken }", "thing/broken"), ("{ inner { b: broken } }", "thing/inner/b")]
        {
            let answer = ask(selection).await;
            assert_eq!(serde_json::to_string(&answer.data).unwrap(), r#"{"thing":null}"#);
            let told = serde_json::to_value(&answer.errors).unwrap();
            let expected: Vec<_> = path.split('/').collect();
            assert_eq!(told[0]["path"], serde_json::json!(expected));
        }
    }
}
