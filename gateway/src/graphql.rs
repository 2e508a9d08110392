//! The graph: what clients can ask for, and how each answer is put together.
//!
//! One file for each entity holds its type, its loaders, its queries and mutations, and the rule of each of its root
//! fields. A field that can fail is nullable, so a service that is down costs its fields and never the page.

mod entity;
mod event;
mod loader;
mod occasion;
mod order;
mod page;
mod payment;
mod product;
mod rules;
mod scalars;
mod user;
mod visit;

use async_graphql::{MergedObject, MergedSubscription, SDLExportOptions, ValidationMode};

pub(crate) use occasion::Occasion;
pub(crate) use rules::Ruled;
pub(crate) use scalars::{DECIMAL_RULE, DateTime, Decimal};
pub(crate) use visit::Visit;

/// What can be read.
#[derive(MergedObject, Default)]
pub(crate) struct Query(user::UserQuery, product::ProductQuery, order::OrderQuery, payment::PaymentQuery);

/// What can be changed.
#[derive(MergedObject, Default)]
pub(crate) struct Mutation(
    user::UserMutation,
    product::ProductMutation,
    order::OrderMutation,
    payment::PaymentMutation,
);

/// What can be followed.
#[derive(MergedSubscription, Default)]
pub(crate) struct Subscription(
    order::OrderSubscription,
    payment::PaymentSubscription,
    event::EventSubscription,
);

/// The graph with its rules.
pub(crate) type Schema = async_graphql::Schema<Ruled<Query>, Ruled<Mutation>, Ruled<Subscription>>;

/// Builds the graph. It holds nothing of a request: who asks and what was loaded comes with each, as its [`Visit`].
pub(crate) fn schema(validation: ValidationMode) -> Schema {
    let subscription = Ruled::required(Subscription::default());
    Schema::build(Ruled::nullable(Query::default()), Ruled::required(Mutation::default()), subscription)
        .validation_mode(validation)
        .enable_federation()
        .enable_subscription_in_federation()
        // A suggestion tells the names of a schema that may not be asked for.
        .disable_suggestions()
        .finish()
}

/// The schema as an Apollo Federation v2 subgraph, in SDL: what `schema.graphql` holds.
pub fn sdl() -> String {
    let options = SDLExportOptions::new()
        .federation()
        .include_specified_by()
        .prefer_single_line_descriptions()
        .use_space_ident();
    schema(ValidationMode::Strict).sdl_with_options(options)
}
