//! A system of which each part is a process of its own, at work, for who watches it.

use std::io::Write;
use std::process::Stdio;

use crate::apart::{Process, settings_of};
use crate::graph::Graph;
use crate::run::{Folder, Up, eventually, portico};

const PASSWORD: &str = "columns-and-arches-88";

/// The gateway, the services, RabbitMQ and Postgres, a process each.
pub(crate) struct Watched {
    pub(crate) gateway: Process,
    /// user, order and payment
    pub(crate) services: [Process; 3],
    pub(crate) backends: Up,
    pub(crate) folder: Folder,
    /// What the payment service was started with.
    of_payment: Vec<(String, String)>,
}

impl Watched {
    pub(crate) fn start() -> Self {
        Self::start_with(&[])
    }

    /// With these settings for each process.
    pub(crate) fn start_with(more: &[(String, String)]) -> Self {
        let folder = Folder::new();
        let backends = Up::start_arguments(&folder, &["up", "--backends"], &[]);
        let settings = |service: &str, urls: &[(&str, &Process)]| {
            let mut settings = settings_of(service, &folder);
            let named = |(name, process): &(&str, &Process)| {
                (format!("{name}_GRPC_URL"), format!("http://{}", process.address))
            };
            settings.extend(urls.iter().map(named));
            settings.extend(more.iter().cloned());
            settings
        };
        let with =
            |service: &str, urls: &[(&str, &Process)]| Process::start(service, &settings(service, urls));
        let user = with("user", &[]);
        let order = with("order", &[("USER", &user)]);
        let of_payment = settings("payment", &[("USER", &user)]);
        let payment = Process::start("payment", &of_payment);
        let gateway = with("gateway", &[("USER", &user), ("ORDER", &order), ("PAYMENT", &payment)]);
        Self { gateway, services: [user, order, payment], backends, folder, of_payment }
    }

    /// Kills the payment service.
    pub(crate) fn end_payment(&mut self) {
        self.services[2].end();
    }

    /// Starts it where it was.
    pub(crate) fn start_payment_again(&mut self) {
        let address = self.services[2].address.clone();
        self.services[2] = Process::start_at(&address, "payment", &self.of_payment);
    }

    pub(crate) fn graph(&self) -> Graph {
        Graph::at(&format!("http://{}", self.gateway.address))
    }

    /// Someone who may do everything.
    pub(crate) fn admin(&self) -> Graph {
        let mut create = portico(&self.folder, &["admin", "create", "--email", "boss@example.com"]);
        let mut child = create.stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(format!("{PASSWORD}\n").as_bytes()).unwrap();
        assert!(child.wait().unwrap().success());
        let login = format!(
            r#"mutation {{ login(input: {{email: "boss@example.com", password: "{PASSWORD}"}}) {{ token }} }}"#
        );
        eventually("the gateway takes requests", || self.graph().ask(&login)["data"]["login"].is_object());
        self.graph().log_in("boss@example.com", PASSWORD)
    }

    /// A purchase from the product to the confirmed order, a refusal, and a request by REST. Gives who did it.
    pub(crate) fn be_used(&self) -> Graph {
        let admin = self.admin();
        eventually("the services can judge tokens", || {
            let put = r#"mutation { upsertProduct(input: {id: "lamp", name: "Lamp", unitPrice: "10.00", currency: "USD"}) { id } }"#;
            admin.ask(put)["data"]["upsertProduct"].is_object()
                && admin.ask("{ payments { data { id } } }")["data"]["payments"].is_object()
        });
        let order = admin.ask(r#"mutation { createOrder(input: {shippingAddress: "1 Main Street", items: [{productId: "lamp", quantity: 1}]}) { id } }"#);
        let order = &order["data"]["createOrder"]["id"];
        let create = format!("mutation {{ createPayment(input: {{orderId: {order}}}) {{ id }} }}");
        eventually("the payment is there", || admin.ask(&create)["data"]["createPayment"].is_object());
        let payment = &admin.ask(&create)["data"]["createPayment"]["id"];
        admin.ask(&format!(r#"mutation {{ processPayment(input: {{paymentId: {payment}, token: "tok_visa"}}) {{ status }} }}"#));
        let status = format!("{{ order(id: {order}) {{ status }} }}");
        eventually("the order is confirmed", || admin.ask(&status)["data"]["order"]["status"] == "CONFIRMED");
        assert!(self.graph().refusal("{ me { id } myOrders { data { id } } }").is_some());
        let rest = format!("http://{}/api/v1/products", self.gateway.address);
        assert_eq!(ureq::get(&rest).call().unwrap().status(), 200);
        self.browse(&admin);
        admin
    }

    /// Reads what the graph has, over all of its edges.
    pub(crate) fn browse(&self, admin: &Graph) {
        let orders = "{ orders { data { id user { email orders(limit: 2) { id } } payment { id order { id } user { id } } items { product { name } } } } }";
        let read = admin.ask(orders);
        // Who waits for a number reads often.
        let limited = read["errors"][0]["extensions"]["code"] == "RATE_LIMITED";
        assert!(read["errors"].is_null() || limited, "{read}");
        self.graph().ask("{ products { data { id } } }");
    }
}
