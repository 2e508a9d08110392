//! Why a subscription's field runs: it runs once at the start, where it says what it wants, and once for each event.
//!
//! The GraphQL crate would keep one context for the whole life of a subscription, and with it everything that its
//! loaders ever loaded. Here each event is a request of its own.

use std::sync::{Arc, OnceLock};

use async_graphql::ID;
use futures::{Stream, stream};
use runtime::Refusal;
use uuid::Uuid;

use super::Visit;
use crate::events::{Event, Names, Wanted};

/// Why the root fields of a request run.
#[derive(Default)]
pub(crate) enum Occasion {
    /// They are asked for, which a subscription's never are.
    #[default]
    Request,
    /// A subscription starts. Its field leaves here what it wants.
    Start(OnceLock<Wanted>),
    /// An event that a subscription wants.
    Event(Arc<Event>),
}

impl Occasion {
    /// What a subscription that started wants; `None` when its field did not come to say it.
    pub(crate) fn wanted(&self) -> Option<&Wanted> {
        match self {
            Self::Start(wanted) => wanted.get(),
            Self::Request | Self::Event(_) => None,
        }
    }
}

impl Wanted {
    /// Events of these names.
    pub(super) fn of(names: &[&str]) -> Self {
        let names = names.iter().filter_map(|name| Names::one(name));
        Self { names: names.fold(Names::default(), Names::and), ..Self::default() }
    }

    /// Only those about this order.
    pub(super) fn about(self, order: Option<&ID>) -> Result<Self, Refusal> {
        Ok(Self { order: order.map(|id| uuid(id, "orderId")).transpose()?, ..self })
    }

    /// Those that came after the event with this id.
    pub(super) fn after(self, event: Option<&ID>) -> Result<Self, Refusal> {
        Ok(Self { after: event.map(|id| uuid(id, "after")).transpose()?, ..self })
    }
}

fn uuid(id: &ID, argument: &str) -> Result<Uuid, Refusal> {
    id.parse().map_err(|_| Refusal::bad_input("INPUT_INVALID", argument, "must be a UUID"))
}

impl Visit {
    /// The events of a subscription's field that wants these, of those that the viewer may see. At the start there are
    /// none yet; after it there is one.
    pub(super) fn events(&self, wanted: Wanted) -> Result<impl Stream<Item = Arc<Event>> + use<>, Refusal> {
        let event = match self.occasion() {
            Occasion::Request => return Err(Refusal::internal("a subscription was asked like a query")),
            Occasion::Start(told) => {
                let owner = self.viewer()?.scope().map(|user| user.0);
                // The only field of a subscription runs once.
                let _ = told.set(Wanted { owner, ..wanted });
                None
            }
            Occasion::Event(event) => Some(event.clone()),
        };
        Ok(stream::iter(event))
    }
}
