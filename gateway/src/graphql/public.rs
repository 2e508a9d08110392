//! What is the same for everyone. Private is the default: a field that stands in no list may have looked at the viewer.
//!
//! The lists stand beside the fields, in the `PUBLIC` of each entity's file. Nothing rests on them alone: what is public
//! runs in nobody's name (see `http::merge`), so a field that is listed by mistake is refused and shows nothing.

use std::collections::HashMap;

use async_graphql::parser::{
    parse_schema,
    types::{BaseType, ObjectType, Type, TypeKind, TypeSystemDefinition},
};

use super::{Schema, page, product};

/// Objects, and which of their fields are public.
pub(super) type Public = &'static [(&'static str, &'static [&'static str])];

const PUBLIC: [Public; 2] = [product::PUBLIC, page::PUBLIC];

/// The public fields of the schema, and what each leads to.
pub(crate) struct PublicFields(HashMap<&'static str, HashMap<&'static str, Box<str>>>);

impl PublicFields {
    /// Reads from the schema's own text what the listed fields lead to.
    pub(crate) fn of(schema: &Schema) -> Self {
        let document = parse_schema(schema.sdl()).expect("the schema writes SDL that its own parser reads");
        let objects: HashMap<_, _> = document.definitions.into_iter().filter_map(object).collect();
        let listed = PUBLIC.iter().flat_map(|public| public.iter());
        let fields = listed.map(|(name, fields)| {
            let object = objects.get(*name);
            let results = fields.iter().filter_map(|field| Some((*field, result(object?, field)?))).collect();
            (*name, results)
        });
        Self(fields.collect())
    }

    /// The type that a public field of this object has, without its lists; `None` for every other field.
    pub(crate) fn result(&self, object: &str, field: &str) -> Option<&str> {
        Some(self.0.get(object)?.get(field)?)
    }
}

fn object(definition: TypeSystemDefinition) -> Option<(String, ObjectType)> {
    let TypeSystemDefinition::Type(definition) = definition else { return None };
    match definition.node.kind {
        TypeKind::Object(object) => Some((definition.node.name.node.to_string(), object)),
        _ => None,
    }
}

fn result(object: &ObjectType, field: &str) -> Option<Box<str>> {
    let field = object.fields.iter().find(|found| found.node.name.node == field)?;
    Some(named(&field.node.ty.node).into())
}

fn named(ty: &Type) -> &str {
    match &ty.base {
        BaseType::Named(name) => name,
        BaseType::List(item) => named(item),
    }
}

#[cfg(test)]
mod tests {
    use crate::graphql::Validation;
    use proto::common::v1::Access;

    use super::*;
    use crate::graphql::{rules::RULES, schema};

    /// Every field of the schema as `Type.field`, and which of them are public.
    fn fields() -> Vec<(String, bool)> {
        let public = PublicFields::of(&schema(Validation::Strict));
        let document = parse_schema(crate::sdl()).unwrap();
        let objects = document.definitions.into_iter().filter_map(object);
        let fields = objects.flat_map(|(name, object)| {
            object.fields.into_iter().map(move |field| (name.clone(), field.node.name.node.to_string()))
        });
        fields
            .map(|(object, field)| (format!("{object}.{field}"), public.result(&object, &field).is_some()))
            .collect()
    }

    #[test]
    fn whatever_is_not_listed_is_private_and_the_list_is_this() {
        let public: Vec<_> =
            fields().into_iter().filter_map(|(field, public)| public.then_some(field)).collect();
        let expected = [
            "PageInfo.total",
            "PageInfo.hasMore",
            "PageInfo.endCursor",
            "Product.id",
            "Product.name",
            "Product.unitPrice",
            "Product.currency",
            "Product.active",
            "Product.createdAt",
            "Product.updatedAt",
            "ProductPage.data",
            "ProductPage.pageInfo",
            "Query.product",
            "Query.products",
        ];
        assert_eq!(public, expected);
        assert!(fields().len() > 100, "the schema was not walked");
    }

    #[test]
    fn every_field_that_is_listed_is_in_the_schema() {
        let listed: usize =
            PUBLIC.iter().flat_map(|public| public.iter()).map(|(_, fields)| fields.len()).sum();
        assert_eq!(listed, fields().iter().filter(|(_, public)| *public).count());
    }

    #[test]
    fn a_public_root_field_is_one_that_needs_no_token() {
        let rules = || RULES.iter().flat_map(|rules| rules.iter());
        for (_, fields) in product::PUBLIC.iter().filter(|(object, _)| *object == "Query") {
            for field in *fields {
                let rule = rules().find(|(name, _)| name == field).unwrap().1;
                assert_eq!(rule, Access::Public, "{field}");
            }
        }
    }
}
