//! What each field of the graph costs, in tenths of a point, read from the schema. See "Limits" in docs/edge.md.

use std::collections::HashMap;

use async_graphql::{
    Name,
    parser::{
        parse_schema,
        types::{BaseType, FieldDefinition, ObjectType, Type, TypeKind, TypeSystemDefinition},
    },
};
use async_graphql_value::ConstValue;
use runtime::page::MAX_PAGE;

/// An object, beside what is asked of it.
const OBJECT: u64 = 10;
/// Any other field.
const SCALAR: u64 = 1;
/// A root field of a query: a call of a service.
const QUERY: u64 = 50;
/// A root field of a mutation: a call that writes.
const MUTATION: u64 = 100;
/// Following another entity: a key in a call of a service.
const EDGE: u64 = 10;
/// How many rows a list without a page size is taken to have: the items of an order.
const SHORT_LIST: u64 = 5;

/// What the fields cost, by their object.
pub(super) struct Weights(HashMap<Name, HashMap<Name, Weight>>);

/// What a field costs: `call`, and for each row `row` and what is asked of it.
#[derive(Clone, Debug)]
pub(super) struct Weight {
    pub(super) call: u64,
    pub(super) row: u64,
    pub(super) rows: Rows,
    /// The type of what it answers.
    pub(super) of: Name,
}

/// How many rows a field answers.
#[derive(Clone, Copy, Debug)]
pub(super) enum Rows {
    /// So many.
    About(u64),
    /// As many as its argument `limit` says; so many where it does not.
    Limit(u64),
    /// As many as it is given representations.
    Representations,
}

impl Weights {
    /// Reads them from the schema's own text.
    pub(super) fn of(sdl: &str) -> Self {
        let document = parse_schema(sdl).expect("the schema writes SDL that its own parser reads");
        let mut objects = HashMap::new();
        let mut entities = Vec::new();
        for definition in document.definitions {
            let TypeSystemDefinition::Type(definition) = definition else { continue };
            let definition = definition.node;
            let TypeKind::Object(object) = definition.kind else { continue };
            if definition.directives.iter().any(|directive| directive.node.name.node == "key") {
                entities.push(definition.name.node.clone());
            }
            objects.insert(definition.name.node, object);
        }
        let schema = Schema { objects: &objects, entities: &entities };
        let weights = objects.iter().map(|(name, object)| (name.clone(), schema.weights(name, object)));
        Self(weights.collect())
    }

    /// What a field of this object costs. One that does not exist is told by the validation.
    pub(super) fn of_field(&self, object: &str, field: &str) -> Weight {
        match field {
            "_entities" => Weight {
                call: QUERY,
                row: OBJECT + EDGE,
                rows: Rows::Representations,
                of: Name::new("_Entity"),
            },
            _ => self.0.get(object).and_then(|fields| fields.get(field)).cloned().unwrap_or(Weight {
                call: 0,
                row: SCALAR,
                rows: Rows::About(1),
                of: Name::new("_"),
            }),
        }
    }
}

/// How many parts an introspection field stands for, for each of those that have it. Rounded up from our own schema.
pub(super) fn parts(field: &str) -> u64 {
    match field {
        "types" => 60,
        "fields" => 10,
        "directives" => 6,
        "inputFields" | "enumValues" => 3,
        "args" | "possibleTypes" => 2,
        // All of it as one text.
        "sdl" => 2_000,
        _ => 1,
    }
}

struct Schema<'a> {
    objects: &'a HashMap<Name, ObjectType>,
    entities: &'a [Name],
}

impl Schema<'_> {
    fn weights(&self, name: &Name, object: &ObjectType) -> HashMap<Name, Weight> {
        let weight = |field: &FieldDefinition| self.weight(name, object, field);
        object.fields.iter().map(|field| (field.node.name.node.clone(), weight(&field.node))).collect()
    }

    fn weight(&self, parent: &Name, object: &ObjectType, field: &FieldDefinition) -> Weight {
        let (of, is_list) = named(&field.ty.node);
        let answers = self.objects.get(of);
        let rows = match limit(field) {
            Some(default) => Rows::Limit(default),
            // The field that answers the page has counted its rows.
            None if is_list && !is_page(object) && answers.is_some() => Rows::About(SHORT_LIST),
            None => Rows::About(1),
        };
        let is_frame = *of == "PageInfo" || answers.is_some_and(is_page);
        let row = match answers {
            Some(_) if is_frame => 0,
            Some(_) => OBJECT,
            None => SCALAR,
        };
        let call = match parent.as_str() {
            "Query" | "Subscription" => QUERY,
            "Mutation" => MUTATION,
            _ if self.entities.contains(of) && !is_page(object) => EDGE,
            _ => 0,
        };
        Weight { call, row, rows, of: of.clone() }
    }
}

fn is_page(object: &ObjectType) -> bool {
    object.fields.iter().any(|field| field.node.name.node == "pageInfo")
}

/// How many rows the field answers when it is not said, if it can be said.
fn limit(field: &FieldDefinition) -> Option<u64> {
    let argument = field.arguments.iter().find(|argument| argument.node.name.node == "limit")?;
    let default = argument.node.default_value.as_ref().map(|value| &value.node);
    Some(match default {
        Some(ConstValue::Number(number)) => page_size(number.as_i64().unwrap_or(MAX_PAGE)),
        _ => page_size(MAX_PAGE),
    })
}

/// How many rows there are when this many are asked for; of what the services refuse, as many as they may answer.
pub(super) fn page_size(asked: i64) -> u64 {
    asked.clamp(1, MAX_PAGE).unsigned_abs()
}

fn named(ty: &Type) -> (&Name, bool) {
    match &ty.base {
        BaseType::Named(name) => (name, false),
        BaseType::List(inner) => (named(inner).0, true),
    }
}
