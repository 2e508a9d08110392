//! One trace from the client to the last effect of what it asked for, as a store of traces gets it.

use std::fs;

use testkit::{Collected, Collector};
use tokio::runtime::Runtime;

use crate::graph::Graph;
use crate::run::{Folder, Up};
use crate::watched::Watched;

/// A client's own trace and span.
pub(crate) const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
pub(crate) const SPAN: &str = "00f067aa0ba902b7";

/// A collector, and the runtime on which it runs beside the test.
pub(crate) struct Store {
    pub(crate) collector: Collector,
    runtime: Runtime,
}

impl Store {
    pub(crate) fn start() -> Self {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        Self { collector: runtime.block_on(Collector::start()), runtime }
    }

    pub(crate) fn settings(&self, ratio: &str) -> Vec<(String, String)> {
        let setting = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        vec![
            setting("OTEL_EXPORTER_OTLP_ENDPOINT", &self.collector.url()),
            setting("OTEL_TRACES_SAMPLER_ARG", ratio),
        ]
    }

    /// Waits for the one span of the client's trace that is like this, and belongs to `parent`.
    pub(crate) fn child(&self, parent: &str, service: &str, kind: &str, name: &str) -> Collected {
        let what = format!("{kind} span {name} of {service}");
        let like = |span: &Collected| {
            span.parent == parent && span.service == service && span.kind == kind && span.name == name
        };
        self.runtime.block_on(self.collector.until(TRACE, &what, like))
    }
}

/// Orders in the client's trace; the flag says that the client does not keep it, which is its own affair.
fn order(customer: &Graph, product: &str) {
    let order = format!(
        r#"mutation {{ createOrder(input: {{shippingAddress: "1 Main Street",
            items: [{{productId: "{product}", quantity: 1}}]}}) {{ id }} }}"#
    );
    let headers = [("traceparent", format!("00-{TRACE}-{SPAN}-00"))];
    let answer = customer.ask_with(&order, &headers);
    assert!(answer["data"]["createOrder"]["id"].is_string(), "{answer}");
}

fn has(span: &Collected, attributes: &[(&str, &str)]) {
    for (name, value) in attributes {
        assert_eq!(span.attributes.get(*name).map(String::as_str), Some(*value), "{name} of {span:?}");
    }
}

/// Follows the edges from the client's request to the payment that it leads to.
fn assert_one_trace(store: &Store, system: &str) {
    let http = store.child(SPAN, "gateway", "Server", "POST /graphql");
    has(
        &http,
        &[("http.request.method", "POST"), ("http.route", "/graphql"), ("http.response.status_code", "200")],
    );
    let operation = store.child(&http.id, "gateway", "Internal", "mutation");
    has(&operation, &[("graphql.operation.type", "mutation")]);
    let method = "order.v1.OrderService/CreateOrder";
    let call = store.child(&operation.id, "gateway", "Client", method);
    let served = store.child(&call.id, "order", "Server", method);
    for span in [&call, &served] {
        has(span, &[("rpc.system.name", "grpc"), ("rpc.method", method), ("rpc.response.status_code", "OK")]);
    }
    let insert = store.child(&served.id, "order", "Client", "INSERT outbox INSERT orders INSERT order_items");
    has(&insert, &[("db.system.name", "postgresql"), ("db.operation.name", "INSERT")]);
    assert!(insert.attributes["db.query.text"].contains("VALUES ($1, $2"), "{insert:?}");
    let told = store.child(&served.id, "order", "Producer", "publish portico.events:order.created");
    has(&told, &[("messaging.system", system), ("messaging.operation.type", "send")]);
    let name = "process portico.events:order.created:payment.order_created";
    let handled = store.child(&told.id, "payment", "Consumer", name);
    has(&handled, &[("messaging.operation.type", "process")]);
    assert_eq!(handled.attributes["messaging.message.id"], told.attributes["messaging.message.id"]);
    store.child(&handled.id, "payment", "Client", "INSERT payments");
    for inner in [
        (&http, &operation),
        (&operation, &call),
        (&call, &served),
        (&served, &insert),
        (&operation, &served),
    ] {
        let ((from, to), (began, ended)) = (inner.0.times, inner.1.times);
        // Clocks are read apart from each other.
        let slack = 20_000_000;
        assert!(from <= began + slack && ended <= to + slack, "{inner:?}");
    }
    assert!(store.collector.trace(TRACE).iter().all(|span| !span.failed));
}

#[test]
fn an_order_and_the_payment_that_it_leads_to_are_one_trace_in_one_process_behind_nginx() {
    let (store, folder) = (Store::start(), Folder::new());
    let settings = store.settings("1");
    let settings: Vec<_> = settings.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let up = Up::start_arguments(&folder, &["up", "--embedded", "--nginx"], &settings);
    let customer = Graph::at(up.row("IDE")).log_in("ada@example.com", "demo-customer-4711");
    order(&customer, "prod-1");
    assert_one_trace(&store, "in_process");
    a_malformed_context_begins_a_trace_under_the_request_s_id(&store, &customer);
    let log = fs::read_to_string(folder.path().join("state/nginx/access.log")).unwrap();
    assert!(log.contains(&format!(r#""trace_id":"{TRACE}""#)), "{log}");
}

fn a_malformed_context_begins_a_trace_under_the_request_s_id(store: &Store, graph: &Graph) {
    let malformed = [
        format!("00-{TRACE}-{SPAN}"),
        format!("00-{TRACE}-{SPAN}-01-more"),
        format!("ff-{TRACE}-{SPAN}-01"),
        format!("00-{}-{SPAN}-01", TRACE.to_uppercase()),
        format!("00-{}-{SPAN}-01", "0".repeat(32)),
        format!("00-{TRACE}-{}-01", "0".repeat(16)),
        "rubbish".to_owned(),
    ];
    for (n, traceparent) in malformed.into_iter().enumerate() {
        let id = format!("0af7651916cd43dd8448eb211c8031{n:02x}");
        let headers = [("traceparent", traceparent), ("x-request-id", id.clone())];
        graph.ask_with("{ me { id } }", &headers);
        let first = |span: &Collected| span.name == "POST /graphql" && span.parent.is_empty();
        store.runtime.block_on(store.collector.until(&id, "a trace of its own", first));
    }
}

#[test]
fn an_order_and_the_payment_that_it_leads_to_are_one_trace_in_processes_of_their_own() {
    let store = Store::start();
    let system = Watched::start_with(&store.settings("1"));
    let admin = system.be_used();
    order(&admin, "lamp");
    assert_one_trace(&store, "rabbitmq");
    // What waits for its batch is exported at the end of the process.
    let id = "0af7651916cd43dd8448eb211c80319c";
    system.graph().ask_with("{ __typename }", &[("x-request-id", id.to_owned())]);
    assert!(system.gateway.stop());
    assert!(!store.collector.trace(id).is_empty());
}

#[test]
fn of_traces_that_are_not_kept_only_failures_are_exported() {
    let store = Store::start();
    let mut system = Watched::start_with(&store.settings("0"));
    let admin = system.be_used();
    // Refusals are answers.
    assert!(
        admin
            .refusal(r#"mutation { cancelOrder(id: "01900000-0000-7000-8000-000000000000") { id } }"#)
            .is_some()
    );
    assert!(admin.refusal("{ nonsense }").is_some());
    system.end_payment();
    let headers = [("traceparent", format!("00-{TRACE}-{SPAN}-01"))];
    let page = admin.ask_with("{ payments { data { id } } products { data { id } } }", &headers);
    assert_eq!(page["errors"][0]["extensions"]["code"], "SERVICE_UNAVAILABLE");
    let http = store.child(SPAN, "gateway", "Server", "POST /graphql");
    let operation = store.child(&http.id, "gateway", "Internal", "query");
    let call = store.child(&operation.id, "gateway", "Client", "payment.v1.PaymentService/ListPayments");
    has(&http, &[("error.type", "SERVICE_UNAVAILABLE"), ("http.response.status_code", "200")]);
    has(&operation, &[("error.type", "SERVICE_UNAVAILABLE")]);
    has(&call, &[("error.type", "UNAVAILABLE"), ("rpc.response.status_code", "UNAVAILABLE")]);
    let line = system.gateway.logged();
    let line = line.lines().find(|line| line.contains("failed on its way")).unwrap();
    assert!(
        line.contains(&format!(r#""trace_id":"{TRACE}""#)) && line.contains(r#""request_id":""#),
        "{line}"
    );
    assert!(store.collector.trace(TRACE).len() == 3);
    let all = store.collector.spans();
    assert!(all.iter().all(|span| span.failed), "{all:?}");
}
