//! Calls to a service with several addresses, over real sockets. The names are resolved as a test says.

use std::{
    collections::BTreeSet,
    convert::Infallible,
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
    time::{Duration, Instant},
};

use futures::future::{BoxFuture, Ready, ready};
use http::{Request, Response};
use tokio::{net::TcpListener, task::JoinSet, time::sleep};
use tokio_util::task::TaskTracker;
use tonic::{Code, Status, body::Body, server::NamedService};
use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};
use tower::{Service, ServiceExt};

use super::{Resolve, Transport, connect, connect_by};
use crate::{
    Clock, Faults, Sessions, Stop,
    config::{self, Environment},
    grpc::{Guard, Server, TlsConfig, incoming::Incoming},
    sessions::TokenConfig,
};

/// How long anything may take that is to happen soon.
const SOON: Duration = Duration::from_secs(10);

/// A service that counts its calls.
#[derive(Clone, Default)]
struct Counter(Arc<AtomicUsize>);

impl NamedService for Counter {
    const NAME: &'static str = "test.Counter";
}

impl Service<Request<Body>> for Counter {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Ready<Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request<Body>) -> Self::Future {
        self.0.fetch_add(1, Ordering::SeqCst);
        ready(Ok(Status::ok("").into_http()))
    }
}

/// A process of the service. It ends when it is dropped.
struct Process {
    address: SocketAddr,
    calls: Counter,
    _stop: tokio_util::sync::DropGuard,
}

impl Process {
    /// One at this address of the machine.
    async fn at(ip: &str) -> Self {
        Self::on(&format!("{ip}:0")).await
    }

    async fn on(address: &str) -> Self {
        let listener = TcpListener::bind(address).await.unwrap();
        let (address, calls, stop) = (listener.local_addr().unwrap(), Counter::default(), Stop::new());
        let incoming =
            Incoming::new(listener, Faults::none(), TaskTracker::new(), stop.clone()).connections();
        let routes = tonic::transport::Server::builder().add_service(calls.clone());
        tokio::spawn(routes.serve_with_incoming_shutdown(incoming, std::future::pending()));
        Self { address, calls, _stop: stop.drop_guard() }
    }

    fn calls(&self) -> usize {
        self.calls.0.load(Ordering::SeqCst)
    }
}

/// The addresses of a name, as a test wants them; `None` where it can't be resolved.
#[derive(Clone)]
struct Names(Arc<Mutex<Option<Vec<SocketAddr>>>>);

impl Names {
    fn of(processes: &[&Process]) -> Self {
        Self(Arc::new(Mutex::new(Some(processes.iter().map(|process| process.address).collect()))))
    }

    fn now(&self, addresses: Option<Vec<SocketAddr>>) {
        *self.0.lock().unwrap() = addresses;
    }

    fn resolve(&self) -> Resolve {
        let names = self.clone();
        Arc::new(move |host, _| -> BoxFuture<'static, _> {
            assert_eq!(host, "service");
            let found = names.0.lock().unwrap().clone();
            Box::pin(ready(found.ok_or_else(|| std::io::ErrorKind::NotFound.into())))
        })
    }

    fn transport(&self) -> Transport {
        connect_by("http://service:50051", &TlsConfig::default(), self.resolve()).unwrap()
    }
}

async fn call(transport: &Transport) -> Result<(), Status> {
    let request = Request::post("http://service/test.Counter/Count").body(Body::empty()).unwrap();
    transport.clone().oneshot(request).await.map(drop)
}

/// Calls until `done` holds.
async fn call_until(transport: &Transport, done: impl Fn() -> bool) {
    let begun = Instant::now();
    while !done() {
        call(transport).await.unwrap();
        assert!(begun.elapsed() < SOON, "it did not come to it in {SOON:?}");
        sleep(Duration::from_millis(10)).await;
    }
}

/// An address at which nobody listens.
async fn dead(ip: &str) -> SocketAddr {
    TcpListener::bind((ip, 0)).await.unwrap().local_addr().unwrap()
}

#[tokio::test]
async fn calls_spread_over_all_addresses_of_a_name() {
    let all =
        [Process::at("127.0.0.1").await, Process::at("127.0.0.2").await, Process::at("127.0.0.3").await];
    let transport = Names::of(&[&all[0], &all[1], &all[2]]).transport();
    for _ in 0..300 {
        call(&transport).await.unwrap();
    }
    assert_eq!(all.each_ref().map(Process::calls), [100; 3]);
}

#[tokio::test]
async fn calls_spread_over_several_urls_of_one_setting() {
    let all = [Process::at("127.0.0.1").await, Process::at("127.0.0.2").await];
    let transport =
        connect(&format!("http://{}, http://{}", all[0].address, all[1].address), &TlsConfig::default())
            .unwrap();
    for _ in 0..10 {
        call(&transport).await.unwrap();
    }
    assert_eq!(all.each_ref().map(Process::calls), [5; 2]);
}

#[tokio::test]
async fn a_new_address_gets_calls_within_ten_seconds_and_one_that_vanished_gets_none() {
    let (old, new) = (Process::at("127.0.0.1").await, Process::at("127.0.0.2").await);
    let names = Names::of(&[&old]);
    let transport = names.transport();
    call(&transport).await.unwrap();
    names.now(Some(vec![old.address, new.address]));
    call_until(&transport, || new.calls() > 0).await;
    names.now(Some(vec![new.address]));
    let quiet = Mutex::new((old.calls(), 0));
    // Thirty calls in a row that the old one hears nothing of.
    call_until(&transport, || {
        let mut quiet = quiet.lock().unwrap();
        *quiet = if quiet.0 == old.calls() { (quiet.0, quiet.1 + 1) } else { (old.calls(), 0) };
        quiet.1 == 30
    })
    .await;
}

#[tokio::test]
async fn a_dead_address_costs_no_call_and_gets_calls_once_somebody_is_there() {
    let (one, other) = (Process::at("127.0.0.1").await, Process::at("127.0.0.2").await);
    let names = Names::of(&[&one, &other]);
    let address = dead("127.0.0.3").await;
    names.now(Some(vec![one.address, address, other.address]));
    let transport = names.transport();
    for _ in 0..100 {
        call(&transport).await.unwrap();
    }
    let back = Process::on(&address.to_string()).await;
    call_until(&transport, || back.calls() > 0).await;
}

#[tokio::test]
async fn a_name_that_can_no_longer_be_resolved_keeps_its_addresses() {
    let process = Process::at("127.0.0.1").await;
    let names = Names::of(&[&process]);
    let transport = names.transport();
    call(&transport).await.unwrap();
    for broken in [None, Some(vec![])] {
        names.now(broken);
        sleep(super::replicas::LOOK_EVERY + Duration::from_secs(1)).await;
        call(&transport).await.unwrap();
    }
}

#[tokio::test]
async fn a_service_that_comes_later_than_its_clients_is_found() {
    let process = Process::at("127.0.0.1").await;
    let names = Names::of(&[]);
    names.now(None);
    let transport = names.transport();
    let status = call(&transport).await.unwrap_err();
    assert_eq!((status.code(), status.message()), (Code::Unavailable, "the service can't be reached"));
    names.now(Some(vec![dead("127.0.0.2").await]));
    assert_eq!(call(&transport).await.unwrap_err().code(), Code::Unavailable);
    names.now(Some(vec![process.address]));
    let begun = Instant::now();
    while call(&transport).await.is_err() {
        assert!(begun.elapsed() < SOON);
        sleep(Duration::from_millis(10)).await;
    }
}

/// The whole server of a service: the calls are those of its health.
struct Whole {
    address: SocketAddr,
    stop: Stop,
    ended: tokio::task::JoinHandle<anyhow::Result<()>>,
}

impl Whole {
    async fn start(ip: &str) -> Self {
        let server = Server::bind(&format!("{ip}:0"), "127.0.0.1:0").await.unwrap();
        let (address, stop) = (server.grpc_address().unwrap(), Stop::new());
        let guard = Guard::new(Sessions::new(&tokens(), Clock::system()));
        let serve =
            server.serve(guard.around(Counter::default()), Environment::Production, vec![], stop.clone());
        Self { address, stop, ended: tokio::spawn(serve) }
    }

    /// Asks it to stop and waits until it has.
    async fn stop(self) {
        self.stop.cancel();
        self.ended.await.unwrap().unwrap();
    }
}

fn tokens() -> TokenConfig {
    #[derive(clap::Parser)]
    struct Config {
        #[command(flatten)]
        tokens: TokenConfig,
    }
    config::parse::<Config>(["test"]).unwrap().tokens
}

#[tokio::test(flavor = "multi_thread")]
async fn no_call_fails_while_all_processes_are_replaced_one_after_another() {
    let mut running = vec![Whole::start("127.0.0.1").await, Whole::start("127.0.0.2").await];
    let addresses = |running: &[Whole]| Some(running.iter().map(|one| one.address).collect::<Vec<_>>());
    let names = Names(Arc::new(Mutex::new(addresses(&running))));
    let (transport, over) = (names.transport(), Stop::new());
    let (made, mut callers) = (Arc::new(AtomicUsize::new(0)), JoinSet::new());
    for _ in 0..16 {
        let (transport, over, made) = (transport.clone(), over.clone(), made.clone());
        callers.spawn(async move {
            let mut client = HealthClient::new(transport);
            while !over.is_cancelled() {
                client.check(HealthCheckRequest::default()).await.unwrap();
                made.fetch_add(1, Ordering::SeqCst);
            }
        });
    }
    let mut seen = BTreeSet::new();
    for ip in ["127.0.0.3", "127.0.0.4", "127.0.0.1", "127.0.0.2", "127.0.0.3", "127.0.0.4"] {
        running.push(Whole::start(ip).await);
        names.now(addresses(&running));
        let (before, begun) = (made.load(Ordering::SeqCst), Instant::now());
        // The old one leaves without waiting for anybody to hear that its address is gone.
        running.remove(0).stop().await;
        while made.load(Ordering::SeqCst) < before + 200 {
            assert!(begun.elapsed() < SOON, "nobody is answered any more");
            sleep(Duration::from_millis(10)).await;
        }
        sleep(super::replicas::LOOK_EVERY / 4).await;
        seen.extend(running.iter().map(|one| one.address));
    }
    over.cancel();
    while let Some(caller) = callers.join_next().await {
        caller.unwrap();
    }
    assert_eq!(seen.len(), 7);
}
