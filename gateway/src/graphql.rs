//! The graph: what clients can ask for, and how each answer is put together.
//!
//! One file for each entity holds its type, its loaders, its queries and mutations, and the rule of each of its root
//! fields. A field that can fail is nullable, so a service that is down costs its fields and never the page.

mod entity;
mod event;
mod json;
mod loader;
mod occasion;
mod order;
mod page;
mod payment;
mod product;
mod public;
mod rules;
mod scalars;
mod user;
mod validator;
mod visit;

use async_graphql::{MergedObject, MergedSubscription, SDLExportOptions, ValidationMode};

pub(crate) use entity::repeats;
pub(crate) use json::Json;
pub(crate) use occasion::Occasion;
pub(crate) use order::{CreateOrderInput, OrderFilter, OrderStatus};
pub(crate) use page::DEFAULT_LIMIT;
pub(crate) use payment::{PaymentFilter, PaymentStatus};
pub(crate) use public::PublicFields;
pub(crate) use rules::{Ruled, admits};
pub(crate) use scalars::{Amount, DECIMAL_RULE, DateTime, Decimal};
pub(crate) use user::{LoginInput, RegisterInput, Role, UpdateUserInput, UserFilter};
pub(crate) use validator::Validator;
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

/// How much is found out about a document before it runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Validation {
    /// Everything.
    Strict,
    /// Everything, and names that may have been meant are told: only to who may know them.
    Suggesting,
    /// Almost nothing: for a document that was found to be valid before.
    Skipped,
    /// As suggesting, and then nothing runs.
    Alone,
}

/// Builds the graph. It holds nothing of a request: who asks and what was loaded comes with each, as its [`Visit`].
pub(crate) fn schema(validation: Validation) -> Schema {
    let subscription = Ruled::required(Subscription::default());
    let mode = match validation {
        Validation::Strict | Validation::Suggesting | Validation::Alone => ValidationMode::Strict,
        Validation::Skipped => ValidationMode::Fast,
    };
    let builder =
        Schema::build(Ruled::nullable(Query::default()), Ruled::required(Mutation::default()), subscription)
            .validation_mode(mode)
            .enable_federation()
            .enable_subscription_in_federation();
    match validation {
        Validation::Suggesting => builder.finish(),
        Validation::Alone => builder.extension(validator::Stop).finish(),
        // A suggestion tells the names of a schema that may not be asked for.
        Validation::Strict | Validation::Skipped => builder.disable_suggestions().finish(),
    }
}

/// The schema as an Apollo Federation v2 subgraph, in SDL: what `schema.graphql` holds.
pub fn sdl() -> String {
    let options = SDLExportOptions::new()
        .federation()
        .include_specified_by()
        .prefer_single_line_descriptions()
        .use_space_ident();
    schema(Validation::Strict).sdl_with_options(options)
}
