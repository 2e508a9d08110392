//! A gateway in front of services in memory, whose calls are counted and can be made slow or to fail.

use std::{
    collections::HashMap,
    convert::Infallible,
    sync::{Arc, Mutex},
    task::{Context, Poll},
    time::Duration,
};

use axum::{
    body::Body,
    http::{HeaderMap, Request, Response, StatusCode, header},
};
use futures::future::BoxFuture;
use gateway::{App, Clients, Config};
use http_body_util::BodyExt;
use messaging::{Broker, Bus};
use runtime::{
    Clock, Sessions,
    grpc::{GrpcService, Guard, Transport, in_process},
};
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use testkit::{Caller, Calls, Tokens};
use tonic::{Status, server::NamedService};
use tower::{Service, ServiceExt, util::BoxCloneSyncService};

use crate::memory::{self, Store};

/// What goes wrong with an RPC.
#[derive(Clone)]
pub(crate) enum Fault {
    /// Nobody answers.
    Down,
    /// The answer comes late.
    Slow(Duration),
    /// The service fails with words that must not reach a client.
    Broken(&'static str),
}

/// The faults by the name of the RPC; "order" names all RPCs of that service.
#[derive(Clone, Default)]
pub(crate) struct Faults(Arc<Mutex<HashMap<String, Fault>>>);

/// What the services were told beside the message, at their last call.
#[derive(Clone, Default)]
pub(crate) struct Heard(Arc<Mutex<HeaderMap>>);

impl Heard {
    pub(crate) fn metadata(&self, name: &str) -> Option<String> {
        Some(self.0.lock().unwrap().get(name)?.to_str().unwrap().to_owned())
    }
}

impl Faults {
    pub(crate) fn set(&self, rpc: &str, fault: Fault) {
        self.0.lock().unwrap().insert(rpc.to_owned(), fault);
    }

    pub(crate) fn clear(&self) {
        self.0.lock().unwrap().clear();
    }

    fn of(&self, path: &str) -> Option<Fault> {
        let (service, rpc) = path.trim_start_matches('/').split_once('/').unwrap();
        let service = service.split('.').next().unwrap();
        let faults = self.0.lock().unwrap();
        faults.get(rpc).or_else(|| faults.get(service)).cloned()
    }

    /// A way on which nobody answers.
    fn on_the_way(&self, transport: Transport) -> Transport {
        let faults = self.clone();
        BoxCloneSyncService::new(tower::service_fn(move |request: Request<tonic::body::Body>| {
            let (fault, transport) = (faults.of(request.uri().path()), transport.clone());
            async move {
                match fault {
                    Some(Fault::Down) => Err(Status::unavailable("connection refused at 10.0.0.7")),
                    _ => transport.oneshot(request).await,
                }
            }
        }))
    }
}

/// A service that is slow or broken behind its guard.
#[derive(Clone)]
struct Faulty<S> {
    service: S,
    faults: Faults,
    heard: Heard,
}

impl<S: NamedService> NamedService for Faulty<S> {
    const NAME: &'static str = S::NAME;
}

impl<S: GrpcService> Service<Request<tonic::body::Body>> for Faulty<S> {
    type Response = Response<tonic::body::Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<tonic::body::Body>) -> Self::Future {
        let (fault, service) = (self.faults.of(request.uri().path()), self.service.clone());
        *self.heard.0.lock().unwrap() = request.headers().clone();
        Box::pin(async move {
            match fault {
                Some(Fault::Slow(time)) => tokio::time::sleep(time).await,
                Some(Fault::Broken(words)) => return Ok(Status::internal(words).into_http()),
                _ => {}
            }
            service.oneshot(request).await
        })
    }
}

pub(crate) struct World {
    pub(crate) tokens: Tokens,
    pub(crate) clock: Clock,
    pub(crate) sessions: Sessions,
    pub(crate) store: Store,
    pub(crate) calls: Calls,
    pub(crate) faults: Faults,
    pub(crate) heard: Heard,
    pub(crate) broker: Broker,
    pub(crate) app: App,
}

/// An HTTP answer.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    /// The body as it was written.
    pub(crate) text: String,
    /// The body as JSON; null when it is none.
    pub(crate) body: Value,
}

impl World {
    pub(crate) fn new() -> Self {
        Self::with(&[])
    }

    /// With these settings beside those of development.
    pub(crate) fn with(arguments: &[&str]) -> Self {
        Self::hearing(Broker::from(Bus::new(vec![])), arguments)
    }

    /// The same, hearing events of this broker.
    pub(crate) fn hearing(broker: Broker, arguments: &[&str]) -> Self {
        let (tokens, clock) = (Tokens::new(), Clock::system());
        let sessions = tokens.sessions(&clock);
        let (store, calls, faults, heard) = Default::default();
        let reach = Reach { sessions: &sessions, calls: &calls, faults: &faults, heard: &heard };
        let clients = Clients {
            user: reach.to(memory::users(&store)),
            order: reach.to(memory::orders(&store)),
            payment: reach.to(memory::payments(&store)),
        };
        let environment: &[&str] = match arguments.contains(&"--environment") {
            true => &[],
            false => &["--environment", "development"],
        };
        let arguments = [environment, arguments].concat();
        let mut config: Config =
            runtime::config::parse(["gateway"].iter().chain(&arguments).copied()).unwrap();
        for address in [&mut config.listen, &mut config.admin_listen] {
            if !arguments.contains(&address.as_str()) {
                *address = "127.0.0.1:0".to_owned();
            }
        }
        let app = App::build(config, clients, sessions.clone(), broker.clone());
        Self { tokens, clock, sessions, store, calls, faults, heard, broker, app }
    }

    pub(crate) async fn send(&self, request: Request<Body>) -> Answer {
        let (head, body) = self.app.router().oneshot(request).await.unwrap().into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        let text = String::from_utf8(body.to_vec()).unwrap();
        let body = serde_json::from_str(&text).unwrap_or_default();
        Answer { status: head.status, headers: head.headers, text, body }
    }

    /// A customer with an account.
    pub(crate) fn customer(&self, first_name: &str) -> Caller {
        let caller = self.tokens.customer();
        self.store.add_user(&caller, first_name);
        caller
    }

    /// An admin with an account.
    pub(crate) fn admin(&self) -> Caller {
        let caller = self.tokens.admin();
        self.store.add_user(&caller, "Grace");
        caller
    }

    /// A customer with an order of one laptop; the ids of the order and of its payment.
    pub(crate) fn buyer(&self) -> (Caller, String, String) {
        let caller = self.customer("Ada");
        self.store.add_product("prod-1", "Laptop", 99_999);
        let (order, payment) = self.store.add_order(&caller, "prod-1");
        (caller, order, payment)
    }

    /// The JSON that is answered to `query`, asked by `who`.
    pub(crate) async fn ask(&self, who: Option<&Caller>, query: &str) -> Value {
        self.ask_with(who, query, json!({})).await
    }

    /// The same with variables.
    pub(crate) async fn ask_with(&self, who: Option<&Caller>, query: &str, variables: Value) -> Value {
        self.send(post(who, &json!({ "query": query, "variables": variables }))).await.body
    }
}

/// The ways to guarded services in this process, counted.
struct Reach<'a> {
    sessions: &'a Sessions,
    calls: &'a Calls,
    faults: &'a Faults,
    heard: &'a Heard,
}

impl Reach<'_> {
    fn to<S: GrpcService>(&self, service: S) -> Transport {
        let faulty = Faulty { service, faults: self.faults.clone(), heard: self.heard.clone() };
        let guarded = Guard::new(self.sessions.clone()).around(faulty);
        self.calls.count(self.faults.on_the_way(in_process(guarded)))
    }
}

/// A POST of this JSON.
pub(crate) fn post(who: Option<&Caller>, body: &Value) -> Request<Body> {
    let mut request = Request::post("/graphql").header(header::CONTENT_TYPE, "application/json");
    if let Some(caller) = who {
        request = request.header(header::AUTHORIZATION, format!("Bearer {}", caller.token.expose_secret()));
    }
    request.body(Body::from(body.to_string())).unwrap()
}

/// `extensions` of the first error.
pub(crate) fn refusal(body: &Value) -> &Value {
    &body["errors"][0]["extensions"]
}

/// Code and reason of the first error.
pub(crate) fn reason(body: &Value) -> (&str, &str) {
    let extensions = refusal(body);
    (extensions["code"].as_str().unwrap_or_default(), extensions["reason"].as_str().unwrap_or_default())
}
