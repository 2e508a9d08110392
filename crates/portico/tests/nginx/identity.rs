//! Who asked, and the request's name: what a client can say about both.

use crate::client::Ask;
use crate::edge::{Edge, Form};
use crate::gateway::{Gateway, private, public};

#[tokio::test]
async fn a_client_can_forge_neither_its_address_nor_how_it_came() {
    let gateway = Gateway::that_answers(|_| private("{}"));
    let edge = Edge::before(&gateway.address, Form::Hash).await;
    let forged = Ask::get("/graphql?query=a")
        .header("X-Forwarded-For", "203.0.113.7")
        .header("X-Forwarded-For", "203.0.113.8")
        .header("X-Forwarded-Proto", "https")
        .header("X-Real-IP", "203.0.113.9")
        .header("Forwarded", "for=203.0.113.10")
        .header("X-Forwarded-Host", "evil.example");
    edge.client().ask(&forged);
    let sent = gateway.sent().remove(0);
    assert_eq!(sent.all("x-forwarded-for"), ["127.0.0.1"]);
    assert_eq!(sent.all("x-forwarded-proto"), ["http"]);
    for name in ["x-real-ip", "forwarded", "x-forwarded-host"] {
        assert_eq!(sent.all(name), Vec::<&str>::new(), "{name}");
    }
    edge.end().await;
}

#[tokio::test]
async fn a_proxy_of_ours_is_believed_as_far_as_it_saw_itself() {
    let gateway = Gateway::that_answers(|_| private("{}"));
    let edge = Edge::with(&gateway.address, Form::Hash, &[("NGINX_TRUSTED_PROXIES", "127.0.0.1/32")]).await;
    let told = Ask::get("/graphql?query=a")
        .header("X-Forwarded-For", "203.0.113.66, 203.0.113.7")
        .header("X-Forwarded-Proto", "https");
    edge.client().ask(&told);
    let sent = gateway.sent().remove(0);
    assert_eq!(sent.all("x-forwarded-for"), ["203.0.113.7"]);
    assert_eq!(sent.all("x-forwarded-proto"), ["https"]);
    edge.end().await;
}

#[tokio::test]
async fn a_request_has_one_id_from_the_client_to_the_gateway_and_the_log() {
    let gateway = Gateway::that_answers(|_| private("{}"));
    let edge = Edge::before(&gateway.address, Form::Hash).await;
    let client = edge.client();
    let given = client.ask(&Ask::get("/graphql?query=a").header("X-Request-Id", "job-1.2_3"));
    assert_eq!(given.header("x-request-id"), "job-1.2_3");
    let bad = "no\"good";
    let made = client.ask(&Ask::get("/graphql?query=a").header("X-Request-Id", bad));
    let made = made.header("x-request-id").to_owned();
    assert!(made.len() == 32 && made != bad, "{made}");
    let sent: Vec<_> = gateway.sent().iter().map(|sent| sent.all("x-request-id").join("+")).collect();
    assert_eq!(sent, ["job-1.2_3", &made]);
    let log = edge.logged(2).await;
    assert!(log.contains("\"request_id\":\"job-1.2_3\"") && log.contains(&made), "{log}");
    edge.end().await;
}

#[tokio::test]
async fn an_answer_from_the_cache_has_the_id_of_its_own_request() {
    let gateway = Gateway::that_answers(|sent| {
        let mut answer = public("{}", 60);
        answer.head.push_str(&format!("\r\nX-Request-Id: {}", sent.all("x-request-id")[0]));
        answer
    });
    let edge = Edge::before(&gateway.address, Form::Hash).await;
    let (client, ask) = (edge.client(), Ask::get("/graphql?query=a"));
    let [first, second] = ["one", "two"].map(|id| client.ask(&ask.clone().header("X-Request-Id", id)));
    assert_eq!((first.header("x-request-id"), second.header("x-request-id")), ("one", "two"));
    assert_eq!(second.header("x-cache-status"), "HIT");
    assert_eq!(second.headers.get_all("x-request-id").iter().count(), 1);
    edge.end().await;
}

#[tokio::test]
async fn the_log_is_json_and_tells_no_secret() {
    let gateway = Gateway::that_answers(|_| private("{}"));
    let edge = Edge::before(&gateway.address, Form::Hash).await;
    let client = edge.client();
    client.ask(&Ask::get("/graphql?query=a&token=secret").header("Authorization", "Bearer secret"));
    client.ask(&Ask::post("{\"secret\":1}").header("Cookie", "secret").header("Referer", "http://x/?secret"));
    // What goes wrong is told without them too.
    gateway.leave();
    client.ask(&Ask::get("/graphql?token=secret"));
    let log = edge.logged(3).await;
    for line in log.lines() {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        assert_eq!(line["path"], "/graphql");
        assert!(line["status"].is_number() && line["seconds"].is_number(), "{line}");
    }
    let told = std::fs::read_to_string(edge.state.logs().join("nginx.log")).unwrap();
    assert!(!log.contains("secret") && !told.contains("secret"), "{log}{told}");
    edge.end().await;
}
