//! What an operation costs, in points: about how many rows it reads and how many calls it makes, at most. A document is
//! made into a plan for each of its operations, once; what remains of it for each request are the page sizes and
//! conditions that depend on variables, mostly none.

mod plan;
mod weights;

use async_graphql::{Name, Value, parser::types::ExecutableDocument};

use super::{coerce::Scope, rate::Standing};
pub(super) use plan::Plans;
use plan::{Planner, Sum};
use weights::Weights;

/// How many parts of the schema cost as much as a point. They come from memory.
const PARTS_OF_A_POINT: u64 = 100;

/// What an operation costs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Cost {
    /// All of it, in points.
    pub(crate) points: u32,
    /// How many parts of the schema it asks for.
    pub(crate) introspection: u32,
}

impl Cost {
    /// What a client is told who asks, as the answer's `extensions.cost`.
    pub(super) fn told(self, limit: u32, standing: Option<Standing>) -> Value {
        let mut members = vec![("requested", self.points), ("limit", limit)];
        members.extend(standing.map(|standing| ("remaining", standing.remaining)));
        if self.introspection > 0 {
            members.push(("introspection", self.introspection));
        }
        Value::Object(members.into_iter().map(|(name, number)| (Name::new(name), number.into())).collect())
    }
}

/// What the fields of the graph cost.
pub(super) struct Costs(Weights);

impl Costs {
    /// Reads the schema's own text, with the keys of its entities.
    pub(super) fn of(sdl: &str) -> Self {
        Self(Weights::of(sdl))
    }

    /// Plans what the operations of a document cost. It was measured before: its fragments do not go in circles.
    pub(super) fn plan(&self, document: &ExecutableDocument) -> Plans {
        Planner::new(&self.0, document).plan()
    }
}

impl Plans {
    /// What the operation of this name costs with the variables in `scope`; without a name, the only one.
    pub(super) fn cost(&self, name: Option<&str>, scope: &Scope<'_>) -> Cost {
        let Sum { tenths, parts } = self.sum(name, scope);
        let points = tenths.div_ceil(10).saturating_add(parts.div_ceil(PARTS_OF_A_POINT));
        Cost { points: narrow(points), introspection: narrow(parts) }
    }
}

fn narrow(number: u64) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use async_graphql::{Variables, parser::parse_query};
    use serde_json::json;

    use super::*;

    /// The points of the first operation, and the parts of the schema that it asks for.
    fn cost_with(text: &str, variables: serde_json::Value) -> (u32, u32) {
        let document = parse_query(text).unwrap();
        let variables = Variables::from_json(variables);
        let (_, operation) = document.operations.iter().next().unwrap();
        let plans = Costs::of(&crate::sdl()).plan(&document);
        let cost = plans.cost(None, &Scope::of(&operation.node, &variables));
        (cost.points, cost.introspection)
    }

    fn points(text: &str) -> u32 {
        cost_with(text, json!({})).0
    }

    #[test]
    fn a_list_costs_its_page_size_times_its_rows() {
        assert_eq!(points("{ __typename }"), 1);
        assert_eq!(points("{ product(id: 1) { id name } }"), 7);
        let page = |limit: &str| points(&format!("{{ products{limit} {{ data {{ id name }} }} }}"));
        assert_eq!((page(""), page("(limit: 1)"), page("(limit: 100)")), (29, 7, 125));
        // No service answers more than 100.
        assert_eq!((page("(limit: 100000)"), page("(limit: -1)")), (125, 7));
    }

    #[test]
    fn an_edge_costs_a_call_more_and_pages_in_pages_multiply() {
        let nested = "{ orders(limit: 10) { data { id status totalAmount user { id email fullName }
            payment { id status amount } } } }";
        assert_eq!(points(nested), 64);
        let explosion = "{ orders(limit: 100) { data { user { orders(limit: 100) { id } } } } }";
        assert_eq!(points(explosion), 11_405);
    }

    #[test]
    fn page_sizes_and_conditions_may_come_from_variables() {
        let query = "query($n: Int = 50, $with: Boolean!) {
            products(limit: $n) { data { id name } ...f @include(if: $with) } }
            fragment f on ProductPage { data { unitPrice } }";
        let cost = |variables| cost_with(query, variables).0;
        assert_eq!(cost(json!({ "with": false })), 65);
        assert_eq!(cost(json!({ "with": true })), 120);
        assert_eq!(cost(json!({ "n": 10, "with": false })), 17);
        assert_eq!(cost(json!({ "n": 10, "with": true })), 28);
        assert_eq!(cost(json!({ "n": null, "with": false })), 29);
        assert_eq!(points("{ products @skip(if: true) { data { id } } }"), 0);
        assert_eq!(points("{ products @include(if: false) { data { id } } }"), 0);
    }

    #[test]
    fn a_fragment_costs_each_time_that_it_is_spread() {
        let spread = |times: usize| {
            points(&format!(
                "query($n: Int) {{ {} }} fragment f on Query {{ products(limit: $n) {{ data {{ id name }} }} }}",
                "...f ".repeat(times)
            ))
        };
        assert_eq!((spread(1), spread(10)), (29, 290));
    }

    #[test]
    fn the_plan_of_a_document_does_not_grow_with_what_its_fragments_stand_for() {
        let mut bomb = String::from(
            "query($n: Int) { ...f0 } fragment f40 on Query { products(limit: $n) { data { id } } }",
        );
        for n in 0..40 {
            bomb += &format!(" fragment f{n} on Query {{ ...f{m} ...f{m} }}", m = n + 1);
        }
        assert_eq!(cost_with(&bomb, json!({ "n": 1 })).0, u32::MAX);
    }

    #[test]
    fn entities_cost_by_their_representations() {
        let text = "query($r: [_Any!]!) { _entities(representations: $r) { ... on User { id email } } }";
        let some = |n: usize| json!({ "r": vec![json!({ "__typename": "User", "id": "1" }); n] });
        assert_eq!(cost_with(text, some(1)).0, 8);
        assert_eq!(cost_with(text, some(100)).0, 225);
        assert_eq!(
            points("{ _entities(representations: [{a: 1}, {a: 2}]) { ... on User { id email } } }"),
            10
        );
    }

    #[test]
    fn the_schema_is_counted_by_itself() {
        assert_eq!(cost_with("{ __type(name: \"User\") { name } }", json!({})), (1, 2));
        let (points, parts) = cost_with(
            "{ __schema { types { ...t } } } fragment t on __Type { fields { name type { name } } }",
            json!({}),
        );
        assert_eq!((points, parts), (25, 2_461));
        let (_, deep) = cost_with(
            "{ __schema { types { fields { type { fields { type { fields { name } } } } } } } }",
            json!({}),
        );
        assert!(deep > 100_000, "{deep}");
    }

    #[test]
    fn mutations_cost_more_than_queries() {
        assert_eq!(points("mutation { deleteOrder(id: 1) }"), 11);
        assert_eq!(points("mutation { a: deleteOrder(id: 1) b: deleteOrder(id: 2) }"), 21);
    }
}
