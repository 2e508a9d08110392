//! The gateway in front of the real services, each on a fresh Postgres database, with their events told on demand.

use std::{net::SocketAddr, sync::Arc};

use axum::{
    body::Body,
    http::{Request, StatusCode, header},
};
use gateway::{App, Clients};
use http_body_util::BodyExt;
use messaging::{Broker, Bus};
use order::SeedProduct;
use runtime::{
    Clock, Sessions, Stop,
    config::{Environment, parse},
    grpc::{Server, connect},
};
use serde_json::{Value, json};
use testkit::{Database, until};
use tokio_util::sync::DropGuard;
use tower::ServiceExt;

use crate::live::Client;

/// 32 bytes in base64.
const SECRET_KEY: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
pub(crate) const PASSWORD: &str = "violet-harbour-93-lantern";
const ADMIN: &str = "grace@example.com";

pub(crate) struct RealWorld {
    gateway: App,
    user: Arc<user::App>,
    order: order::App,
    payment: payment::App,
    sessions: Sessions,
    pub(crate) broker: Broker,
    _stop: DropGuard,
    // Last, so that they are dropped after all that uses them.
    pub(crate) databases: [Database; 3],
}

/// Somebody with a token, or without.
#[derive(Clone, Default)]
pub(crate) struct Person {
    pub(crate) id: String,
    pub(crate) token: Option<String>,
    pub(crate) refresh_token: String,
}

impl RealWorld {
    /// With an admin, and the products prod-1 (999.99 USD) and prod-2 (0.50 USD).
    pub(crate) async fn new() -> Self {
        let databases =
            [Database::new("user").await, Database::new("order").await, Database::new("payment").await];
        let clock = Clock::system();
        let [users, orders, payments] = databases.each_ref().map(Database::url);
        let users: user::Config =
            parse(["user", "--database-url", users, "--secret-key", SECRET_KEY]).unwrap();
        let sessions = Sessions::new(&users.tokens, clock.clone());
        let user = Arc::new(user::App::build(users, sessions.clone(), clock.clone()).unwrap());
        let orders = parse(["order", "--database-url", orders]).unwrap();
        let order = order::App::build(orders, sessions.clone(), clock.clone()).unwrap();
        let payments = parse(["payment", "--database-url", payments]).unwrap();
        let payment = payment::App::build(payments, sessions.clone(), clock).unwrap();
        let broker = Broker::from(Bus::new([order.consumers(), payment.consumers()].concat()));
        let clients =
            Clients { user: user.transport(), order: order.transport(), payment: payment.transport() };
        let gateway = App::build(
            parse(["gateway", "--environment", "development"]).unwrap(),
            clients,
            sessions.clone(),
            broker.clone(),
        );
        let stop = Stop::new();
        tokio::spawn(sessions.clone().follow(user.transport(), stop.clone()));
        let (background, stopped) = (user.clone(), stop.clone());
        tokio::spawn(async move { background.background(stopped).await });
        until("keys and revocations are loaded", async || sessions.is_loaded()).await;
        user.create_admin(ADMIN, PASSWORD.into()).await.unwrap();
        order
            .seed_products(&[
                SeedProduct { id: "prod-1", name: "Laptop", unit_price: "999.99", currency: "USD" },
                SeedProduct { id: "prod-2", name: "Sticker", unit_price: "0.50", currency: "USD" },
            ])
            .await
            .unwrap();
        Self { gateway, user, order, payment, sessions, broker, _stop: stop.drop_guard(), databases }
    }

    /// The same behind a gateway with these settings, which reaches the payment service at `url`.
    pub(crate) fn with_payments_at(mut self, url: &str, settings: &[&str]) -> Self {
        let config: gateway::Config =
            parse(["gateway", "--environment", "development"].iter().chain(settings)).unwrap();
        let clients = Clients {
            user: self.user.transport(),
            order: self.order.transport(),
            payment: connect(url, &config.tls).unwrap(),
        };
        self.gateway = App::build(config, clients, self.sessions.clone(), self.broker.clone());
        self
    }

    /// Serves the payments at `address` until the guard is dropped.
    pub(crate) async fn serve_payments(&self, address: SocketAddr) -> DropGuard {
        let server = Server::bind(&address.to_string(), "127.0.0.1:0").await.unwrap();
        let stop = Stop::new();
        tokio::spawn(server.serve(self.payment.service(), Environment::Development, vec![], stop.clone()));
        stop.drop_guard()
    }

    /// Another gateway, as in a process of its own: it hears of revocations by polling the user service, and what
    /// `broker` tells it.
    pub(crate) async fn gateway_apart(&self, broker: Broker) -> Apart {
        self.gateway_apart_with(broker, &[]).await
    }

    /// The same with these settings.
    pub(crate) async fn gateway_apart_with(&self, broker: Broker, arguments: &[&str]) -> Apart {
        let usual = [
            "gateway",
            "--environment",
            "development",
            "--listen",
            "127.0.0.1:0",
            "--admin-listen",
            "127.0.0.1:0",
        ];
        let config: gateway::Config = parse(usual.iter().chain(arguments)).unwrap();
        let sessions = Sessions::new(&config.tokens, Clock::system());
        let clients = Clients {
            user: self.user.transport(),
            order: self.order.transport(),
            payment: self.payment.transport(),
        };
        let bound = App::build(config, clients, sessions.clone(), broker).bind().await.unwrap();
        let (address, stop) = (bound.address().unwrap(), Stop::new());
        tokio::spawn(sessions.clone().follow(self.user.transport(), stop.clone()));
        tokio::spawn(bound.serve(stop.clone()));
        until("keys and revocations are loaded", async || sessions.is_loaded()).await;
        Apart { address, _stop: stop.drop_guard() }
    }

    /// Lets all that happened have its effect in the other services.
    pub(crate) async fn settle(&self) {
        loop {
            // What is owed after an order was cancelled is given back by the job that also recovers attempts.
            let mut told = self.payment.payments().attempts().recover_once().await.unwrap();
            for outbox in [self.user.outbox(), self.order.outbox(), self.payment.outbox()] {
                told += outbox.relay_once(&self.broker).await.unwrap();
            }
            if told == 0 {
                return;
            }
        }
    }

    pub(crate) async fn send(&self, who: &Person, query: &str, variables: Value) -> (StatusCode, Value) {
        let mut request = Request::post("/graphql").header(header::CONTENT_TYPE, "application/json");
        if let Some(token) = &who.token {
            request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
        }
        let body = json!({ "query": query, "variables": variables }).to_string();
        let answer = self.gateway.router().oneshot(request.body(Body::from(body)).unwrap()).await.unwrap();
        let status = answer.status();
        (status, serde_json::from_slice(&answer.into_body().collect().await.unwrap().to_bytes()).unwrap())
    }

    /// The whole answer.
    pub(crate) async fn ask(&self, who: &Person, query: &str) -> Value {
        self.send(who, query, json!({})).await.1
    }

    /// `data` of an answer without errors.
    pub(crate) async fn data(&self, who: &Person, query: &str) -> Value {
        let answer = self.ask(who, query).await;
        assert!(answer.get("errors").is_none(), "{query}: {answer}");
        answer["data"].clone()
    }

    pub(crate) async fn register(&self, name: &str) -> Person {
        let query = format!(
            r#"mutation {{ in: register(input: {{email: "{name}@example.com", password: "{PASSWORD}", firstName: "{name}",
                lastName: "Lovelace"}}) {{ token refreshToken user {{ id email fullName }} }} }}"#
        );
        Person::of(&self.data(&Person::default(), &query).await)
    }

    pub(crate) async fn log_in(&self, email: &str) -> Person {
        let query = format!(
            r#"mutation {{ in: login(input: {{email: "{email}", password: "{PASSWORD}"}}) {{
                token refreshToken expiresAt user {{ id email }} }} }}"#
        );
        Person::of(&self.data(&Person::default(), &query).await)
    }

    pub(crate) async fn admin(&self) -> Person {
        self.log_in(ADMIN).await
    }

    /// An order of one laptop that has its payment; the ids of both.
    pub(crate) async fn order(&self, who: &Person) -> (String, String) {
        let query = r#"mutation { createOrder(input: {shippingAddress: "12 St James's Square", notes: "",
            items: [{productId: "prod-1", quantity: 1}]}) { id } }"#;
        let order = text(&self.data(who, query).await["createOrder"]["id"]);
        self.settle().await;
        let query = format!(r#"mutation {{ createPayment(input: {{orderId: "{order}"}}) {{ id }} }}"#);
        let payment = text(&self.data(who, &query).await["createPayment"]["id"]);
        (order, payment)
    }

    pub(crate) async fn pay(&self, who: &Person, payment: &str) {
        let query = format!(
            r#"mutation {{ processPayment(input: {{paymentId: "{payment}", token: "tok_visa"}}) {{ status }} }}"#
        );
        assert_eq!(self.data(who, &query).await["processPayment"]["status"], "SUCCEEDED");
        self.settle().await;
    }
}

/// A gateway that listens. It ends with this value.
pub(crate) struct Apart {
    pub(crate) address: SocketAddr,
    _stop: DropGuard,
}

impl Apart {
    /// A socket that was let in as this person.
    pub(crate) async fn client(&self, who: &Person) -> Client {
        let mut client = Client::connect(self.address).await;
        client.init_with(who.token.as_deref().unwrap()).await;
        client
    }
}

impl Person {
    fn of(data: &Value) -> Self {
        let signed_in = &data["in"];
        Self {
            id: text(&signed_in["user"]["id"]),
            token: Some(text(&signed_in["token"])),
            refresh_token: text(&signed_in["refreshToken"]),
        }
    }
}

pub(crate) fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("{value} is no text")).to_owned()
}
