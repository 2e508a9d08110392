//! What all requests share, made once out of the settings.

use std::{sync::Arc, time::Duration};

use identity::Viewer;
use messaging::{Broker, Heard, revocations};
use proto::{DomainEvent, user::v1::SessionRevoked};
use runtime::{Sessions, Stop, config::Environment};
use tokio::time::MissedTickBehavior;

use super::{
    address::Proxies,
    admit::Admission,
    coerce::Inputs,
    cost::Costs,
    document::{Document, Documents},
    headers::Origins,
    limits::Limits,
    live::{self, Live},
    merge::Merge,
    persisted::Persisted,
    rate::{self, Rates},
    trusted::Trusted,
};
use crate::{
    Config,
    clients::Services,
    config::StreamConfig,
    events::Hub,
    graphql::{PublicFields, Schema, Validation, schema},
    measure,
};

/// What all requests share.
pub(crate) struct Edge {
    pub(super) schema: Schema,
    /// The same for who may know its names: what is wrong with a document is told with what may have been meant.
    pub(super) suggesting: Schema,
    /// The same for documents that it has found to be valid.
    pub(super) unvalidating: Schema,
    pub(super) inputs: Inputs,
    pub(super) documents: Documents,
    pub(super) public_fields: PublicFields,
    /// How long caches may keep a public answer, in seconds; 0 is not at all.
    pub(crate) public_max_age: u32,
    pub(super) merge: Merge,
    pub(super) persisted: Persisted,
    pub(super) trusted: Trusted,
    pub(crate) services: Arc<Services>,
    pub(super) sessions: Sessions,
    pub(super) hub: Arc<Hub>,
    pub(super) live: Arc<Live>,
    pub(super) streams: StreamConfig,
    /// The room for requests of any kind.
    pub(crate) admission: Admission,
    pub(crate) proxies: Proxies,
    pub(crate) rates: Rates,
    pub(super) limits: Limits,
    /// Those whose pages may ask, beside our own.
    pub(crate) origins: Origins,
    /// How many operations may come together; 0 for one at a time.
    pub(super) batch: u8,
    pub(crate) largest_body: usize,
    pub(super) introspection: bool,
    pub(super) development: bool,
    pub(crate) rpc_timeout: Duration,
    pub(crate) request_timeout: Duration,
}

impl Edge {
    pub(crate) fn new(config: &Config, services: Arc<Services>, sessions: Sessions) -> Self {
        measure::start();
        let [schema, suggesting, unvalidating] =
            [Validation::Strict, Validation::Suggesting, Validation::Skipped].map(schema);
        let documents = Documents::new(config.document_cache_bytes, Costs::of(&crate::sdl()));
        let limits = Limits::new(&config.limits);
        let (switch, bytes) = (config.documents.persisted_queries, config.documents.persisted_query_bytes);
        Self {
            inputs: Inputs::of(&schema.sdl()),
            trusted: Trusted::new(&config.documents, &documents, &limits),
            persisted: Persisted::new(switch, bytes),
            documents,
            public_fields: PublicFields::of(&schema),
            public_max_age: config.documents.public_max_age,
            merge: Merge::default(),
            schema,
            suggesting,
            unvalidating,
            services,
            hub: Arc::new(Hub::new(config.streams.event_window, config.streams.event_window_bytes)),
            live: Arc::new(Live::new(sessions.clone(), config.streams.sockets_per_user)),
            streams: config.streams.clone(),
            sessions,
            admission: Admission::new(config.limits.requests),
            proxies: Proxies::new(config.rates.trusted_proxies.clone()),
            rates: Rates::new(&config.rates, config.limits.cost),
            limits,
            origins: Origins::new(&config.requests.cors_origins),
            batch: config.requests.batch,
            largest_body: config.limits.body,
            introspection: config.allows_introspection(),
            development: config.environment == Environment::Development,
            rpc_timeout: config.rpc_timeout,
            request_timeout: config.request_timeout,
        }
    }

    /// Whether this viewer may know the schema. An admin may where others may not.
    pub(super) fn shows_schema(&self, viewer: Option<Viewer>) -> bool {
        self.introspection || viewer.is_some_and(|viewer| viewer.is_admin())
    }

    /// The schema on which a document of this viewer runs.
    pub(super) fn schema(&self, document: &Document, viewer: Option<Viewer>) -> &Schema {
        match (document.is_known_to_be_valid(), self.shows_schema(viewer)) {
            (true, _) => &self.unvalidating,
            (false, true) => &self.suggesting,
            (false, false) => &self.schema,
        }
    }

    /// Hears what `broker` says until `stop`: for those who subscribe, and for those whose session is revoked.
    pub(crate) async fn listen(&self, broker: &Broker, stop: Stop) {
        let names: Vec<&str> = proto::EVENTS.iter().map(|event| event.name).collect();
        let mut listener = broker.listen(&names);
        let mut look = tokio::time::interval(live::LOOK);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut prune = tokio::time::interval(rate::PRUNE);
        prune.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                _ = look.tick() => {
                    self.live.look();
                    self.admission.tell();
                }
                _ = prune.tick() => self.rates.prune(),
                heard = listener.next() => self.hear(&heard),
            }
        }
    }

    fn hear(&self, heard: &Heard) {
        self.hub.hear(heard);
        if let Heard::Event(event) = heard
            && event.name() == Some(SessionRevoked::NAME)
        {
            revocations::revoke(&self.sessions, event);
            self.live.look();
        }
    }
}
