//! What is checked before any field runs: a mutation must not have changed half of what was asked when the other half
//! turns out to be wrong.

use std::collections::HashSet;

use async_graphql::parser::types::{
    DocumentOperations, Field, OperationDefinition, OperationType, Selection, SelectionSet,
};
use axum::http::StatusCode;
use identity::Viewer;
use runtime::{Kind, Refusal};

use super::{
    Edge,
    coerce::Scope,
    cost::Cost,
    document::Document,
    rate::{LIMITED, Standing},
    read::Inquiry,
    respond::Refused,
    viewer::Caller,
};

/// What is known of an operation that may run.
pub(super) struct Checked {
    pub(super) operation: OperationType,
    pub(super) cost: Cost,
    /// How often it would do each of [`LIMITED`].
    attempts: [u32; LIMITED.len()],
}

impl Checked {
    /// Charges the caller for it. Tells where they stand then.
    ///
    /// # Errors
    /// When they asked too much of late; it must not run then.
    pub(super) fn charge(&self, edge: &Edge, caller: &Caller) -> Result<Option<Standing>, Refusal> {
        for (field, attempts) in LIMITED.iter().zip(self.attempts).filter(|(_, attempts)| *attempts > 0) {
            edge.rates.attempts(field, caller, attempts)?;
        }
        edge.rates.cost(caller, self.cost.points.min(edge.limits.most_points()))
    }
}

/// Checks the operation that is meant, and the values that it is given.
pub(super) fn check(
    edge: &Edge,
    document: &Document,
    inquiry: &Inquiry<'_>,
    viewer: Option<Viewer>,
) -> Result<Checked, Refused> {
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
    let checked = schema_is_not_asked_for(edge, viewer, &fields)
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
    fields.iter().copied().try_for_each(arguments).map_err(Refused::by_kind)?;
    let cost = within_limits(edge, document, inquiry, (operation, &fields)).map_err(Refused::by_kind)?;
    let times = |name| fields.iter().filter(|field| field.name.node == name).count();
    let attempts = match operation.ty {
        OperationType::Mutation => LIMITED.map(|name| u32::try_from(times(name)).unwrap_or(u32::MAX)),
        _ => Default::default(),
    };
    Ok(Checked { operation: operation.ty, cost, attempts })
}

/// Holds what depends on the variables against the limits, together with what the document is beyond.
fn within_limits(
    edge: &Edge,
    document: &Document,
    inquiry: &Inquiry<'_>,
    (operation, fields): (&OperationDefinition, &[&Field]),
) -> Result<Cost, Refusal> {
    let (limits, variables) = (&edge.limits, &inquiry.variables);
    let scope = Scope::of(operation, variables);
    let mut excess = document.excess.clone();
    limits.measure_variables(variables, &mut excess);
    limits.measure_representations(representations(fields, &scope), &mut excess);
    let cost = document.plans.cost(inquiry.operation_name.as_deref(), &scope);
    limits.measure_cost(cost, &mut excess);
    limits.judge(&excess)?;
    Ok(cost)
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

/// The root fields that tell the schema: `_service` tells all of it, as introspection does.
pub(super) const SCHEMA_FIELDS: [&str; 3] = ["__schema", "__type", "_service"];

fn schema_is_not_asked_for(edge: &Edge, viewer: Option<Viewer>, fields: &[&Field]) -> Result<(), Refusal> {
    let asks = |field: &&Field| SCHEMA_FIELDS.contains(&field.name.node.as_str());
    if !edge.shows_schema(viewer) && fields.iter().any(asks) {
        return Err(Refusal::new(
            Kind::Forbidden,
            "INTROSPECTION_DISABLED",
            "the schema can't be asked for here",
        ));
    }
    Ok(())
}

/// How many representations `_entities` is asked for: it has no page size.
fn representations(fields: &[&Field], scope: &Scope<'_>) -> usize {
    let entities = fields.iter().filter(|field| field.name.node == "_entities");
    let given = entities.filter_map(|field| field.get_argument("representations"));
    given.map(|argument| scope.length(&argument.node)).sum()
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
