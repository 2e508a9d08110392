//! `portico up --observability`, and the status page that needs none of it.

use std::time::Duration;

use nix::sys::signal::Signal;
use serde_json::Value;

use crate::graph::Graph;
use crate::run::{Folder, Up, code, eventually};

fn get(url: &str, arguments: &[(&str, &str)]) -> Option<Value> {
    let agent =
        ureq::Agent::config_builder().timeout_global(Some(Duration::from_secs(10))).build().new_agent();
    agent.get(url).query_pairs(arguments.iter().copied()).call().ok()?.body_mut().read_json().ok()
}

/// The values of an expression by the label `by`.
fn values(prometheus: &str, expression: &str, by: &str) -> Vec<String> {
    let answer = get(&format!("{prometheus}/api/v1/query"), &[("query", expression)]).unwrap_or_default();
    let result = answer["data"]["result"].as_array().cloned().unwrap_or_default();
    let mut values: Vec<_> =
        result.iter().filter_map(|one| Some(one["metric"][by].as_str()?.to_owned())).collect();
    values.sort();
    values.dedup();
    values
}

#[test]
fn prometheus_comes_up_beside_the_system_tells_its_services_apart_and_goes_with_it() {
    let folder = Folder::new();
    let up = Up::start_arguments(&folder, &["up", "--embedded", "--observability"], &[]);
    let prometheus = up.row("Prometheus ").to_owned();
    let graph = Graph::at(up.row("GraphQL ").trim_end_matches("/graphql"));
    let ada = graph.log_in("ada@example.com", "demo-customer-4711");
    let all = ["gateway", "order", "payment", "user"];
    eventually("all jobs are up", || values(&prometheus, "up == 1", "job") == all);
    eventually("each service has its own RPCs", || {
        ada.ask("{ me { id } products { data { id } } payments { data { id } } }");
        let own = |job: &str| {
            values(
                &prometheus,
                &format!("rpc_server_call_duration_seconds_count{{job=\"{job}\"}}"),
                "rpc_method",
            )
        };
        let [order, payment, user] = ["order", "payment", "user"].map(own);
        assert!(own("gateway").is_empty());
        let are = |methods: &[String], of: &str| {
            !methods.is_empty() && methods.iter().all(|name| name.starts_with(of))
        };
        are(&order, "order.v1.") && are(&payment, "payment.v1.") && are(&user, "user.v1.")
    });
    eventually("a rule of ours has a value", || {
        !values(&prometheus, "portico:rpcs:rate5m", "job").is_empty()
    });
    assert_eq!(values(&prometheus, "http_server_active_requests", "job"), ["gateway"]);
    up.signal(Signal::SIGINT);
    let (status, said) = up.finish();
    assert_eq!(code(status), Ok(0), "{said}");
    assert!(
        get(&format!("{prometheus}/api/v1/query"), &[("query", "up")]).is_none(),
        "it goes on without us"
    );
}

#[test]
fn the_status_page_tells_of_all_services_and_of_what_was_asked_for() {
    let folder = Folder::new();
    let up = Up::start(&folder);
    let page = up.row("Status ").to_owned();
    let told = || get(&format!("{page}.json"), &[]).unwrap_or_default();
    let graph = Graph::at(up.row("GraphQL ").trim_end_matches("/graphql"));
    graph.ask("query Secret { products { data { id } } }");
    assert!(graph.refusal("{ me { id } }").is_some());
    eventually("what happened is told", || {
        let told = told();
        let has = |table: &str, key: &str, value: &str| {
            told[table].as_array().is_some_and(|rows| rows.iter().any(|row| row[key] == value))
        };
        has("operations", "name", "query other")
            && has("rpcs", "name", "order.v1.OrderService/ListProducts")
            && has("refusals", "reason", "TOKEN_MISSING")
            && told["outboxes"].as_array().is_some_and(|boxes| boxes.len() == 3)
    });
    let told = told();
    assert!(!told.to_string().contains("Secret"), "a name that nobody trusts is told: {told}");
    let parts = told["parts"].as_array().unwrap();
    let names: Vec<_> = parts.iter().map(|part| part["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["gateway", "user", "order", "payment"]);
    let missing =
        |part: &Value| part["checks"].as_array().unwrap().iter().any(|check| !check["missing"].is_null());
    assert!(!parts.iter().any(missing), "{told}");
}
