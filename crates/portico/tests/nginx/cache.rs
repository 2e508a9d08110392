//! What is kept, under which key, and what never is.

use std::sync::atomic::{AtomicU32, Ordering};

use portico::backend::nginx::clear_cache;

use crate::client::Ask;
use crate::edge::{Edge, FORMS, Form};
use crate::gateway::{Gateway, Said, private, public};

const PRODUCTS: &str = r#"{"query":"{ products { data { id } } }"}"#;

/// A gateway that answers each request with another number, publicly.
fn counting() -> Gateway {
    let next = AtomicU32::new(0);
    Gateway::that_answers(move |_| public(next.fetch_add(1, Ordering::SeqCst).to_string(), 60))
}

#[tokio::test]
async fn a_public_answer_is_kept_by_get_and_by_post_in_both_forms() {
    for form in FORMS {
        let gateway = counting();
        let edge = Edge::before(&gateway.address, form).await;
        let client = edge.client();
        for ask in [Ask::get("/graphql?query=%7Bproducts%7D"), Ask::post(PRODUCTS)] {
            let (first, second) = (client.ask(&ask), client.ask(&ask));
            assert_eq!((first.header("x-cache-status"), second.header("x-cache-status")), ("MISS", "HIT"));
            assert_eq!(first.body, second.body);
        }
        assert_eq!(gateway.sent().len(), 2);
        edge.end().await;
    }
}

#[tokio::test]
async fn a_request_that_differs_in_anything_that_could_matter_has_a_key_of_its_own() {
    for form in FORMS {
        let gateway = counting();
        let edge = Edge::before(&gateway.address, form).await;
        let client = edge.client();
        let (get, post) = (Ask::get("/graphql?query=a"), Ask::post(PRODUCTS));
        let asks = [
            get.clone(),
            Ask::get("/graphql?query=b"),
            Ask::get("/query?query=a"),
            get.clone().header("Accept", "application/json"),
            get.clone().header("Accept", "application/graphql-response+json"),
            get.clone().header("Origin", "https://one.example"),
            get.clone().header("Origin", "https://two.example"),
            get.clone().header("Host", "portico.example"),
            get.header("Content-Type", "application/json"),
            post.clone(),
            Ask::post(format!("{PRODUCTS} ")),
            Ask { target: "/query".into(), ..post.clone() },
            post.header("Accept", "application/graphql-response+json"),
        ];
        // What one could say so that it looks like the other, were the parts of a key just written one after the other.
        let alike = [
            Ask::post("b").header("Origin", "a"),
            Ask::post("ab"),
            Ask { target: "/graphql?query=a%0Aapplication/json".into(), ..Ask::get("") },
        ];
        for ask in asks.iter().chain(&alike) {
            assert_eq!(client.cached(ask), "MISS", "{form:?}: {ask:?}");
        }
        for ask in &asks {
            assert_eq!(client.cached(ask), "HIT", "{form:?}: {ask:?}");
        }
        edge.end().await;
    }
}

#[tokio::test]
async fn a_request_with_anything_of_its_own_passes_the_cache_by_and_leaves_nothing_in_it() {
    for form in FORMS {
        let gateway = counting();
        let edge = Edge::before(&gateway.address, form).await;
        let client = edge.client();
        let own = [
            ("Authorization", "Bearer one"),
            ("Cookie", "session=one"),
            ("X-Portico-Cost", "1"),
            ("Content-Encoding", "gzip"),
        ];
        for ask in [Ask::get("/graphql?query=a"), Ask::post(PRODUCTS)] {
            for (name, value) in own {
                let ask = ask.clone().header(name, value);
                let (first, second) = (client.ask(&ask), client.ask(&ask));
                assert_eq!(first.header("x-cache-status"), "BYPASS", "{name}");
                assert_ne!(first.body, second.body, "{name}");
            }
            assert_eq!(client.cached(&ask), "MISS");
            // Nor is one answered from what is there for others.
            for (name, value) in own {
                assert_eq!(client.cached(&ask.clone().header(name, value)), "BYPASS", "{name}");
            }
        }
        edge.end().await;
    }
}

#[tokio::test]
async fn two_large_bodies_never_share_an_answer() {
    for form in FORMS {
        let gateway = Gateway::that_answers(|sent| public(sent.body.clone(), 60));
        let edge = Edge::before(&gateway.address, form).await;
        let client = edge.client();
        let space = " ".repeat(30_000);
        let (one, other) = (Ask::post(format!("one{space}")), Ask::post(format!("other{space}")));
        for _ in 0..2 {
            for ask in [&one, &other] {
                let answer = client.ask(ask);
                assert_eq!(answer.header("x-cache-status"), "BYPASS", "{form:?}");
                assert!(Some(&answer.body) == ask.body.as_ref(), "{form:?}: an answer to another body");
            }
        }
        edge.end().await;
    }
}

#[tokio::test]
async fn bodies_of_every_size_around_what_stays_in_memory_get_the_answers_that_are_theirs() {
    for form in FORMS {
        let gateway = Gateway::that_answers(|sent| public(sent.body.clone(), 60));
        let edge = Edge::before(&gateway.address, form).await;
        let client = edge.client();
        // Part of a body comes together with the headers, into a buffer that is as large as these need.
        for (size, header) in (7_000..=31_000).step_by(1_000).flat_map(|size| [(size, 10), (size, 5_000)]) {
            for letter in ["a", "b", "a", "b"] {
                let ask = Ask::post(letter.repeat(size)).header("X-Long", "x".repeat(header));
                assert!(Some(&client.ask(&ask).body) == ask.body.as_ref(), "{form:?}: {size} times {letter}");
            }
        }
        edge.end().await;
    }
}

#[tokio::test]
async fn only_what_the_gateway_calls_public_is_kept() {
    let said = [
        ("200 OK\r\nCache-Control: public, max-age=60", "HIT"),
        ("200 OK\r\nCache-Control: max-age=60", "MISS"),
        ("200 OK\r\nCache-Control: private, max-age=60", "MISS"),
        ("200 OK\r\nCache-Control: public, private, max-age=60", "MISS"),
        ("200 OK\r\nCache-Control: no-store", "MISS"),
        ("200 OK", "MISS"),
        ("200 OK\r\nExpires: Thu, 01 Jan 2099 00:00:00 GMT", "MISS"),
        ("200 OK\r\nX-Accel-Expires: 60", "MISS"),
        ("200 OK\r\nCache-Control: public, max-age=60\r\nSet-Cookie: a=b", "MISS"),
        ("200 OK\r\nCache-Control: public, max-age=60\r\nVary: *", "MISS"),
        ("400 Bad Request\r\nCache-Control: public, max-age=60", "MISS"),
        ("206 Partial Content\r\nCache-Control: public, max-age=60", "MISS"),
        ("404 Not Found\r\nCache-Control: public, max-age=60", "MISS"),
    ];
    let gateway = Gateway::that_answers(move |sent| {
        let number: usize = sent.target.rsplit('=').next().unwrap().parse().unwrap();
        Said { head: said[number].0.to_owned(), body: "{}".to_owned() }
    });
    let edge = Edge::before(&gateway.address, Form::Hash).await;
    let client = edge.client();
    for (number, (head, expected)) in said.iter().enumerate() {
        let ask = Ask::get(format!("/graphql?query={number}"));
        assert_eq!(client.cached(&ask), "MISS", "{head}");
        assert_eq!(client.cached(&ask), *expected, "{head}");
    }
    edge.end().await;
}

#[tokio::test]
async fn methods_other_than_get_and_post_and_a_get_with_a_body_are_not_kept() {
    let gateway = counting();
    let edge = Edge::before(&gateway.address, Form::Hash).await;
    let client = edge.client();
    let head = Ask { method: ureq::http::Method::HEAD, ..Ask::get("/graphql?query=a") };
    let options = Ask { method: ureq::http::Method::OPTIONS, ..head.clone() };
    for ask in [head, options] {
        assert_eq!((client.cached(&ask), client.cached(&ask)), ("BYPASS".into(), "BYPASS".into()), "{ask:?}");
    }
    edge.end().await;
}

#[tokio::test]
async fn of_a_header_that_comes_twice_the_gateway_sees_the_one_that_is_in_the_key() {
    for form in FORMS {
        let gateway = Gateway::that_answers(|sent| {
            public(["accept", "origin", "authorization"].map(|name| sent.all(name).join("+")).join(" "), 60)
        });
        let edge = Edge::before(&gateway.address, form).await;
        let client = edge.client();
        let plain =
            Ask::get("/graphql?query=a").header("Accept", "a/one").header("Origin", "https://one.example");
        let twice = plain.clone().header("Accept", "a/two").header("Origin", "https://two.example");
        let poisoning = client.ask(&twice);
        let answer = client.ask(&plain);
        assert_eq!(answer.body, "a/one https://one.example ", "{poisoning:?}");
        // An empty one does not hide the one behind it from nginx alone.
        let hidden = client.ask(&plain.header("Authorization", "").header("Authorization", "Bearer one"));
        assert!(!hidden.body.contains("Bearer") || hidden.header("x-cache-status") == "BYPASS", "{hidden:?}");
        edge.end().await;
    }
}

#[tokio::test]
async fn after_clear_cache_the_gateway_is_asked_again() {
    let gateway = counting();
    let edge = Edge::before(&gateway.address, Form::Hash).await;
    let (client, ask) = (edge.client(), Ask::post(PRODUCTS));
    assert_eq!((client.cached(&ask), client.cached(&ask)), ("MISS".into(), "HIT".into()));
    assert_eq!(clear_cache(edge.state.folder()).await.unwrap(), 1);
    assert_eq!((client.cached(&ask), client.cached(&ask)), ("MISS".into(), "HIT".into()));
    edge.end().await;
}

#[tokio::test]
async fn a_client_that_has_the_answer_already_is_told_so_from_the_cache_too() {
    let gateway = Gateway::that_answers(|_| {
        let answer = public("{}", 60);
        Said { head: format!("{}\r\nETag: W/\"one\"", answer.head), ..answer }
    });
    let edge = Edge::before(&gateway.address, Form::Hash).await;
    let (client, ask) = (edge.client(), Ask::get("/graphql?query=a"));
    client.ask(&ask);
    let again = client.ask(&ask.clone().header("If-None-Match", "W/\"one\""));
    assert_eq!((again.status, again.header("x-cache-status"), again.body.as_str()), (304, "HIT", ""));
    // Who passes the cache by asks the gateway itself.
    client.ask(&ask.header("Authorization", "Bearer one").header("If-None-Match", "W/\"two\""));
    assert_eq!(gateway.sent().last().unwrap().all("if-none-match"), ["W/\"two\""]);
    edge.end().await;
}

#[tokio::test]
async fn what_one_may_still_ask_is_told_to_that_one_alone() {
    let gateway = Gateway::that_answers(|_| {
        let answer = public("{}", 60);
        Said { head: format!("{}\r\nRateLimit: \"requests\";r=7", answer.head), ..answer }
    });
    let edge = Edge::before(&gateway.address, Form::Hash).await;
    let (client, ask) = (edge.client(), Ask::get("/graphql?query=a"));
    let (first, second) = (client.ask(&ask), client.ask(&ask));
    assert_eq!(first.header("ratelimit"), "\"requests\";r=7");
    assert_eq!((second.header("x-cache-status"), second.header("ratelimit")), ("HIT", ""));
    edge.end().await;
}

#[tokio::test]
async fn what_is_for_one_alone_is_given_to_one_alone() {
    let next = AtomicU32::new(0);
    let gateway = Gateway::that_answers(move |_| private(next.fetch_add(1, Ordering::SeqCst).to_string()));
    let edge = Edge::before(&gateway.address, Form::Hash).await;
    let client = edge.client();
    for ask in [Ask::get("/graphql?query=a"), Ask::post(PRODUCTS)] {
        assert_ne!(client.ask(&ask).body, client.ask(&ask).body);
    }
    edge.end().await;
}
