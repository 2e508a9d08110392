//! TLS between a real client and a real server, over a socket.

#![allow(clippy::unwrap_used, reason = "what a test could not set up has failed")]

use std::{convert::Infallible, future::Ready, net::SocketAddr, path::Path, task::Poll, time::Duration};

use clap::Parser;
use http::{Request, Response};
use runtime::{
    Clock, Sessions, Stop,
    config::{Environment, one_line, parse},
    grpc::{Guard, Server, TlsConfig, Transport, connect},
    sessions::TokenConfig,
};
use testkit::{Authority, Issued};
use tonic::{Code, Status, body::Body, server::NamedService};
use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};

/// The settings of a process, as far as they matter here.
#[derive(Parser, Debug)]
#[command(name = "order")]
struct Settings {
    #[command(flatten)]
    tls: TlsConfig,
    #[command(flatten)]
    tokens: TokenConfig,
}

/// A service that nobody calls: the server's own health service answers.
#[derive(Clone)]
struct Nobody;

impl NamedService for Nobody {
    const NAME: &'static str = "nobody";
}

impl tower::Service<Request<Body>> for Nobody {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Ready<Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _: &mut std::task::Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request<Body>) -> Self::Future {
        std::future::ready(Ok(Status::unimplemented("nobody").into_http()))
    }
}

fn text(path: &Path) -> String {
    path.display().to_string()
}

fn settings(arguments: &[String]) -> Result<Settings, String> {
    let arguments = std::iter::once("order".to_owned()).chain(arguments.iter().cloned());
    parse::<Settings>(arguments).map_err(|error| one_line::<Settings>(&error))
}

fn with_identity(issued: &Issued) -> Vec<String> {
    vec![
        format!("--grpc-tls-cert={}", text(&issued.certificate)),
        format!("--grpc-tls-key={}", text(&issued.key)),
    ]
}

fn trusting(authority: &Authority) -> Vec<String> {
    vec![format!("--grpc-tls-ca={}", text(&authority.certificate()))]
}

/// A server with these settings, until the process ends.
async fn serve(arguments: &[String]) -> SocketAddr {
    let settings = settings(arguments).unwrap();
    let server = Server::bind("127.0.0.1:0", "127.0.0.1:0").await.unwrap().with_tls(&settings.tls);
    let address = server.grpc_address().unwrap();
    let service = Guard::new(Sessions::new(&settings.tokens, Clock::system())).around(Nobody);
    tokio::spawn(server.serve(service, Environment::Production, vec![], Stop::new()));
    address
}

fn way(url: &str, arguments: &[String]) -> Transport {
    connect(url, &settings(arguments).unwrap().tls).unwrap()
}

/// Whether a call comes through.
async fn ask(transport: Transport) -> Result<(), Code> {
    let mut request = tonic::Request::new(HealthCheckRequest::default());
    request.set_timeout(Duration::from_secs(10));
    HealthClient::new(transport).check(request).await.map(drop).map_err(|status| status.code())
}

#[tokio::test]
async fn a_client_that_trusts_the_authority_is_answered_under_each_name_of_the_certificate() {
    let authority = Authority::new();
    let address = serve(&with_identity(&authority.issue(&["localhost", "127.0.0.1"]))).await;
    for host in ["localhost", "127.0.0.1"] {
        let url = format!("https://{host}:{}", address.port());
        assert_eq!(ask(way(&url, &trusting(&authority))).await, Ok(()), "{host}");
    }
}

#[tokio::test]
async fn a_server_is_refused_that_another_authority_has_signed_or_that_has_another_name() {
    let authority = Authority::new();
    let address = serve(&with_identity(&authority.issue(&["order.example.com"]))).await;
    let url = format!("https://localhost:{}", address.port());
    assert_eq!(ask(way(&url, &trusting(&authority))).await, Err(Code::Unavailable), "another name");
    let address = serve(&with_identity(&authority.issue(&["localhost"]))).await;
    let url = format!("https://localhost:{}", address.port());
    assert_eq!(
        ask(way(&url, &trusting(&Authority::new()))).await,
        Err(Code::Unavailable),
        "another authority"
    );
    assert_eq!(ask(way(&url, &[])).await, Err(Code::Unavailable), "those that the system trusts");
    assert_eq!(ask(way(&url, &trusting(&authority))).await, Ok(()));
}

#[tokio::test]
async fn a_client_without_tls_and_a_server_without_tls_are_refused() {
    let authority = Authority::new();
    let by_tls = serve(&with_identity(&authority.issue(&["localhost"]))).await;
    let plain = serve(&[]).await;
    let url = format!("http://localhost:{}", by_tls.port());
    assert_eq!(ask(way(&url, &[])).await, Err(Code::Unavailable), "a plain client");
    let url = format!("https://localhost:{}", plain.port());
    assert_eq!(ask(way(&url, &trusting(&authority))).await, Err(Code::Unavailable), "a plain server");
    let url = format!("http://localhost:{}", plain.port());
    assert_eq!(ask(way(&url, &[])).await, Ok(()), "both plain");
}

#[tokio::test]
async fn a_server_that_asks_for_certificates_takes_only_clients_that_its_authority_has_signed() {
    let (servers, clients) = (Authority::new(), Authority::new());
    let mut arguments = with_identity(&servers.issue(&["localhost"]));
    arguments.push(format!("--grpc-tls-client-ca={}", text(&clients.certificate())));
    let url = format!("https://localhost:{}", serve(&arguments).await.port());
    let as_client = |issued: &Issued| [trusting(&servers), with_identity(issued)].concat();
    assert_eq!(ask(way(&url, &as_client(&clients.issue(&["gateway"])))).await, Ok(()));
    let strangers = Authority::new();
    assert_eq!(
        ask(way(&url, &as_client(&strangers.issue(&["gateway"])))).await,
        Err(Code::Unavailable),
        "of another authority"
    );
    assert_eq!(ask(way(&url, &trusting(&servers))).await, Err(Code::Unavailable), "without a certificate");
}

#[test]
fn settings_that_are_half_set_or_unreadable_are_refused_in_one_line_by_their_variable() {
    let authority = Authority::new();
    let issued = authority.issue(&["localhost"]);
    let refused = |arguments: &[String]| settings(arguments).unwrap_err();
    let half = refused(&with_identity(&issued)[..1]);
    assert!(half.starts_with("order: GRPC_TLS_KEY is not set"), "{half}");
    let half = refused(&with_identity(&issued)[1..]);
    assert!(half.starts_with("order: GRPC_TLS_CERT is not set"), "{half}");
    let missing = refused(&["--grpc-tls-ca=/there/is/none.pem".to_owned()]);
    assert!(
        missing.starts_with("order: GRPC_TLS_CA has a bad value: can't read /there/is/none.pem: "),
        "{missing}"
    );
    let no_certificate = refused(&[format!("--grpc-tls-ca={}", text(&issued.key))]);
    assert!(
        no_certificate.contains("GRPC_TLS_CA has a bad value") && no_certificate.contains("no certificate")
    );
    let secret = std::fs::read_to_string(&issued.key).unwrap();
    let shown = format!("{:?}", settings(&with_identity(&issued)).unwrap());
    assert!(!shown.contains(secret.lines().nth(1).unwrap()), "the key is shown");
}

#[tokio::test]
async fn a_key_that_is_not_the_certificates_ends_the_server() {
    let authority = Authority::new();
    let (one, other) = (authority.issue(&["one"]), authority.issue(&["other"]));
    let mixed = Issued { certificate: one.certificate, key: other.key };
    let settings = settings(&with_identity(&mixed)).unwrap();
    let server = Server::bind("127.0.0.1:0", "127.0.0.1:0").await.unwrap().with_tls(&settings.tls);
    let service = Guard::new(Sessions::new(&settings.tokens, Clock::system())).around(Nobody);
    let ended = server.serve(service, Environment::Production, vec![], Stop::new()).await.unwrap_err();
    assert!(format!("{ended:#}").starts_with("GRPC_TLS_CERT and GRPC_TLS_KEY don't do: "), "{ended:#}");
}

#[test]
fn a_url_in_the_clear_beside_an_authority_to_trust_is_refused() {
    let tls = settings(&trusting(&Authority::new())).unwrap().tls;
    let refused = connect("http://127.0.0.1:50051", &tls).unwrap_err().to_string();
    assert!(refused.contains("GRPC_TLS_CA") && refused.contains("https://"), "{refused}");
}
