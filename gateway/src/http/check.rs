//! What is checked before any field runs: a mutation must not have changed half of what was asked when the other half
//! turns out to be wrong.

use std::collections::HashSet;

use async_graphql::{
    Variables,
    parser::types::{DocumentOperations, Field, OperationDefinition, OperationType, Selection, SelectionSet},
};
use axum::http::StatusCode;
use runtime::{Kind, Refusal, page::MAX_BATCH};

use super::{Edge, coerce::Scope, document::Document, read::Inquiry, respond::Refused};

/// Checks the operation that is meant, and the values that it is given. Answers what it is.
pub(super) fn check(
    edge: &Edge,
    document: &Document,
    inquiry: &Inquiry<'_>,
) -> Result<OperationType, Refused> {
    let operation = operation(document, inquiry.operation_name.as_deref()).map_err(Refused::by_kind)?;
    if inquiry.by_get && operation.ty == OperationType::Mutation {
        let refusal = Refusal::new(
            Kind::BadInput,
            "METHOD_NOT_ALLOWED",
            "a GET changes nothing: send mutations by POST",
        );
        return Err(Refused::by_http(StatusCode::METHOD_NOT_ALLOWED, refusal).with_allow("POST"));
    }
    let mut fields = Vec::new();
    root_fields(document, &operation.selection_set.node, &mut fields);
    let variables = &inquiry.variables;
    let checked = schema_is_not_asked_for(edge, &fields)
        .and_then(|()| entities_are_few(&fields, operation, variables))
        .and_then(|()| edge.inputs.check_variables(operation, variables));
    checked.map_err(Refused::by_kind)?;
    match operation.ty {
        OperationType::Query => {}
        OperationType::Mutation => runs_once(&fields).map_err(Refused::by_kind)?,
        OperationType::Subscription => {
            is_one_field(&operation.selection_set.node).map_err(Refused::by_kind)?;
        }
    }
    let arguments =
        |field| edge.inputs.check_arguments(operation.ty, field, &Scope::of(operation, variables));
    fields.into_iter().try_for_each(arguments).map_err(Refused::by_kind)?;
    Ok(operation.ty)
}

/// The operation that is meant.
fn operation<'a>(document: &'a Document, name: Option<&str>) -> Result<&'a OperationDefinition, Refusal> {
    let found = match (&document.parsed.operations, name) {
        (DocumentOperations::Single(operation), None) => Some(operation),
        (DocumentOperations::Single(_), Some(_)) => None,
        (DocumentOperations::Multiple(operations), Some(name)) => operations.get(name),
        (DocumentOperations::Multiple(operations), None) if operations.len() == 1 => {
            operations.values().next()
        }
        (DocumentOperations::Multiple(_), None) => {
            let message = "the document has several operations: say by `operationName` which is meant";
            return Err(Refusal::new(Kind::BadInput, "OPERATION_NAME_MISSING", message));
        }
    };
    let missing =
        || Refusal::new(Kind::BadInput, "OPERATION_UNKNOWN", "the document has no operation of that name");
    found.map(|operation| &operation.node).ok_or_else(missing)
}

/// The root fields, those of fragments included. Fragments do not go in circles: that was refused.
fn root_fields<'a>(document: &'a Document, selection: &'a SelectionSet, fields: &mut Vec<&'a Field>) {
    for item in &selection.items {
        match &item.node {
            Selection::Field(field) => fields.push(&field.node),
            Selection::InlineFragment(fragment) => {
                root_fields(document, &fragment.node.selection_set.node, fields);
            }
            Selection::FragmentSpread(spread) => {
                if let Some(fragment) = document.parsed.fragments.get(&spread.node.fragment_name.node) {
                    root_fields(document, &fragment.node.selection_set.node, fields);
                }
            }
        }
    }
}

/// `_service` tells the whole schema, as introspection does.
fn schema_is_not_asked_for(edge: &Edge, fields: &[&Field]) -> Result<(), Refusal> {
    let asks = |field: &&Field| ["__schema", "__type", "_service"].contains(&field.name.node.as_str());
    if !edge.introspection && fields.iter().any(asks) {
        return Err(Refusal::new(
            Kind::Forbidden,
            "INTROSPECTION_DISABLED",
            "the schema can't be asked for here",
        ));
    }
    Ok(())
}

/// A representation costs as much as a row, and `_entities` has no page size.
fn entities_are_few(
    fields: &[&Field],
    operation: &OperationDefinition,
    variables: &Variables,
) -> Result<(), Refusal> {
    let scope = Scope::of(operation, variables);
    let representations = fields
        .iter()
        .filter(|field| field.name.node == "_entities")
        .filter_map(|field| field.get_argument("representations"))
        .map(|argument| scope.length(&argument.node))
        .sum::<usize>();
    if representations > MAX_BATCH {
        return Err(Refusal::bad_input("TOO_MANY_KEYS", "representations", "must be at most 1000"));
    }
    Ok(())
}

/// The fields of a mutation that share a response key would be merged into one answer after each had run: a payment
/// would be made twice and told once.
fn runs_once(fields: &[&Field]) -> Result<(), Refusal> {
    let mut keys = HashSet::new();
    if fields.iter().all(|field| keys.insert(&field.response_key().node)) {
        return Ok(());
    }
    let message = "the mutation has the same field twice; give each an alias of its own if both are meant";
    Err(Refusal::new(Kind::BadInput, "MUTATION_FIELD_REPEATED", message))
}

/// A subscription follows one thing (GraphQL, section 5.2.3.1), written out at its root: the GraphQL crate leaves out
/// fragments there without a word, and a field that is skipped would leave nothing to follow.
fn is_one_field(selection: &SelectionSet) -> Result<(), Refusal> {
    if let [item] = selection.items.as_slice()
        && let Selection::Field(field) = &item.node
        && field.node.directives.is_empty()
        && !field.node.name.node.starts_with("__")
    {
        return Ok(());
    }
    let message =
        "a subscription has exactly one field at its root, without a fragment around it or a directive";
    Err(Refusal::new(Kind::BadInput, "SUBSCRIPTION_ROOT_INVALID", message))
}
