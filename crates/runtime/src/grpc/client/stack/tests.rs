//! What becomes of calls to a service that answers as a test says. Time is moved.

use std::{
    num::NonZeroUsize,
    sync::atomic::{AtomicUsize, Ordering},
};

use futures::{future::join_all, poll};
use tokio::{sync::Semaphore, time::advance};
use tonic::{GrpcMethod, metadata::MetadataMap};
use tower::util::BoxCloneSyncService;

use super::{super::config::by_default, *};
use crate::{
    Refusal,
    grpc::{Batch, CallContext, CallLog},
};

const READS: &str = "/order.v1.OrderService/ListProducts";
const WRITES: &str = "/order.v1.OrderService/CreateOrder";

/// A service that counts the calls that reach it, and answers each by its number.
#[derive(Clone)]
struct Scripted {
    calls: Arc<AtomicUsize>,
    transport: Transport,
}

impl Scripted {
    fn new<F>(answer: impl Fn(usize) -> F + Clone + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Result<Response<Body>, Status>> + Send + 'static,
    {
        let calls = Arc::<AtomicUsize>::default();
        let counted = calls.clone();
        let transport = BoxCloneSyncService::new(tower::service_fn(move |_: Request<Body>| {
            answer(counted.fetch_add(1, Ordering::SeqCst))
        }));
        Self { calls, transport }
    }

    /// One that always answers with this code.
    fn always(code: Code) -> Self {
        Self::new(move |_| async move { Ok(Status::new(code, "").into_http()) })
    }

    /// One that never answers.
    fn hanging() -> Self {
        Self::new(|_| std::future::pending())
    }

    fn client(&self) -> Client {
        self.client_with(&by_default())
    }

    fn client_with(&self, config: &ClientConfig) -> Client {
        Client::new("order", self.transport.clone(), config)
    }

    fn calls(&self) -> usize {
        self.calls.load(Ordering::SeqCst)
    }
}

/// A call to `path` that may take two seconds.
fn to(path: &'static str) -> Request<Body> {
    of(CallContext::new(Instant::now() + Duration::from_secs(10)), path)
}

/// A call to `path` that carries `context`.
fn of(context: CallContext, path: &'static str) -> Request<Body> {
    let (metadata, mut extensions, ()) = context.request((), Duration::from_secs(2)).into_parts();
    // As the generated code does.
    extensions.insert(GrpcMethod::new("order.v1.OrderService", "any"));
    let mut request = Request::post(path).body(Body::empty()).unwrap();
    *request.headers_mut() = metadata.into_headers();
    *request.extensions_mut() = extensions;
    request
}

async fn call(client: &Client, path: &'static str) -> Result<(), Refusal> {
    send(client, to(path)).await
}

async fn send(client: &Client, request: Request<Body>) -> Result<(), Refusal> {
    let answer = client.clone().oneshot(request).await.map_err(|status| Refusal::from(&status))?;
    match Status::from_header_map(answer.headers()) {
        Some(status) if status.code() != Code::Ok => Err((&status).into()),
        _ => Ok(()),
    }
}

/// Makes calls until the breaker has opened.
async fn break_open(client: &Client) {
    for _ in 0..20 {
        let _ = call(client, WRITES).await;
    }
    assert_eq!(call(client, WRITES).await.unwrap_err().reason, "CIRCUIT_OPEN");
}

#[tokio::test(start_paused = true)]
async fn a_call_that_is_safe_to_repeat_is_made_again_when_the_service_is_away() {
    let service = Scripted::new(|call| async move {
        if call < 2 { Err(Status::unavailable("")) } else { Ok(Status::ok("").into_http()) }
    });
    call(&service.client(), READS).await.unwrap();
    assert_eq!(service.calls(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_call_that_may_have_been_done_is_not_made_again() {
    let service = Scripted::always(Code::Unavailable);
    assert_eq!(call(&service.client(), WRITES).await.unwrap_err().reason, "SERVICE_UNAVAILABLE");
    assert_eq!(service.calls(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_dead_service_is_not_hammered() {
    let service = Scripted::always(Code::Unavailable);
    let client = Client::vital("order", service.transport.clone());
    for _ in 0..100 {
        call(&client, READS).await.unwrap_err();
    }
    assert_eq!(service.calls(), 103, "with no breaker to help, five tokens are three repeats");
    let service = Scripted::always(Code::Unavailable);
    let client = service.client();
    for _ in 0..100 {
        call(&client, READS).await.unwrap_err();
    }
    assert_eq!(service.calls(), 23);
}

#[tokio::test(start_paused = true)]
async fn nothing_is_repeated_beyond_the_end_of_the_call() {
    let mut later = Status::unavailable("");
    later.metadata_mut().insert("grpc-retry-pushback-ms", "1900".parse().unwrap());
    let service = Scripted::new(move |_| std::future::ready(Ok(later.clone().into_http())));
    let began = Instant::now();
    assert_eq!(call(&service.client(), READS).await.unwrap_err().reason, "SERVICE_UNAVAILABLE");
    assert_eq!((service.calls(), began.elapsed()), (2, Duration::from_millis(1900)));
}

#[tokio::test(start_paused = true)]
async fn a_service_that_never_answers_costs_its_time_and_then_none() {
    let service = Scripted::hanging();
    let client = service.client();
    let began = Instant::now();
    let answers = join_all((0..20).map(|_| call(&client, READS))).await;
    assert!(answers.iter().all(|answer| answer.as_ref().unwrap_err().reason == "SERVICE_TIMEOUT"));
    assert_eq!(began.elapsed(), Duration::from_secs(2));
    let refusal = call(&client, READS).await.unwrap_err();
    assert_eq!((refusal.reason.as_ref(), refusal.retry_after_seconds()), ("CIRCUIT_OPEN", Some(30)));
    assert_eq!((began.elapsed(), service.calls()), (Duration::from_secs(2), 20));
}

#[tokio::test(start_paused = true)]
async fn a_call_that_says_nothing_of_its_time_has_two_seconds_and_tells_the_service() {
    let (tell, mut told) = tokio::sync::mpsc::unbounded_channel();
    let transport = BoxCloneSyncService::new(tower::service_fn(move |request: Request<Body>| {
        tell.send(request.headers()["grpc-timeout"].clone()).unwrap();
        std::future::pending()
    }));
    let client = Client::vital("order", transport);
    let began = Instant::now();
    let request = Request::post(READS).body(Body::empty()).unwrap();
    send(&client, request).await.unwrap_err();
    assert_eq!((began.elapsed(), told.recv().await.unwrap().to_str().unwrap()), (USUAL.0, "2S"));
}

#[tokio::test(start_paused = true)]
async fn a_request_that_is_nearly_over_and_a_client_that_goes_away_are_not_the_services_fault() {
    let service = Scripted::hanging();
    let client = service.client();
    let hurried = || CallContext::new(Instant::now() + Duration::from_millis(1999));
    for answer in join_all((0..30).map(|_| send(&client, of(hurried(), READS)))).await {
        assert_eq!(answer.unwrap_err().reason, "REQUEST_TIMEOUT");
    }
    for _ in 0..30 {
        let mut gone = Box::pin(call(&client, READS));
        assert!(poll!(&mut gone).is_pending());
    }
    assert_eq!(service.calls(), 60);
    assert!(poll!(Box::pin(call(&client, READS))).is_pending(), "it is still closed");
}

#[tokio::test(start_paused = true)]
async fn it_recovers_by_three_calls_that_go_well() {
    let well = Arc::new(Semaphore::new(0));
    let state = well.clone();
    let service = Scripted::new(move |_| {
        let code = if state.available_permits() > 0 { Code::NotFound } else { Code::Unavailable };
        std::future::ready(Ok(Status::new(code, "").into_http()))
    });
    let client = service.client();
    break_open(&client).await;
    advance(Duration::from_secs(30)).await;
    assert_eq!(call(&client, WRITES).await.unwrap_err().reason, "SERVICE_UNAVAILABLE");
    assert_eq!(call(&client, WRITES).await.unwrap_err().reason, "CIRCUIT_OPEN", "it was no better");
    well.add_permits(1);
    advance(Duration::from_secs(30)).await;
    let calls = service.calls();
    for _ in 0..10 {
        assert_ne!(call(&client, WRITES).await.unwrap_err().reason, "CIRCUIT_OPEN");
    }
    assert_eq!(service.calls(), calls + 10);
}

#[tokio::test(start_paused = true)]
async fn no_more_calls_hang_than_there_are_places_and_an_open_breaker_refuses_before_them() {
    let service = Scripted::hanging();
    let config = ClientConfig { rpc_concurrency: NonZeroUsize::new(25).unwrap(), ..by_default() };
    let client = service.client_with(&config);
    let began = Instant::now();
    let mut hanging: Vec<_> = (0..25).map(|_| Box::pin(call(&client, READS))).collect();
    for call in &mut hanging {
        assert!(poll!(call).is_pending());
    }
    let refused = join_all((0..40).map(|_| call(&client, READS))).await;
    assert!(refused.iter().all(|answer| answer.as_ref().unwrap_err().reason == "SERVICE_BUSY"));
    assert_eq!((service.calls(), began.elapsed()), (25, Duration::from_millis(100)));
    advance(Duration::from_millis(1500)).await;
    let mut later: Vec<_> = (0..20).map(|_| Box::pin(call(&client, READS))).collect();
    for call in &mut later {
        assert!(poll!(call).is_pending(), "these wait for a place");
    }
    drop(later);
    join_all(hanging).await;
    assert_eq!(call(&client, READS).await.unwrap_err().reason, "CIRCUIT_OPEN");
}

#[tokio::test(start_paused = true)]
async fn every_call_is_written_down_whatever_becomes_of_it() {
    let service = Scripted::new(|call| async move {
        match call {
            0 => Err(Status::unavailable("")),
            1 => Ok(Response::new(Body::new(Full::new(Bytes::from_static(b"\0\0\0\0\x03abc"))))),
            _ => std::future::pending().await,
        }
    });
    let log = CallLog::default();
    let context = CallContext::new(Instant::now() + Duration::from_secs(10)).with_log(log.clone());
    let mut request = of(context, READS);
    let batch = Batch { loader: "orders_by_id", keys: 7 };
    request.extensions_mut().insert(batch);
    let _ = send(&service.client(), request.map(|_| Body::new(Full::from("question")))).await;
    let [record] = &log.take()[..] else { panic!("one call, one record") };
    assert_eq!((record.service, record.path.as_str(), record.batch), ("order", READS, Some(batch)));
    assert_eq!((record.attempts, record.sent_bytes, record.received_bytes), (2, 8, 8));
    assert_eq!(record.code, Some(Code::Unknown), "an answer without trailers is none");
    assert!(record.took >= Duration::from_millis(12));

    let context = CallContext::new(Instant::now() + Duration::from_secs(10)).with_log(log.clone());
    let client = service.client();
    let mut gone = Box::pin(send(&client, of(context, READS)));
    assert!(poll!(&mut gone).is_pending());
    drop(gone);
    let [record] = &log.take()[..] else { panic!("one call, one record") };
    assert_eq!((record.attempts, record.code), (1, None));
}

#[tokio::test]
async fn nothing_that_was_meant_for_this_side_goes_on() {
    let transport = BoxCloneSyncService::new(tower::service_fn(|request: Request<Body>| async move {
        let strangers = !request.extensions().is_empty();
        let code = if strangers { Code::Internal } else { Code::Ok };
        Ok(Status::with_metadata(code, "", MetadataMap::new()).into_http())
    }));
    let context = CallContext::new(Instant::now()).with_log(CallLog::default());
    let mut request = of(context, READS);
    request.headers_mut().remove("grpc-timeout");
    send(&Client::new("order", transport, &by_default()), request).await.unwrap();
}
