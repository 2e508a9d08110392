//! The leak matrix: whoever asks whatever through nginx, in whichever order, gets what the gateway itself would have
//! answered them, and what is public comes from the cache.

use std::collections::HashSet;

use serde_json::{Value, json};
use ureq::http::Method;

use crate::client::{Answer, Ask, Client};
use crate::edge::{Edge, FORMS};
use crate::system::{ORIGINS, System};

/// Who asks: a name and, but for strangers, a token.
type Viewer = (&'static str, Option<String>);

/// How an inquiry is written down.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Shape {
    Small,
    Large,
    Reordered,
}

/// One cell of the matrix.
struct Cell {
    viewer: &'static str,
    kind: &'static str,
    by_post: bool,
    shape: Shape,
    ask: Ask,
    /// What the gateway itself answers.
    right: Answer,
}

/// The documents, by what is special about their answers. `user` is a customer's id.
fn documents(user: &str) -> Vec<(&'static str, String)> {
    let nobody = "01900000-0000-7000-8000-000000000000";
    let documents = [
        ("public", "{ products(limit: 3) { data { id name unitPrice } } }".to_owned()),
        ("private", "{ me { id email } }".to_owned()),
        ("mixed", "{ products(limit: 3) { data { id } } me { id email } }".to_owned()),
        ("error", "{ products(limit: 3) { nonsense } }".to_owned()),
        ("partial", format!("{{ product(id: \"prod-1\") {{ id }} order(id: \"{nobody}\") {{ id }} }}")),
        (
            "mutation",
            format!(
                "mutation {{ updateUser(id: \"{user}\", input: {{firstName: \"Ada\"}}) {{ id email }} }}"
            ),
        ),
        ("introspection", "{ __schema { queryType { name } } }".to_owned()),
        (
            "_entities",
            format!(
                "{{ _entities(representations: [{{__typename: \"User\", id: \"{user}\"}}]) {{ ... on User {{ id email }} }} }}"
            ),
        ),
    ];
    documents.into()
}

fn by_post(document: &str, shape: Shape) -> Ask {
    let query = json!(document);
    Ask::post(match shape {
        Shape::Small => format!(r#"{{"query":{query},"variables":{{}}}}"#),
        Shape::Reordered => format!(r#"{{"variables":{{}},"query":{query}}}"#),
        // Two of these differ at the end alone.
        Shape::Large => format!(r#"{{"padding":"{}","query":{query}}}"#, "x".repeat(20_000)),
    })
}

fn by_get(document: &str, shape: Shape) -> Ask {
    let query: String = document.bytes().map(|byte| format!("%{byte:02X}")).collect();
    Ask::get(match shape {
        Shape::Small => format!("/graphql?query={query}&variables=%7B%7D"),
        Shape::Reordered => format!("/graphql?variables=%7B%7D&query={query}"),
        Shape::Large => format!("/graphql?padding={}&query={query}", "x".repeat(6_000)),
    })
}

/// The same request with everything about who asks and from where.
fn dressed(ask: &Ask, token: Option<&String>, origin: Option<&str>, accept: &str) -> Ask {
    let mut ask = ask.clone().header("Accept", accept);
    if let Some(token) = token {
        ask = ask.header("Authorization", format!("Bearer {token}"));
    }
    match origin {
        Some(origin) => ask.header("Origin", origin),
        None => ask,
    }
}

/// Every cell, with the right answer.
fn matrix(client: &Client, viewers: &[Viewer], user: &str) -> Vec<Cell> {
    let mut cells = Vec::new();
    for (kind, document) in documents(user) {
        for shape in [Shape::Small, Shape::Large, Shape::Reordered] {
            for ask in [by_post(&document, shape), by_get(&document, shape)] {
                for origin in [None, Some(ORIGINS[0]), Some(ORIGINS[1])] {
                    for accept in ["application/json", "application/graphql-response+json"] {
                        for (viewer, token) in viewers {
                            let ask = dressed(&ask, token.as_ref(), origin, accept);
                            let (right, by_post) = (client.ask(&ask), ask.method == Method::POST);
                            cells.push(Cell { viewer, kind, by_post, shape, ask, right });
                        }
                    }
                }
            }
        }
    }
    cells
}

/// What must be the same, whichever way an answer came. Each has a request id of its own, and must have no other.
fn comparable(answer: &Answer) -> (u16, Value, [&str; 4]) {
    let mut body = answer.json();
    let id = Value::from(answer.header("x-request-id"));
    for error in body["errors"].as_array_mut().into_iter().flatten() {
        assert_eq!(error["extensions"]["requestId"], id, "the id of another request");
        error["extensions"]["requestId"] = Value::Null;
    }
    let names = ["content-type", "access-control-allow-origin", "cache-control", "etag"];
    (answer.status, body, names.map(|name| answer.header(name)))
}

impl Cell {
    /// Whether the cache may answer it.
    fn is_cacheable(&self) -> bool {
        self.kind == "public" && self.viewer == "anonymous" && !(self.by_post && self.shape == Shape::Large)
    }

    /// Asks it through nginx and holds the answer against the right one. `warm`: it was asked before.
    fn hold(&self, client: &Client, warm: bool) {
        let answer = client.ask(&self.ask);
        let cell = format!("{} {} {:?}: {:?}", self.viewer, self.kind, self.shape, self.ask);
        assert_eq!(comparable(&answer), comparable(&self.right), "{cell}");
        let expected: &[&str] = match (self.is_cacheable(), warm) {
            // On a machine that is so slow that a minute has passed, what is there is out of date.
            (true, true) => &["HIT", "EXPIRED", "STALE", "UPDATING"],
            (true, false) => &["MISS"],
            (false, _) => &["MISS", "BYPASS"],
        };
        assert!(expected.contains(&answer.header("x-cache-status")), "{cell}: {answer:?}");
    }
}

/// The same numbers in each run, in an order that has nothing to do with what they stand for.
fn shuffled(count: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..count).collect();
    let mut state = 4711_u64;
    for at in (1..count).rev() {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        order.swap(at, usize::try_from(state >> 33).unwrap() % (at + 1));
    }
    order
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_ever_gets_an_answer_that_was_computed_for_another() {
    let system = System::start();
    let (ada, user) = system.log_in("ada@example.com", "demo-customer-4711");
    let (admin, _) = system.log_in("admin@example.com", "demo-admin-4711");
    let (lin, _) = system.register("lin@example.com");
    let viewers =
        [("anonymous", None), ("customer A", Some(ada)), ("customer B", Some(lin)), ("admin", Some(admin))];
    let cells = matrix(&system.client(), &viewers, &user);
    assert_eq!(cells.len(), 8 * 3 * 2 * 3 * 2 * 4);
    assert!(cells.iter().filter(|cell| cell.is_cacheable()).all(|cell| {
        cell.right.status == 200 && cell.right.header("cache-control") == "public, max-age=60"
    }));
    let answers: HashSet<_> = cells
        .iter()
        .filter(|cell| cell.kind == "private")
        .map(|cell| cell.right.json()["data"].to_string())
        .collect();
    assert!(answers.len() >= viewers.len(), "the viewers are answered alike, so this shows nothing");

    let mut edges = Vec::new();
    for form in FORMS {
        edges.push(Edge::before(&system.gateway, form).await);
    }
    std::thread::scope(|scope| {
        for edge in &edges {
            scope.spawn(|| {
                let client = edge.client();
                cells.iter().for_each(|cell| cell.hold(&client, false));
                shuffled(cells.len()).into_iter().for_each(|at| cells[at].hold(&client, true));
            });
        }
    });
    for edge in edges {
        edge.end().await;
    }
}
