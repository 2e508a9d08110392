//! The cost of an operation as far as its document says it.

use std::collections::HashMap;

use async_graphql::{
    Name, Positioned,
    parser::types::{Directive, ExecutableDocument, Field, Selection, SelectionSet},
};
use async_graphql_value::Value;

use super::weights::{Rows, Weights, page_size, parts};
use crate::http::{check::SCHEMA_FIELDS, coerce::Scope};

/// A cost: tenths of a point, and parts of the schema.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Sum {
    pub(super) tenths: u64,
    pub(super) parts: u64,
}

impl Sum {
    fn and(self, other: Self) -> Self {
        Self {
            tenths: self.tenths.saturating_add(other.tenths),
            parts: self.parts.saturating_add(other.parts),
        }
    }

    fn times(self, times: u64) -> Self {
        Self { tenths: self.tenths.saturating_mul(times), parts: self.parts.saturating_mul(times) }
    }
}

/// What is known of a cost, and what is left to be said by variables.
#[derive(Debug, Default)]
struct Plan {
    known: Sum,
    terms: Vec<Term>,
}

/// A part of a cost that depends on variables.
#[derive(Debug)]
struct Term {
    times: Times,
    of: Of,
}

#[derive(Debug)]
enum Times {
    Known(u64),
    /// The page size in this variable, or so many.
    Limit(Name, u64),
    /// The length of the list in this variable.
    Length(Name),
    /// Once where the variable is this, else not.
    If(Name, bool),
}

#[derive(Debug)]
enum Of {
    Plan(Plan),
    /// The fragment with this number.
    Fragment(usize),
}

/// What the operations of a document cost.
#[derive(Debug)]
pub(in crate::http) struct Plans {
    operations: Vec<(Option<Name>, Plan)>,
    /// Each after those that it spreads. Only those that depend on variables.
    fragments: Vec<Plan>,
}

impl Plans {
    pub(super) fn sum(&self, name: Option<&str>, scope: &Scope<'_>) -> Sum {
        let named = |(own, _): &&(Option<Name>, Plan)| name.is_none() || own.as_deref() == name;
        let Some((_, plan)) = self.operations.iter().find(named) else { return Sum::default() };
        if plan.terms.is_empty() {
            return plan.known;
        }
        let mut fragments = Vec::with_capacity(self.fragments.len());
        for fragment in &self.fragments {
            let sum = fragment.sum(scope, &fragments);
            fragments.push(sum);
        }
        plan.sum(scope, &fragments)
    }
}

impl Plan {
    fn known(known: Sum) -> Self {
        Self { known, terms: vec![] }
    }

    fn sum(&self, scope: &Scope<'_>, fragments: &[Sum]) -> Sum {
        self.terms.iter().fold(self.known, |sum, term| {
            let times = match &term.times {
                Times::Known(times) => *times,
                Times::Limit(name, default) => scope.integer(name).map_or(*default, page_size),
                Times::Length(name) => scope.length(&Value::Variable(name.clone())) as u64,
                Times::If(name, wanted) => u64::from(scope.boolean(name).is_none_or(|is| is == *wanted)),
            };
            // Most of what is switched off need not be looked at.
            if times == 0 {
                return sum;
            }
            let of = match &term.of {
                Of::Plan(plan) => plan.sum(scope, fragments),
                Of::Fragment(number) => fragments.get(*number).copied().unwrap_or_default(),
            };
            sum.and(of.times(times))
        })
    }

    fn add(&mut self, times: Times, of: Of) {
        match (times, of) {
            (Times::Known(times), Of::Plan(plan)) if plan.terms.is_empty() => {
                self.known = self.known.and(plan.known.times(times));
            }
            (Times::Known(1), Of::Plan(plan)) => {
                self.known = self.known.and(plan.known);
                self.terms.extend(plan.terms);
            }
            (times, of) => self.terms.push(Term { times, of }),
        }
    }
}

/// Makes the plans of a document, of each fragment once.
pub(super) struct Planner<'a> {
    weights: &'a Weights,
    document: &'a ExecutableDocument,
    seen: HashMap<&'a Name, Seen>,
    fragments: Vec<Plan>,
}

/// A fragment that was planned.
#[derive(Clone, Copy)]
enum Seen {
    Known(Sum),
    Number(usize),
}

impl<'a> Planner<'a> {
    pub(super) fn new(weights: &'a Weights, document: &'a ExecutableDocument) -> Self {
        Self { weights, document, seen: HashMap::new(), fragments: vec![] }
    }

    pub(super) fn plan(mut self) -> Plans {
        let operations = self.document.operations.iter().map(|(name, operation)| {
            let root = match operation.node.ty {
                async_graphql::parser::types::OperationType::Query => "Query",
                async_graphql::parser::types::OperationType::Mutation => "Mutation",
                async_graphql::parser::types::OperationType::Subscription => "Subscription",
            };
            (name.cloned(), self.selection(root, &operation.node.selection_set.node))
        });
        let operations = operations.collect();
        Plans { operations, fragments: self.fragments }
    }

    fn selection(&mut self, object: &str, selection: &'a SelectionSet) -> Plan {
        let mut plan = Plan::default();
        for item in &selection.items {
            let (of, directives) = match &item.node {
                Selection::Field(field) => {
                    (Of::Plan(self.field(object, &field.node)), &field.node.directives)
                }
                Selection::InlineFragment(fragment) => {
                    let condition = fragment.node.type_condition.as_ref();
                    let object = condition.map_or(object, |condition| condition.node.on.node.as_str());
                    let inner = self.selection(object, &fragment.node.selection_set.node);
                    (Of::Plan(inner), &fragment.node.directives)
                }
                Selection::FragmentSpread(spread) => {
                    (self.fragment(&spread.node.fragment_name.node), &spread.node.directives)
                }
            };
            match of {
                of if directives.is_empty() => plan.add(Times::Known(1), of),
                of => plan.add(Times::Known(1), conditional(of, directives)),
            }
        }
        plan
    }

    fn field(&mut self, object: &str, field: &'a Field) -> Plan {
        let (name, selection) = (field.name.node.as_str(), &field.selection_set.node);
        if object.starts_with("__") || SCHEMA_FIELDS.contains(&name) {
            let mut inner = self.selection("__Type", selection);
            inner.known.parts = inner.known.parts.saturating_add(1);
            let mut plan = Plan::default();
            plan.add(Times::Known(parts(name)), Of::Plan(inner));
            return plan;
        }
        let weight = self.weights.of_field(object, name);
        let mut row = self.selection(&weight.of, selection);
        row.known.tenths = row.known.tenths.saturating_add(weight.row);
        let mut plan = Plan::known(Sum { tenths: weight.call, parts: 0 });
        plan.add(times(weight.rows, field), Of::Plan(row));
        plan
    }

    fn fragment(&mut self, name: &Name) -> Of {
        let Some((name, fragment)) = self.document.fragments.get_key_value(name) else {
            return Of::Plan(Plan::default());
        };
        let seen = match self.seen.get(name) {
            Some(seen) => *seen,
            None => {
                let object = fragment.node.type_condition.node.on.node.as_str();
                let plan = self.selection(object, &fragment.node.selection_set.node);
                let seen = match plan.terms.is_empty() {
                    true => Seen::Known(plan.known),
                    false => {
                        self.fragments.push(plan);
                        Seen::Number(self.fragments.len() - 1)
                    }
                };
                self.seen.insert(name, seen);
                seen
            }
        };
        match seen {
            Seen::Known(sum) => Of::Plan(Plan::known(sum)),
            Seen::Number(number) => Of::Fragment(number),
        }
    }
}

/// How often the row of this field is there.
fn times(rows: Rows, field: &Field) -> Times {
    let (argument, default) = match rows {
        Rows::About(rows) => return Times::Known(rows),
        Rows::Limit(default) => ("limit", default),
        Rows::Representations => ("representations", 1),
    };
    match field.get_argument(argument).map(|value| &value.node) {
        Some(Value::Variable(name)) if argument == "limit" => Times::Limit(name.clone(), default),
        Some(Value::Variable(name)) => Times::Length(name.clone()),
        Some(Value::Number(number)) => Times::Known(page_size(number.as_i64().unwrap_or(i64::MAX))),
        Some(Value::List(items)) => Times::Known(items.len() as u64),
        _ => Times::Known(default),
    }
}

/// The same under the conditions of `@skip` and `@include`.
fn conditional(of: Of, directives: &[Positioned<Directive>]) -> Of {
    directives.iter().fold(of, |of, directive| {
        let wanted = match directive.node.name.node.as_str() {
            "include" => true,
            "skip" => false,
            _ => return of,
        };
        let times = match directive.node.get_argument("if").map(|value| &value.node) {
            Some(Value::Boolean(is)) => Times::Known(u64::from(*is == wanted)),
            Some(Value::Variable(name)) => Times::If(name.clone(), wanted),
            _ => return of,
        };
        let mut plan = Plan::default();
        plan.add(times, of);
        Of::Plan(plan)
    })
}
