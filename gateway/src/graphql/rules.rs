//! Who may use which root field. Deny is the default: a field without a rule is refused to everyone.
//!
//! The rules stand beside the fields, in the `RULES` of each entity's file, and are applied here, around the roots of
//! the schema: no resolver can forget to ask. The services enforce their own again. Entity resolvers are not root
//! fields; they go through the loaders, which ask for a viewer themselves.

use std::{borrow::Cow, pin::Pin};

use async_graphql::{
    Context, ContextSelectionSet, Error, ObjectType, OutputType, Positioned, Response, ServerResult,
    SubscriptionType, Value,
    parser::types::Field,
    registry::Registry,
    resolver_utils::{ContainerType, resolve_container},
};
use futures::{Stream, future::ready, stream};
use identity::Viewer;
use proto::common::v1::Access;
use runtime::Refusal;

use super::{Visit, event, order, payment, product, user};

/// The rules of one entity's root fields.
pub(super) type Rules = &'static [(&'static str, Access)];

pub(super) const RULES: [Rules; 5] =
    [user::RULES, product::RULES, order::RULES, payment::RULES, event::RULES];

/// The rule of a root field.
fn rule(field: &str) -> Access {
    let found = RULES.iter().flat_map(|rules| rules.iter()).find(|(name, _)| *name == field);
    found.map_or(Access::Unspecified, |(_, access)| *access)
}

/// Holds the viewer against the rule of a root field.
fn admit(visit: &Visit, field: &str) -> Result<(), Refusal> {
    admits(rule(field), visit.viewer().ok())
}

/// Holds a viewer against a rule.
pub(crate) fn admits(rule: Access, viewer: Option<Viewer>) -> Result<(), Refusal> {
    let viewer = viewer.ok_or_else(Refusal::unauthenticated);
    match rule {
        Access::Public => Ok(()),
        Access::SignedIn => viewer.map(drop),
        Access::Admin if viewer?.is_admin() => Ok(()),
        Access::Admin | Access::Unspecified => Err(Refusal::forbidden()),
    }
}

/// A root of the schema with the rules around it.
pub(crate) struct Ruled<T> {
    root: T,
    nullable: bool,
}

impl<T> Ruled<T> {
    /// A root whose fields are nullable: a refused one is null and the others are answered.
    pub(super) fn nullable(root: T) -> Self {
        Self { root, nullable: true }
    }

    /// A root whose fields are not: a refused one ends the request.
    pub(super) fn required(root: T) -> Self {
        Self { root, nullable: false }
    }
}

impl<T: ObjectType> ContainerType for Ruled<T> {
    async fn resolve_field(&self, context: &Context<'_>) -> ServerResult<Option<Value>> {
        let visit = Visit::of(context);
        visit.begin();
        if let Err(refusal) = admit(visit, context.field().name()) {
            let error = Error::from(refusal).into_server_error(context.item.pos);
            let error = context.set_error_path(error);
            if !self.nullable {
                return Err(error);
            }
            context.add_error(error);
            return Ok(Some(Value::Null));
        }
        if !self.nullable {
            visit.forget().await;
        }
        self.root.resolve_field(context).await
    }

    async fn find_entity(
        &self,
        context: &Context<'_>,
        representation: &Value,
    ) -> ServerResult<Option<Value>> {
        Visit::of(context).begin();
        self.root.find_entity(context, representation).await
    }
}

impl<T: ObjectType> OutputType for Ruled<T> {
    fn type_name() -> Cow<'static, str> {
        T::type_name()
    }

    fn create_type_info(registry: &mut Registry) -> String {
        T::create_type_info(registry)
    }

    async fn resolve(&self, context: &ContextSelectionSet<'_>, _: &Positioned<Field>) -> ServerResult<Value> {
        resolve_container(context, self).await
    }
}

impl<T: ObjectType> ObjectType for Ruled<T> {}

impl<T: SubscriptionType> SubscriptionType for Ruled<T> {
    fn type_name() -> Cow<'static, str> {
        T::type_name()
    }

    fn create_type_info(registry: &mut Registry) -> String {
        T::create_type_info(registry)
    }

    fn create_field_stream<'a>(
        &'a self,
        context: &'a Context<'_>,
    ) -> Option<Pin<Box<dyn Stream<Item = Response> + Send + 'a>>> {
        let visit = Visit::of(context);
        visit.begin();
        if let Err(refusal) = admit(visit, context.field().name()) {
            let error = Error::from(refusal).into_server_error(context.item.pos);
            let response = Response::from_errors(vec![context.set_error_path(error)]);
            return Some(Box::pin(stream::once(ready(response))));
        }
        self.root.create_field_stream(context)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use async_graphql::parser::{
        parse_schema,
        types::{TypeKind, TypeSystemDefinition},
    };

    use super::*;

    /// The fields of `Query`, `Mutation` and `Subscription`.
    fn root_fields() -> BTreeSet<String> {
        let document = parse_schema(crate::sdl()).unwrap();
        let roots = document.definitions.into_iter().filter_map(|definition| match definition {
            TypeSystemDefinition::Type(ty) => {
                let is_root = ["Query", "Mutation", "Subscription"].contains(&ty.node.name.node.as_str());
                is_root.then_some(ty.node.kind)
            }
            _ => None,
        });
        roots
            .flat_map(|kind| match kind {
                TypeKind::Object(object) => object.fields,
                _ => vec![],
            })
            .map(|field| field.node.name.node.to_string())
            .collect()
    }

    #[test]
    fn every_root_field_has_one_rule_and_every_rule_a_root_field() {
        let ruled: Vec<String> =
            RULES.iter().flat_map(|rules| rules.iter()).map(|(name, _)| (*name).into()).collect();
        assert!(ruled.len() >= 32, "{ruled:?}");
        assert_eq!(ruled.iter().cloned().collect::<BTreeSet<_>>(), root_fields());
        assert_eq!(ruled.len(), root_fields().len(), "a field has two rules");
        assert!(
            RULES.iter().flat_map(|rules| rules.iter()).all(|(_, access)| *access != Access::Unspecified)
        );
    }

    #[test]
    fn a_field_without_a_rule_is_refused() {
        assert_eq!(rule("dropTables"), Access::Unspecified);
    }
}
