//! What the processes tell Prometheus, held against the catalogue.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::time::Duration;

use portico::metrics::{catalogue, page};
use runtime::measure::text::{Sample, samples};
use runtime::measure::{Kind, Metric, Values};
use serde_json::json;

use crate::run::eventually;
use crate::watched::Watched;

#[test]
fn the_page_of_metrics_is_what_the_tables_say() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/metrics.md");
    assert_eq!(fs::read_to_string(path).unwrap(), page(), "`make metrics-catalogue` writes it anew");
}

#[test]
fn names_follow_the_conventions_and_stand_there_once() {
    let names: BTreeSet<_> = catalogue().map(|metric| metric.name).collect();
    assert_eq!(names.len(), catalogue().count());
    for Metric { name, kind, labels, meaning, by } in catalogue() {
        assert!(
            name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_'),
            "{name}"
        );
        assert_eq!(*kind == Kind::Counter, name.ends_with("_total"), "{name}");
        let has_unit = ["_seconds", "_size", "_bytes"].iter().any(|unit| name.ends_with(unit));
        assert!(*kind != Kind::Histogram || has_unit, "{name} has no unit");
        assert!(!meaning.is_empty() && !meaning.ends_with('.') && !by.is_empty(), "{name}");
        assert!(labels.iter().all(|label| label.name != "le" && label.name != "job"), "{name}");
    }
}

/// The metric that a sample is of.
fn metric_of(sample: &Sample) -> Option<&'static Metric> {
    catalogue().find(|metric| match metric.kind {
        Kind::Histogram => {
            let part = sample.name.strip_prefix(metric.name);
            part.is_some_and(|part| ["_bucket", "_sum", "_count"].contains(&part))
        }
        _ => sample.name == metric.name,
    })
}

/// What one process tells, and what of that the catalogue does not say, or says and it does not tell.
struct Scrape {
    process: &'static str,
    samples: Vec<Sample>,
}

impl Scrape {
    fn of(process: &'static str, admin: &str) -> Self {
        let text =
            ureq::get(format!("http://{admin}/metrics")).call().unwrap().body_mut().read_to_string().unwrap();
        let samples = samples(&text);
        assert_eq!(
            samples.len(),
            text.lines().filter(|line| !line.starts_with('#') && !line.is_empty()).count()
        );
        for metric in samples.iter().filter_map(metric_of) {
            assert!(text.contains(&format!("# HELP {} ", metric.name)), "{} has no HELP", metric.name);
            assert!(
                text.contains(&format!("# TYPE {} {}\n", metric.name, metric.kind.name())),
                "{}",
                metric.name
            );
        }
        Self { process, samples }
    }

    /// What it tells that the catalogue does not say.
    fn uncatalogued(&self) -> BTreeSet<String> {
        let mut values = BTreeMap::<(&str, &str), BTreeSet<&str>>::new();
        let mut faults = BTreeSet::new();
        for sample in &self.samples {
            let Some(metric) = metric_of(sample).filter(|metric| metric.by.contains(&self.process)) else {
                faults.insert(format!("{} tells {}", self.process, sample.name));
                continue;
            };
            let labels: Vec<_> = sample.labels.iter().filter(|(name, _)| name != "le").collect();
            let told: BTreeSet<_> = labels.iter().map(|(name, _)| name.as_str()).collect();
            let named: BTreeSet<_> = metric.labels.iter().map(|label| label.name).collect();
            if told != named {
                faults.insert(format!("{} of {} has {told:?}", metric.name, self.process));
            }
            for (name, value) in labels {
                values.entry((metric.name, name)).or_default().insert(value);
            }
        }
        for ((metric, label), told) in values {
            faults
                .extend(beyond(metric, label, &told).map(|value| format!("{metric} has {label}={value:?}")));
        }
        faults
    }

    /// What the catalogue says of this process and it does not tell.
    fn untold(&self) -> BTreeSet<&'static str> {
        let told: BTreeSet<_> = self.samples.iter().filter_map(metric_of).map(|metric| metric.name).collect();
        let wanted = catalogue().filter(|metric| metric.by.contains(&self.process)).map(|metric| metric.name);
        wanted.filter(|name| !told.contains(name)).collect()
    }

    fn series(&self) -> BTreeSet<String> {
        self.samples.iter().map(|sample| format!("{}{:?}", sample.name, sample.labels)).collect()
    }
}

/// The values of a label that it may not have.
fn beyond<'a>(metric: &str, label: &str, told: &BTreeSet<&'a str>) -> impl Iterator<Item = &'a str> {
    let metric = catalogue().find(|other| other.name == metric).unwrap();
    let Some(label) = metric.labels.iter().find(|other| other.name == label) else {
        return Vec::new().into_iter();
    };
    let beyond: Vec<&str> = match label.values {
        Values::Are(values) => told.iter().copied().filter(|value| !values.contains(value)).collect(),
        Values::Listed(_, list) => {
            let values = list();
            told.iter().copied().filter(|value| !values.iter().any(|other| other == value)).collect()
        }
        Values::Bounded(_, most) => told.iter().copied().skip(most).collect(),
    };
    beyond.into_iter()
}

impl Watched {
    fn scrapes(&self) -> [Scrape; 4] {
        let [user, order, payment] = &self.services;
        [("gateway", &self.gateway), ("user", user), ("order", order), ("payment", payment)]
            .map(|(name, process)| Scrape::of(name, &process.admin))
    }

    /// What a client may send that is no good, with `n` in every place where a name could stand.
    fn be_bothered(&self, n: u32) {
        let agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .allow_non_standard_methods(true)
            .timeout_global(Some(Duration::from_secs(10)))
            .build()
            .new_agent();
        let gateway = format!("http://{}", self.gateway.address);
        let post =
            |body: serde_json::Value| drop(agent.post(format!("{gateway}/graphql")).send_json(body).unwrap());
        post(
            json!({ "query": format!("query Name{n} {{ products {{ data {{ id }} }} }}"), "operationName": format!("Name{n}") }),
        );
        post(
            json!({ "query": format!("query A {{ me {{ id }} }} query B{n} {{ me {{ id }} }}"), "operationName": format!("Nobody{n}") }),
        );
        post(json!({ "query": format!("{{ field{n} }}") }));
        post(json!({ "query": format!("mutation M{n} {{ cancelOrder(id: \"{n}\") {{ id }} }}") }));
        post(json!({ "query": "{", "extensions": { "nonsense": n } }));
        post(
            json!({ "extensions": { "persistedQuery": { "version": 1, "sha256Hash": format!("{n:064x}") } } }),
        );
        for path in [
            format!("/graphql/{n}"),
            format!("/graphql?query={n}"),
            format!("/api/v1/thing{n}"),
            format!("/api/v1/orders/{n}"),
        ] {
            let request = agent.get(format!("{gateway}{path}"));
            request
                .header("Authorization", format!("Bearer nonsense{n}"))
                .header("X-Request-Id", n.to_string())
                .call()
                .unwrap();
            agent.get(format!("{gateway}{path}")).call().unwrap();
        }
        let method = ureq::http::Method::from_bytes(format!("METHOD{n}").as_bytes()).unwrap();
        let odd =
            ureq::http::Request::builder().method(method).uri(format!("{gateway}/graphql")).body(()).unwrap();
        agent.run(odd).unwrap();
        // It takes a second until such a socket is hung up.
        if n.is_multiple_of(5) {
            self.knock(&format!("protocol{n}"));
        }
    }

    /// Opens a WebSocket that speaks `protocol`, which is none of ours, and waits until it is closed.
    fn knock(&self, protocol: &str) {
        let mut socket = TcpStream::connect(&self.gateway.address).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        write!(
            socket,
            "GET /graphql HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
             Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: {protocol}\r\n\r\n"
        )
        .unwrap();
        let mut said = [0; 1024];
        while socket.read(&mut said).is_ok_and(|length| length > 0) {}
    }
}

#[test]
fn processes_tell_what_the_catalogue_says_and_nothing_else_whatever_clients_send() {
    let watched = Watched::start();
    watched.be_used();
    watched.be_bothered(0);
    eventually("all that is catalogued is told", || {
        let untold: Vec<_> =
            watched.scrapes().iter().map(|scrape| (scrape.process, scrape.untold())).collect();
        let all = untold.iter().all(|(_, untold)| untold.is_empty());
        if !all {
            eprintln!("not yet told: {untold:?}");
        }
        all
    });
    let before = watched.scrapes();
    let faults: BTreeSet<_> = before.iter().flat_map(Scrape::uncatalogued).collect();
    assert!(faults.is_empty(), "{faults:#?}");

    (1..=15).for_each(|n| watched.be_bothered(n));
    for (before, after) in before.iter().zip(watched.scrapes()) {
        let (before, now) = (before.series(), after.series());
        let added: Vec<_> = now.difference(&before).filter(|series| !series.contains("_bucket")).collect();
        // A rare outcome may have its first time meanwhile; fifteen of a kind are what is looked for.
        assert!(added.len() < 12, "{} has new series: {added:#?}", after.process);
        assert!(after.uncatalogued().is_empty(), "{:?}", after.uncatalogued());
    }
}
