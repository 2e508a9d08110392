//! How the objects of the graph are answered: all of one level together.
//!
//! The GraphQL crate gives each field of each object a boxed future, and builds a tree of values that is walked twice
//! more, to write it and to drop it. Here the rows of a list go side by side: a field that leads to other entities is
//! followed for all of them in one call, and then each row is written as JSON, once. What is not told like this, such as
//! a field with arguments, the crate resolves.

mod level;
mod link;
mod repeats;

use std::borrow::Cow;

use async_graphql::{
    Context, ContextSelectionSet, ObjectType, OutputType, Positioned, QueryPathNode, QueryPathSegment,
    ServerResult, Value,
    parser::types::Field,
    registry::Registry,
    resolver_utils::{ContainerType, resolve_list},
};
use futures::future::BoxFuture;
use runtime::Refusal;

use super::{Visit, json::Json};
use level::Placed;
pub(super) use level::Told;
pub(super) use link::Link;
pub(crate) use repeats::repeats;

/// Writes one field of an object.
pub(super) type Teller<T> = fn(&T, &Context<'_>, &mut Json) -> Result<(), Refusal>;

/// The fields of an entity, as the GraphQL crate's macro declares them. What they say of themselves here must be the same.
pub(super) trait Fields: ObjectType + Sized {
    /// The field of this name, if it waits for nothing and takes no arguments. [`at_hand`] lists them.
    fn at_hand(field: &str) -> Option<Teller<Self>>;

    /// What the field leads to, if that is an entity for each row.
    fn follow<'a>(_: &Link<'a, Self>) -> Option<BoxFuture<'a, Told>> {
        None
    }
}

/// The fields that wait for nothing: each as the graph names it, and the method that answers it.
macro_rules! at_hand {
    ($($field:literal => $method:ident),+ $(,)?) => {
        fn at_hand(field: &str) -> Option<$crate::graphql::entity::Teller<Self>> {
            Some(match field {
                $($field => |row, context, json| {
                    $crate::graphql::json::Tell::tell(row.$method(context), json)
                },)+
                _ => return None,
            })
        }
    };
}

pub(super) use at_hand;

/// An object with the fields of `T`.
pub(super) struct Entity<T>(pub(super) T);

impl<T: Fields> OutputType for Entity<T> {
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
        match (context.path_node, Visit::of(context).writes()) {
            (Some(path), true) => {
                let rows = [Placed { path, object: &self.0 }];
                level::tell(context, &rows).await.into_object()
            }
            _ => self.0.resolve(context, field).await,
        }
    }
}

impl<T: Fields> ContainerType for Entity<T> {
    async fn resolve_field(&self, context: &Context<'_>) -> ServerResult<Option<Value>> {
        self.0.resolve_field(context).await
    }
}

impl<T: Fields> ObjectType for Entity<T> {}

/// What may be a row of a list.
pub(super) trait Row: OutputType {
    /// Its fields.
    type Fields: Fields;

    /// Its fields.
    fn fields(&self) -> &Self::Fields;
}

impl<T: Fields> Row for Entity<T> {
    type Fields = T;

    fn fields(&self) -> &T {
        &self.0
    }
}

/// A list of entities.
pub(super) struct Rows<T>(pub(super) Vec<T>);

impl<T> FromIterator<T> for Rows<T> {
    fn from_iter<I: IntoIterator<Item = T>>(rows: I) -> Self {
        Self(rows.into_iter().collect())
    }
}

impl<T: Row> OutputType for Rows<T> {
    fn type_name() -> Cow<'static, str> {
        Vec::<T>::type_name()
    }

    fn qualified_type_name() -> String {
        <Vec<T> as OutputType>::qualified_type_name()
    }

    fn create_type_info(registry: &mut Registry) -> String {
        <Vec<T> as OutputType>::create_type_info(registry)
    }

    async fn resolve(
        &self,
        context: &ContextSelectionSet<'_>,
        field: &Positioned<Field>,
    ) -> ServerResult<Value> {
        if !Visit::of(context).writes() {
            return resolve_list(context, field, &self.0, Some(self.0.len())).await;
        }
        let parent = context.path_node.as_ref();
        let placed = |n, row| Placed {
            path: QueryPathNode { parent, segment: QueryPathSegment::Index(n) },
            object: T::fields(row),
        };
        let rows: Vec<_> = self.0.iter().enumerate().map(|(n, row)| placed(n, row)).collect();
        level::tell(context, &rows).await.into_list()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use async_graphql::{
        EmptyMutation, EmptySubscription, Object, Request, Response, Schema,
        parser::{parse_query, parse_schema, types::*},
    };
    use pbjson_types::Timestamp;
    use proto::{common::v1::Money, order::v1 as order_v1, payment::v1 as payment_v1, user::v1 as user_v1};
    use tokio::task::yield_now;

    use super::{super::loader::tests::calls, *};
    use crate::graphql::{order, payment, product, user};

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

        async fn things(&self, count: i32) -> Rows<Thing> {
            (0..count).map(|_| Entity(ThingFields)).collect()
        }

        fn broken(&self) -> Result<i32, Refusal> {
            Err(Refusal::not_found("thing"))
        }
    }

    impl Fields for ThingFields {
        at_hand! { "quick" => quick, "broken" => broken }
    }

    struct Query;

    #[Object]
    impl Query {
        async fn thing(&self) -> Option<Thing> {
            Some(Entity(ThingFields))
        }

        async fn user(&self) -> user::User {
            let (created_at, updated_at) = (time(1), time(2));
            let [id, email, first_name, last_name] = texts();
            let role = user_v1::Role::Admin.into();
            user_v1::User { id, email, first_name, last_name, role, active: true, created_at, updated_at }
                .into()
        }

        async fn product(&self) -> product::Product {
            let [id, name, ..] = texts();
            let (created_at, updated_at) = (time(1), time(2));
            let product =
                order_v1::Product { id, name, unit_price: money(3), active: true, created_at, updated_at };
            product.into()
        }

        async fn order(&self) -> order::Order {
            let [id, user_id, shipping_address, notes] = texts();
            let (created_at, updated_at, total) = (time(1), time(2), money(3));
            let [product_id, product_name, ..] = texts();
            let items =
                vec![order_v1::OrderItem { product_id, product_name, quantity: 4, unit_price: money(5) }];
            let status = order_v1::OrderStatus::Shipped.into();
            let order = order_v1::Order {
                id,
                user_id,
                status,
                total,
                shipping_address,
                notes,
                items,
                created_at,
                updated_at,
            };
            order.into()
        }

        async fn payment(&self) -> payment::Payment {
            let [id, order_id, user_id, method] = texts();
            let (created_at, updated_at) = (time(1), time(2));
            let payment = payment_v1::Payment {
                id,
                order_id,
                user_id,
                method,
                amount: money(3),
                refunded: money(4),
                status: payment_v1::PaymentStatus::PartiallyRefunded.into(),
                failure_reason: "insufficient_funds".into(),
                paid_at: time(5),
                created_at,
                updated_at,
                ..payment_v1::Payment::default()
            };
            payment.into()
        }
    }

    /// Texts, no two of them alike, some of which need escapes.
    fn texts() -> [String; 4] {
        ["one", "two \"\\\u{8}\u{1f}", "three\n", "vier ÄÖ€𝄞"].map(Into::into)
    }

    fn time(seconds: i64) -> Option<Timestamp> {
        Some(Timestamp { seconds, nanos: 120_000 })
    }

    fn money(minor_units: i64) -> Option<Money> {
        Some(Money { minor_units, currency: "KWD".into() })
    }

    /// The answer, and its data as it is written.
    async fn ask(query: &str, writes: bool) -> (Response, String) {
        let schema = Schema::new(Query, EmptyMutation, EmptySubscription);
        let visit = Visit::new(None, Arc::into_inner(calls()).unwrap()).writing(writes);
        let answer = schema.execute(Request::new(query).data(Arc::new(visit))).await;
        let mut json = Json::default();
        json.value(&answer.data);
        let text = String::from_utf8(json.into_bytes()).unwrap();
        (answer, text)
    }

    /// The ways in which the query can be answered.
    fn ways(query: &str) -> impl Iterator<Item = bool> {
        let repeats = repeats(&parse_query(query).unwrap());
        [false, true].into_iter().filter(move |writes| !(*writes && repeats))
    }

    #[tokio::test]
    async fn however_a_selection_is_written_its_object_holds_what_was_asked_for_in_that_order() {
        for (selection, object) in [
            ("{ inner { quick } slow quick }", r#"{"inner":{"quick":1},"slow":2,"quick":1}"#),
            ("{ a: slow __typename b: quick }", r#"{"a":2,"__typename":"Thing","b":1}"#),
            ("{ quick inner { quick } inner { slow } quick }", r#"{"quick":1,"inner":{"quick":1,"slow":2}}"#),
            ("{ ...f inner { quick } }", r#"{"inner":{"slow":2,"quick":1},"quick":1}"#),
            ("{ ...f slow }", r#"{"inner":{"slow":2},"quick":1,"slow":2}"#),
            ("{ slow ... on Thing { quick } ... { a: quick } }", r#"{"slow":2,"quick":1,"a":1}"#),
            ("{ slow @skip(if: true) quick @include(if: true) }", r#"{"quick":1}"#),
            ("{ ... @include(if: false) { slow } quick }", r#"{"quick":1}"#),
            ("{ quick @skip(if: true) }", "{}"),
            ("{ things(count: 2) { slow a: quick } }", r#"{"things":[{"slow":2,"a":1},{"slow":2,"a":1}]}"#),
            ("{ none: things(count: 0) { slow } quick }", r#"{"none":[],"quick":1}"#),
        ] {
            let fragment = "fragment f on Thing { inner { slow } quick }";
            let spread = if selection.contains("...f") { fragment } else { "" };
            let query = format!("{{ thing {selection} }} {spread}");
            for writes in ways(&query) {
                let (answer, data) = ask(&query, writes).await;
                assert_eq!(data, format!(r#"{{"thing":{object}}}"#), "{writes} {query}: {:?}", answer.errors);
            }
        }
    }

    #[tokio::test]
    async fn a_field_that_fails_takes_its_object_with_it_and_is_named() {
        for (selection, path) in [
            ("{ slow broken }", r#"["thing","broken"]"#),
            ("{ inner { b: broken } }", r#"["thing","inner","b"]"#),
        ] {
            for writes in [false, true] {
                let (answer, data) = ask(&format!("{{ thing {selection} }}"), writes).await;
                assert_eq!(data, r#"{"thing":null}"#);
                assert_eq!(serde_json::to_string(&answer.errors[0].path).unwrap(), path);
                assert_eq!(answer.errors.len(), 1);
            }
        }
    }

    /// Type, name and whether it waits for nothing, of each field of the entities.
    fn fields() -> Vec<(String, String, bool)> {
        let schema = parse_schema(crate::sdl()).unwrap();
        let types: Vec<_> = schema
            .definitions
            .into_iter()
            .filter_map(|definition| match definition {
                TypeSystemDefinition::Type(definition) => Some(definition.node),
                _ => None,
            })
            .collect();
        let is_leaf = |name: &str| {
            let found = types.iter().find(|ty| ty.name.node == name);
            found.is_none_or(|ty| matches!(ty.kind, TypeKind::Enum(_) | TypeKind::Scalar))
        };
        let mut all = Vec::new();
        for ty in &types {
            let TypeKind::Object(object) = &ty.kind else { continue };
            for field in &object.fields {
                let leaf = match &field.node.ty.node.base {
                    BaseType::Named(name) => is_leaf(name),
                    BaseType::List(_) => false,
                };
                let at_hand = leaf && field.node.arguments.is_empty();
                all.push((ty.name.node.to_string(), field.node.name.node.to_string(), at_hand));
            }
        }
        all
    }

    #[test]
    fn every_field_that_waits_for_nothing_is_told_at_once_and_no_other() {
        let mut told = 0;
        for (ty, name, at_hand) in fields() {
            let known = match ty.as_str() {
                "User" => user::UserFields::at_hand(&name).is_some(),
                "Product" => product::ProductFields::at_hand(&name).is_some(),
                "Order" => order::OrderFields::at_hand(&name).is_some(),
                "OrderItem" => order::OrderItemFields::at_hand(&name).is_some(),
                "Payment" => payment::PaymentFields::at_hand(&name).is_some(),
                _ => continue,
            };
            assert_eq!(known, at_hand, "{ty}.{name}");
            told += usize::from(known);
        }
        assert!(told >= 42, "{told}");
    }

    #[tokio::test]
    async fn what_is_told_at_once_is_what_the_graphql_crate_tells() {
        for ty in ["User", "Product", "Order", "OrderItem", "Payment"] {
            let all = fields();
            let names = all.iter().filter(|(of, _, at_hand)| of == ty && *at_hand);
            let names: Vec<_> = names.map(|(_, name, _)| name.as_str()).collect();
            let query = match ty {
                "OrderItem" => format!("{{ order {{ items {{ {} }} }} }}", names.join(" ")),
                ty => format!("{{ {} {{ {} }} }}", ty.to_lowercase(), names.join(" ")),
            };
            let (answer, by_the_crate) = ask(&query, false).await;
            assert!(answer.errors.is_empty(), "{:?}", answer.errors);
            assert_eq!(ask(&query, true).await.1, by_the_crate);
            assert_eq!(by_the_crate, serde_json::to_string(&answer.data).unwrap());
        }
    }
}
