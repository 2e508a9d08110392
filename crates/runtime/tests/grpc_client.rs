//! Clients of a service that fails, over a real socket and in the process: the same becomes of the calls both ways.

#![allow(clippy::unwrap_used, missing_docs, reason = "a test that can't go on has failed")]

use std::{
    convert::Infallible,
    sync::{
        Arc,
        atomic::{AtomicU8, AtomicUsize, Ordering},
    },
    task::{Context, Poll},
    time::{Duration, Instant},
};

use futures::future::BoxFuture;
use http::{Request, Response};
use proto::user::v1::{
    ListRevokedSessionsRequest, RegisterRequest, user_service_client::UserServiceClient,
    user_service_server::SERVICE_NAME,
};
use runtime::{
    Clock, Refusal,
    config::parse,
    grpc::{Client, ClientConfig, Guard, in_process},
};
use testkit::{Tokens, serve};
use tokio::{task::JoinSet, time::sleep};
use tonic::{Code, Status, body::Body, server::NamedService};
use tower::Service;

/// What the service does.
const WELL: u8 = 0;
const AWAY: u8 = 1;
const STUCK: u8 = 2;

/// A user service that answers with nothing, or not at all.
#[derive(Clone, Default)]
struct Moody {
    mood: Arc<AtomicU8>,
    calls: Arc<AtomicUsize>,
}

impl NamedService for Moody {
    const NAME: &'static str = SERVICE_NAME;
}

impl Service<Request<Body>> for Moody {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request<Body>) -> Self::Future {
        self.calls.fetch_add(1, Ordering::SeqCst);
        let mood = self.mood.load(Ordering::SeqCst);
        Box::pin(async move {
            match mood {
                WELL => Ok(Status::not_found("").into_http()),
                AWAY => Ok(Status::unavailable("").into_http()),
                _ => std::future::pending().await,
            }
        })
    }
}

impl Moody {
    fn now(&self, mood: u8) {
        self.mood.store(mood, Ordering::SeqCst);
        self.calls.store(0, Ordering::SeqCst);
    }

    fn calls(&self) -> usize {
        self.calls.load(Ordering::SeqCst)
    }
}

/// A client over the network and one in the process, each of a service of its own.
async fn both_ways(settings: &[&str]) -> [(Moody, UserServiceClient<Client>); 2] {
    #[derive(clap::Parser)]
    struct Config {
        #[command(flatten)]
        clients: ClientConfig,
    }
    let config: Config = parse(std::iter::once(&"test").chain(settings)).unwrap();
    let guard = Guard::new(Tokens::new().sessions(&Clock::system()));
    let [there, here] = [Moody::default(), Moody::default()];
    let (_, network) = serve(guard.around(there.clone())).await;
    let ways = [(there, network), (here.clone(), in_process(guard.around(here)))];
    ways.map(|(service, way)| (service, UserServiceClient::new(Client::new("user", way, &config.clients))))
}

/// One call that is safe to repeat, with this long for it.
async fn read(mut client: UserServiceClient<Client>, time: Duration) -> Status {
    let mut request = tonic::Request::new(ListRevokedSessionsRequest::default());
    request.set_timeout(time);
    client.list_revoked_sessions(request).await.unwrap_err()
}

const LONG: Duration = Duration::from_secs(10);

fn reason(status: &Status) -> String {
    Refusal::from(status).reason.into_owned()
}

#[tokio::test]
async fn only_what_is_safe_to_repeat_is_repeated_while_the_service_is_away() {
    for (service, mut client) in both_ways(&[]).await {
        service.now(AWAY);
        let status = read(client.clone(), LONG).await;
        assert_eq!((status.code(), service.calls()), (Code::Unavailable, 3));
        service.now(AWAY);
        let status = client.register(RegisterRequest::default()).await.unwrap_err();
        assert_eq!((status.code(), service.calls()), (Code::Unavailable, 1));
    }
}

#[tokio::test]
async fn a_service_that_was_away_is_left_alone_and_found_again_without_a_restart() {
    for (service, client) in both_ways(&["--circuit-breaker-timeout", "0.3"]).await {
        service.now(AWAY);
        for _ in 0..60 {
            read(client.clone(), LONG).await;
        }
        assert_eq!(service.calls(), 23, "twenty calls, and three repeats");
        assert_eq!(reason(&read(client.clone(), LONG).await), "CIRCUIT_OPEN");
        service.now(WELL);
        let began = Instant::now();
        while read(client.clone(), LONG).await.code() != Code::NotFound {
            assert!(began.elapsed() < LONG, "it is not found again");
            sleep(Duration::from_millis(20)).await;
        }
        for _ in 0..50 {
            assert_eq!(read(client.clone(), LONG).await.code(), Code::NotFound);
        }
    }
}

#[tokio::test]
async fn calls_that_a_stuck_service_never_answers_end_and_hold_no_place_then() {
    for (service, client) in both_ways(&["--rpc-concurrency", "10"]).await {
        service.now(STUCK);
        let mut calls = JoinSet::new();
        for _ in 0..10 {
            calls.spawn(read(client.clone(), Duration::from_millis(400)));
        }
        let began = Instant::now();
        while service.calls() < 10 {
            assert!(began.elapsed() < LONG);
            sleep(Duration::from_millis(5)).await;
        }
        assert_eq!(reason(&read(client.clone(), LONG).await), "SERVICE_BUSY");
        assert_eq!(service.calls(), 10, "it was not sent");
        while let Some(status) = calls.join_next().await {
            assert_eq!(reason(&status.unwrap()), "SERVICE_TIMEOUT");
        }
        service.now(WELL);
        assert_eq!(read(client.clone(), LONG).await.code(), Code::NotFound);
    }
}
