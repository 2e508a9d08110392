//! One client request as the resolvers see it: who asks, what may be called in their name, what was already loaded.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use async_graphql::ContextBase;
use identity::Viewer;
use runtime::Refusal;

use super::{Occasion, order, payment, product, user};
use crate::clients::Calls;

/// One client request. What it loaded is never shown to another.
pub(crate) struct Visit {
    viewer: Option<Viewer>,
    occasion: Occasion,
    calls: Arc<Calls>,
    began: AtomicBool,
    writes: bool,
    pub(super) users: user::Loaders,
    pub(super) orders: order::Loaders,
    pub(super) products: product::Loaders,
    pub(super) payments: payment::Loaders,
}

impl Visit {
    /// A request of `viewer`, or of somebody who did not log in, that calls the services by `calls`.
    pub(crate) fn new(viewer: Option<Viewer>, calls: Calls) -> Self {
        Self {
            viewer,
            occasion: Occasion::Request,
            calls: Arc::new(calls),
            began: AtomicBool::new(false),
            writes: false,
            users: user::Loaders::default(),
            orders: order::Loaders::default(),
            products: product::Loaders::default(),
            payments: payment::Loaders::default(),
        }
    }

    /// The same as a part of a subscription.
    pub(crate) fn on(self, occasion: Occasion) -> Self {
        Self { occasion, ..self }
    }

    /// The same, with its entities written as they become known, since nothing of the answer `repeats`.
    pub(crate) fn writing(self, writes: bool) -> Self {
        Self { writes, ..self }
    }

    /// Whether entities are written as they become known, and not left to the GraphQL crate.
    pub(super) fn writes(&self) -> bool {
        self.writes
    }

    /// Why its root fields run.
    pub(crate) fn occasion(&self) -> &Occasion {
        &self.occasion
    }

    /// The visit that a resolver works for.
    pub(super) fn of<'a, T>(context: &ContextBase<'a, T>) -> &'a Self {
        context.data_unchecked::<Arc<Self>>()
    }

    /// Who asks, or UNAUTHENTICATED.
    pub(super) fn viewer(&self) -> Result<Viewer, Refusal> {
        self.viewer.ok_or_else(Refusal::unauthenticated)
    }

    /// Calls in the client's name.
    pub(super) fn calls(&self) -> &Arc<Calls> {
        &self.calls
    }

    /// Notes that a root field runs: what fails from here on is an error of a field, before it one of the request.
    pub(super) fn begin(&self) {
        self.began.store(true, Ordering::Relaxed);
    }

    /// Whether a root field ran.
    pub(crate) fn has_begun(&self) -> bool {
        self.began.load(Ordering::Relaxed)
    }

    /// Forgets what was loaded, since a mutation is about to change it.
    pub(super) async fn forget(&self) {
        self.users.clear().await;
        self.orders.clear().await;
        self.products.clear().await;
        self.payments.clear().await;
    }
}
