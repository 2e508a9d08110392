//! The wiring: what the gateway is made of, its routes and its two ports.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use axum::{
    Extension, Json, Router,
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::{any, get},
};
use messaging::Broker;
use runtime::{
    Faults, Port, Sessions, Stop,
    admin::{self, Check},
    faults,
    lifecycle::join_all,
    status::Part,
};
use tokio::{net::TcpListener, task::JoinSet};

use crate::{
    Clients, Config,
    clients::Services,
    http::{self, Edge, headers},
    ide,
    jwks::jwks,
    rest,
    server::{self, Connection},
};

/// The gateway, wired and not yet listening.
pub struct App {
    config: Config,
    sessions: Sessions,
    clients: Clients,
    broker: Broker,
    edge: Arc<Edge>,
    router: Router,
    faults: Faults,
}

impl App {
    /// Wires the gateway; does no I/O. `sessions` and `broker` are passed in: in one process with the services, all
    /// share them.
    pub fn build(config: Config, clients: Clients, sessions: Sessions, broker: Broker) -> Self {
        let faults = Faults::without_calls("gateway", config.environment);
        let broker = broker.with_faults(&faults);
        let services = Services::new(clients.clone(), &config.clients);
        let edge = Arc::new(Edge::new(&config, Arc::new(services), sessions.clone()));
        let mut router = Router::new()
            .route("/graphql", any(http::graphql).with_state(edge.clone()))
            .route("/query", any(http::graphql).with_state(edge.clone()))
            .route("/health", get(health).with_state(sessions.clone()))
            .route("/.well-known/jwks.json", get(jwks).with_state(sessions.clone()));
        if config.shows_ide() {
            router = router.merge(ide::router());
        }
        let router = router.merge(rest::router(edge.clone(), config.shows_ide()));
        let router = headers::dress(router.fallback(http::unknown_path), &config.requests);
        Self { config, sessions, clients, broker, edge, router, faults }
    }

    /// The routes, for who serves them themselves.
    pub fn router(&self) -> Router {
        self.router.clone()
    }

    /// What has to hold before requests are taken. A service that is down costs its own fields, not the gateway.
    pub fn checks(&self) -> Vec<Check> {
        vec![self.edge.admission.check(), self.sessions.check()]
    }

    /// Takes both ports.
    ///
    /// # Errors
    /// When one is taken, naming it.
    pub async fn bind(&self) -> anyhow::Result<Bound> {
        self.on(Port::open(&self.config.listen).await?).await
    }

    async fn on(&self, public: Port) -> anyhow::Result<Bound> {
        Ok(Bound {
            public,
            admin: Port::open(&self.config.admin_listen).await?.listen()?,
            router: self.router(),
            edge: self.edge.clone(),
            broker: self.broker.clone(),
            write_timeout: self.config.streams.write_timeout,
            checks: self.checks(),
            parts: vec![Part::new("gateway", self.checks(), &self.faults)],
        })
    }

    /// Runs alone in its process until `stop`: follows the user service's keys and revocations, and serves once it is ready,
    /// or something seems to be away for longer. Who connects before that is refused, and goes to another gateway.
    ///
    /// # Errors
    /// When a port is taken or a listener fails.
    pub async fn run(self, stop: Stop) -> anyhow::Result<()> {
        let bound = self.on(Port::closed(&self.config.listen).await?).await?.showing(self.clients.health());
        let following = tokio::spawn(self.sessions.follow(self.clients.user, stop.clone()));
        let outcome = bound.serve(stop).await;
        following.abort();
        outcome
    }
}

/// The two ports of the gateway, bound and not yet answering.
pub struct Bound {
    public: Port,
    admin: TcpListener,
    router: Router,
    edge: Arc<Edge>,
    broker: Broker,
    write_timeout: Duration,
    checks: Vec<Check>,
    parts: Vec<Part>,
}

impl Bound {
    /// Shows these parts of the system too on the status page, whatever `/ready` depends on.
    #[must_use]
    pub fn showing(mut self, parts: impl IntoIterator<Item = Part>) -> Self {
        self.parts.extend(parts);
        self
    }

    /// Where clients are answered.
    ///
    /// # Errors
    /// When the system does not say.
    pub fn address(&self) -> std::io::Result<SocketAddr> {
        self.public.address()
    }

    /// Where health and metrics are answered.
    ///
    /// # Errors
    /// When the system does not say.
    pub fn admin_address(&self) -> std::io::Result<SocketAddr> {
        self.admin.local_addr()
    }

    /// Answers until `stop`, then lets the requests under way end. Listens to events meanwhile, but asks the user
    /// service for no keys and revocations: see [`App::run`].
    ///
    /// # Errors
    /// When a listener fails.
    pub async fn serve(mut self, stop: Stop) -> anyhow::Result<()> {
        self.checks.extend(faults::check(self.parts.iter().map(|part| part.faults.clone())));
        let mut tasks = JoinSet::new();
        let (router, public_stop, admin_stop) = (self.router, stop.clone(), stop.clone());
        let (checks, admin) = (self.checks.clone(), self.admin.local_addr()?);
        tasks.spawn(async move {
            if let Port::Closed(_) = self.public {
                admin::until_ready(&checks, &public_stop).await;
            }
            let listener = self.public.listen()?;
            tracing::info!(graph = %listener.local_addr()?, %admin, "the gateway listens");
            server::serve(listener, router, self.write_timeout, public_stop).await;
            Ok(())
        });
        let listening_stop = stop.clone();
        tasks.spawn(async move {
            self.edge.listen(&self.broker, listening_stop).await;
            Ok(())
        });
        tasks.spawn(async move { Ok(admin::serve(self.admin, self.checks, self.parts, admin_stop).await?) });
        join_all(tasks, &stop).await
    }
}

/// Whether requests are taken here, for load balancers: 200 once tokens can be judged, 503 before, and when it is about to
/// stop.
async fn health(State(sessions): State<Sessions>, connection: Option<Extension<Connection>>) -> Response {
    let stops = connection.is_some_and(|connection| connection.stops());
    let (status, told) = match (stops, sessions.is_loaded()) {
        (true, _) => (StatusCode::SERVICE_UNAVAILABLE, "stopping"),
        (false, true) => (StatusCode::OK, "ok"),
        (false, false) => (StatusCode::SERVICE_UNAVAILABLE, "starting"),
    };
    (status, [(header::CACHE_CONTROL, "no-store")], Json(serde_json::json!({ "status": told })))
        .into_response()
}
