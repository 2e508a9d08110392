//! Nothing secret or personal in what a whole run logs and exports.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::graph::Graph;
use crate::run::eventually;
use crate::traces::Store;
use crate::watched::Watched;

const LOG: &str = "info,runtime=trace,identity=trace,messaging=trace,gateway=trace,user=trace,order=trace,payment=trace,\
                   sqlx::query=trace";
const EMAIL: &str = "lin.wei.4711@example.com";
const NEW_EMAIL: &str = "lin.wei.4712@example.com";
const UNKNOWN_EMAIL: &str = "nobody.at.all@example.com";
const PASSWORD: &str = "columns-and-arches-88";
const NEW_PASSWORD: &str = "harbour-and-lantern-93";
const WRONG_PASSWORD: &str = "wrong-but-still-secret-17";
const ADDRESS: &str = "17 Hidden Lane";

/// All that must not be told, as it came up.
#[derive(Default)]
struct Secrets(Vec<String>);

impl Secrets {
    fn keep(&mut self, answer: &Value, field: &str) -> Value {
        let payload = answer["data"][field].clone();
        for name in ["token", "refreshToken"] {
            self.0.push(payload[name].as_str().unwrap_or_else(|| panic!("no {name} in {answer}")).to_owned());
        }
        payload
    }
}

/// What a person does in a day: everything that has to do with passwords and tokens, and what goes wrong with them.
fn live(system: &Watched, admin: &Graph, secrets: &mut Secrets) {
    let graph = system.graph();
    let both = "token refreshToken user { id }";
    let register = format!(
        r#"mutation {{ register(input: {{email: "{EMAIL}", password: "{PASSWORD}", firstName: "Lin", lastName: "Wei"}}) {{ {both} }} }}"#
    );
    let id = secrets.keep(&graph.ask(&register), "register")["user"]["id"].clone();
    assert_eq!(graph.refusal(&register).as_deref(), Some("EMAIL_TAKEN"));
    let login = |email: &str, password: &str| {
        graph.ask(&format!(
            r#"mutation {{ login(input: {{email: "{email}", password: "{password}"}}) {{ {both} }} }}"#
        ))
    };
    for (email, password) in [(EMAIL, WRONG_PASSWORD), (UNKNOWN_EMAIL, WRONG_PASSWORD)] {
        assert!(login(email, password)["errors"].is_array());
    }
    let mine = secrets.keep(&login(EMAIL, PASSWORD), "login");
    let refresh =
        format!(r#"mutation {{ refreshToken(refreshToken: {}) {{ {both} }} }}"#, mine["refreshToken"]);
    let mine = secrets.keep(&graph.ask(&refresh), "refreshToken");
    let me = graph.with_token(mine["token"].as_str().unwrap());
    let change = format!(
        r#"mutation {{ changePassword(input: {{currentPassword: "{PASSWORD}", newPassword: "{NEW_PASSWORD}"}})
            updateUser(id: {id}, input: {{email: "{NEW_EMAIL}"}}) {{ email }} }}"#
    );
    let changed = me.ask(&change);
    assert!(changed["errors"].is_null(), "{changed}");
    buy(&me);
    let users =
        admin.ask(&format!(r#"{{ users(filter: {{search: "{NEW_EMAIL}"}}) {{ data {{ email }} }} }}"#));
    assert_eq!(users["data"]["users"]["data"][0]["email"], NEW_EMAIL);
    secrets.0.push(admin.token().to_owned());
    // Rubbish that holds what is right otherwise.
    let bad = me.with_token(&format!("{}x", me.token()));
    assert!(bad.refusal("{ me { id } }").is_some());
    me.ask(&format!(r#"{{ user(id: "{NEW_EMAIL}") {{ id }} }}"#));
    assert_eq!(me.ask("mutation { logout }")["data"]["logout"], true);
    assert!(me.refusal("{ me { id } }").is_some());
}

fn buy(me: &Graph) {
    let order = format!(
        r#"mutation {{ createOrder(input: {{shippingAddress: "{ADDRESS}", items: [{{productId: "lamp", quantity: 1}}]}}) {{ id }} }}"#
    );
    let order = me.ask(&order)["data"]["createOrder"]["id"].clone();
    let create = format!("mutation {{ createPayment(input: {{orderId: {order}}}) {{ id }} }}");
    eventually("the payment is there", || me.ask(&create)["data"]["createPayment"].is_object());
    let payment = me.ask(&create)["data"]["createPayment"]["id"].clone();
    for token in ["tok_chargeDeclined", "tok_visa"] {
        me.ask(&format!(
            r#"mutation {{ processPayment(input: {{paymentId: {payment}, token: "{token}"}}) {{ status }} }}"#
        ));
    }
}

/// The text of all files below `folder`.
fn files(folder: &Path) -> String {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries
        .map(|path| {
            if path.is_dir() {
                files(&path)
            } else {
                String::from_utf8_lossy(&fs::read(path).unwrap()).into_owned()
            }
        })
        .collect()
}

#[test]
fn nothing_secret_or_personal_is_logged_or_exported_by_a_whole_run() {
    let store = Store::start();
    let mut settings = store.settings("1");
    settings.push(("RUST_LOG".to_owned(), LOG.to_owned()));
    let system = Watched::start_with(&settings);
    let admin = system.be_used();
    let mut secrets = Secrets::default();
    live(&system, &admin, &mut secrets);
    let told = [
        EMAIL,
        NEW_EMAIL,
        UNKNOWN_EMAIL,
        PASSWORD,
        NEW_PASSWORD,
        WRONG_PASSWORD,
        ADDRESS,
        "boss@example.com",
    ];
    secrets.0.extend(told.map(str::to_owned));
    let spans = || store.collector.spans().iter().filter(|span| span.name.contains("order.created")).count();
    // Two orders, each told and handled.
    eventually("the last spans have come", || spans() >= 4);

    let Watched { gateway, services: [user, order, payment], backends, folder, .. } = system;
    let mut logs: Vec<_> = [gateway, user, order, payment].iter().map(|process| process.logged()).collect();
    drop(backends);
    logs.push(files(&folder.path().join("state/logs")));
    logs.push(format!("{:?}", store.collector.spans()));
    assert!(logs.iter().all(|log| log.len() > 100), "{:?}", logs.iter().map(String::len).collect::<Vec<_>>());
    for secret in &secrets.0 {
        for line in logs.iter().flat_map(|log| log.lines()) {
            assert!(!line.contains(secret.as_str()), "{secret} is in {line}");
        }
    }
}
