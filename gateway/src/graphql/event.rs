//! Everything that happens in the system, for admins.

use std::sync::Arc;

use async_graphql::{Context, ID, Json, Object, Subscription};
use futures::{Stream, StreamExt};
use proto::{EVENTS, common::v1::Access};
use runtime::Refusal;
use serde_json::Value;

use super::{Visit, rules::Rules, scalars::DateTime};
use crate::events::{Event, Names, Wanted};

pub(super) const RULES: Rules = &[("domainEvents", Access::Admin)];

/// Something that happened.
struct DomainEvent(Arc<Event>);

/// Something that happened, as a CloudEvent tells it.
#[Object]
impl DomainEvent {
    /// Its id, a UUID: `after` takes it.
    async fn id(&self) -> ID {
        self.0.cloud.id.into()
    }

    /// What happened, such as "order.created".
    async fn name(&self) -> &str {
        self.0.cloud.name().unwrap_or_default()
    }

    /// The name with its version, such as "portico.order.created.v1".
    #[graphql(name = "type")]
    async fn kind(&self) -> &str {
        &self.0.cloud.kind
    }

    /// Which service says it.
    async fn source(&self) -> &str {
        &self.0.cloud.source
    }

    /// The id of that to which it happened.
    async fn subject(&self) -> ID {
        self.0.cloud.subject.into()
    }

    /// The version of that to which it happened, after it: a whole number, which may be longer than 32 bits.
    async fn sequence(&self) -> &str {
        &self.0.cloud.sequence
    }

    /// When.
    async fn time(&self) -> DateTime {
        self.0.cloud.time.into()
    }

    /// What there is to know about it; its form follows from the type.
    async fn data(&self) -> Json<&Value> {
        Json(&self.0.cloud.data)
    }
}

/// The fields of `Subscription` about everything.
#[derive(Default)]
pub(super) struct EventSubscription;

#[Subscription]
impl EventSubscription {
    /// Everything that happens in the system. For admins.
    async fn domain_events(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "Only events of these names, such as \"order.created\".")] types: Option<
            Vec<String>,
        >,
        #[graphql(desc = "The event after which to begin; by default, now.")] after: Option<ID>,
    ) -> Result<impl Stream<Item = DomainEvent>, Refusal> {
        let names = types.map_or(Ok(Names::ALL), |types| named(&types))?;
        let wanted = Wanted { names, ..Wanted::default() }.after(after.as_ref())?;
        Ok(Visit::of(context).events(wanted)?.map(DomainEvent))
    }
}

/// The events of these names.
fn named(types: &[String]) -> Result<Names, Refusal> {
    types.iter().enumerate().try_fold(Names::default(), |names, (n, name)| {
        let rule = || {
            format!("must be one of {}", EVENTS.iter().map(|event| event.name).collect::<Vec<_>>().join(", "))
        };
        let one = Names::one(name);
        one.map(|one| names.and(one))
            .ok_or_else(|| Refusal::bad_input("INPUT_INVALID", format!("types.{n}"), rule()))
    })
}
