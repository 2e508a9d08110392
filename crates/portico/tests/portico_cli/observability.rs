//! What is in `observability/`: rules that promtool understands, that watch what there is to be watched, and that say what to do.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use portico::environment::Environment;
use portico::metrics::catalogue;
use portico::ports;
use portico::progress::Progress;
use portico::tools::{Tools, Wanted};
use serde_json::{Value, json};

use crate::run::{code, eventually};
use crate::watched::Watched;

/// Where the folders of the repository are.
fn tree() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

/// A program of Prometheus'.
async fn program(name: &str) -> Command {
    let wanted = Wanted { programs: vec![name.to_owned()], ..Wanted::default() };
    let tools = Tools::find(wanted, &Environment::of_this_process(), &Progress::on_stderr()).await.unwrap();
    let mut command = Command::new("env");
    command.arg(name).envs(tools.variables()).stdin(Stdio::null());
    command
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&[output.stdout.as_slice(), &output.stderr].concat()).into_owned()
}

fn files_of(folder: &str) -> Vec<PathBuf> {
    let mut files: Vec<_> = fs::read_dir(tree().join("observability").join(folder))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    assert!(!files.is_empty(), "{folder}");
    files
}

#[tokio::test]
async fn promtool_understands_all_of_it_and_the_rules_do_what_their_tests_say() {
    let checked = program("promtool")
        .await
        .args(["check", "config"])
        .arg(tree().join("observability/prometheus.yml"))
        .output();
    let checked = checked.unwrap();
    assert_eq!(code(checked.status), Ok(0), "{}", said(&checked));
    assert!(said(&checked).contains("2 rule files found"), "{}", said(&checked));
    let tested = program("promtool").await.args(["test", "rules"]).args(files_of("tests")).output().unwrap();
    assert_eq!(code(tested.status), Ok(0), "{}", said(&tested));
}

/// The values of `key: value` in a file of rules or of tests.
fn values<'a>(text: &'a str, key: &'a str) -> impl Iterator<Item = &'a str> {
    text.lines().filter_map(move |line| {
        let line = line.trim_start_matches(['-', ' ', '{']);
        let value = &line[line.find(key)? + key.len()..];
        Some(value.split([',', '}']).next()?.trim())
    })
}

#[test]
fn every_alert_has_its_heading_in_the_operators_page_and_a_test_and_no_heading_is_left_over() {
    let rules = fs::read_to_string(tree().join("observability/rules/alerts.yml")).unwrap();
    let alerts: BTreeSet<_> = values(&rules, "alert: ").collect();
    assert!(alerts.len() > 10, "{alerts:?}");
    let named: Vec<_> = values(&rules, "runbook: ").map(str::to_owned).collect();
    let wanted: Vec<_> = values(&rules, "alert: ")
        .map(|alert| format!("docs/operations.md#{}", alert.to_lowercase()))
        .collect();
    assert_eq!(named, wanted);

    let page = fs::read_to_string(tree().join("docs/operations.md")).unwrap();
    let (_, part) = page.split_once("\n## What every alert means\n").unwrap();
    let part = part.split("\n## ").next().unwrap();
    let headings: BTreeSet<_> = part.lines().filter_map(|line| line.strip_prefix("### ")).collect();
    assert_eq!(headings, alerts);

    let tests: String = files_of("tests").iter().map(|file| fs::read_to_string(file).unwrap()).collect();
    let tested: BTreeSet<_> = values(&tests, "alertname: ").collect();
    assert_eq!(tested, alerts);
}

/// The names of metrics in an expression of PromQL: words that are no function, keyword, label or text.
fn metrics_in(expression: &str) -> BTreeSet<String> {
    const KEYWORDS: [&str; 6] = ["and", "or", "unless", "bool", "offset", "inf"];
    const BEFORE_LABELS: [&str; 6] = ["by", "without", "on", "ignoring", "group_left", "group_right"];
    let mut bare = String::new();
    let (mut text, mut labels) = (false, 0);
    for (at, letter) in expression.char_indices() {
        match letter {
            '"' => text = !text,
            _ if text => {}
            '{' | '[' => labels += 1,
            '}' | ']' => labels -= 1,
            _ if labels == 0 => bare.push(letter),
            _ => {}
        }
        assert!(labels >= 0, "{expression} at {at}");
    }
    for word in BEFORE_LABELS {
        while let Some(at) = bare.find(&format!("{word} (")) {
            let end = at + bare[at..].find(')').unwrap();
            bare.replace_range(at..=end, "");
        }
    }
    let is_of_word = |letter: char| letter.is_ascii_alphanumeric() || "_:".contains(letter);
    let mut found = BTreeSet::new();
    let mut rest = bare.as_str();
    while let Some(start) = rest.find(is_of_word) {
        let word = rest[start..].split(|letter| !is_of_word(letter)).next().unwrap();
        rest = &rest[start + word.len()..];
        let is_function = rest.trim_start().starts_with('(');
        if !is_function
            && !KEYWORDS.contains(&word)
            && !word.starts_with(|letter: char| letter.is_ascii_digit())
        {
            found.insert(word.to_owned());
        }
    }
    found
}

#[test]
fn metrics_are_found_in_expressions_and_nothing_else_is() {
    let found = |expression| metrics_in(expression).into_iter().collect::<Vec<_>>();
    let expression = r#"sum by (job, code) (rate(a_total{code=~"Internal|b", x="c{d"}[5m])) / on (job) (up or vector(0)) > 0.1"#;
    assert_eq!(found(expression), ["a_total", "up"]);
    assert_eq!(found("max(portico:x:p99) > 1e3 and delta(b[10m]) > 0"), ["b", "portico:x:p99"]);
    assert_eq!(found("histogram_quantile(0.5, sum by (le) (c_bucket))"), ["c_bucket"]);
}

impl Watched {
    /// The configuration of the repository, with the addresses of these processes and more haste.
    fn configuration(&self) -> String {
        let rabbitmq = self
            .backends
            .row("metrics ")
            .trim_start_matches("http://")
            .trim_end_matches("/metrics")
            .to_owned();
        let [user, order, payment] = &self.services;
        let addresses = BTreeMap::from([
            ("gateway", &self.gateway.admin),
            ("user", &user.admin),
            ("order", &order.admin),
            ("payment", &payment.admin),
            ("rabbitmq", &rabbitmq),
        ]);
        let text = fs::read_to_string(tree().join("observability/prometheus.yml")).unwrap();
        let rules = tree().join("observability/rules");
        let text = text
            .replace("_interval: 15s\n", "_interval: 1s\n")
            .replace("- rules/", &format!("- {}/", rules.display()));
        let lines = text.lines().map(|line| match line.split_once("dns_sd_configs: [{ names: [") {
            Some((before, rest)) => {
                let name = rest.split(']').next().unwrap();
                format!("{before}static_configs: [{{ targets: [\"{}\"] }}]\n", addresses[name])
            }
            None => format!("{line}\n"),
        });
        lines.collect()
    }
}

/// A Prometheus of the test's own.
struct Prometheus {
    child: Child,
    url: String,
}

impl Prometheus {
    async fn start(watched: &Watched) -> Self {
        let folder = watched.folder.path();
        let file = folder.join("prometheus.yml");
        fs::write(&file, watched.configuration()).unwrap();
        let [port] = ports::free().unwrap();
        let mut command = program("prometheus").await;
        command.arg(format!("--config.file={}", file.display()));
        command.arg(format!("--storage.tsdb.path={}", folder.join("tsdb").display()));
        command.arg(format!("--web.listen-address=127.0.0.1:{port}")).arg("--log.level=warn");
        let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        Self { child, url: format!("http://127.0.0.1:{port}/api/v1") }
    }

    /// What it answers at `path` when asked with these arguments; `None` while it does not answer, or not well.
    fn ask(&self, path: &str, arguments: &[(&str, &str)]) -> Option<Value> {
        let agent =
            ureq::Agent::config_builder().timeout_global(Some(Duration::from_secs(10))).build().new_agent();
        let request = agent.get(format!("{}/{path}", self.url)).query_pairs(arguments.iter().copied());
        let mut answer: Value = request.call().ok()?.body_mut().read_json().ok()?;
        (answer["status"] == "success").then(|| answer["data"].take())
    }

    /// Whether an expression has a value now.
    fn has(&self, expression: &str) -> bool {
        let answer = self.ask("query", &[("query", expression)]);
        answer.is_some_and(|data| data["result"].as_array().is_some_and(|result| !result.is_empty()))
    }

    fn all_targets_are_up(&self) -> bool {
        let targets = self.ask("targets", &[("state", "active")]);
        let targets =
            targets.and_then(|mut data| data["activeTargets"].take().as_array().cloned()).unwrap_or_default();
        targets.len() == 6 && targets.iter().all(|target| target["health"] == "up")
    }

    fn rules(&self) -> Vec<Value> {
        let groups = self.ask("rules", &[]).unwrap()["groups"].take();
        groups
            .as_array()
            .unwrap()
            .iter()
            .flat_map(|group| group["rules"].as_array().unwrap().clone())
            .collect()
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What the dashboards ask for, by the panel's title. A panel that has no value without a failure is none here.
fn panels() -> Vec<(String, String)> {
    let mut found = Vec::new();
    for file in files_of("grafana/dashboards") {
        let dashboard: Value = serde_json::from_str(&fs::read_to_string(file).unwrap()).unwrap();
        for panel in dashboard["panels"].as_array().unwrap() {
            for target in panel["targets"].as_array().unwrap() {
                assert_eq!(target["datasource"], json!({"type": "prometheus", "uid": "prometheus"}));
                // The dashboard of one service has a variable that chooses it.
                let expression = target["expr"].as_str().unwrap().replace("$service", "order");
                found.push((format!("{}: {}", dashboard["title"], panel["title"]), expression));
            }
        }
    }
    assert!(found.len() > 10);
    found
}

/// What is recorded, by the rules' names.
fn recorded() -> BTreeSet<String> {
    let rules = fs::read_to_string(tree().join("observability/rules/recording.yml")).unwrap();
    values(&rules, "record: ").map(str::to_owned).collect()
}

/// The expressions of a file of rules: on the line of their key, or indented below it.
fn expressions(file: &str) -> Vec<String> {
    let text = fs::read_to_string(tree().join("observability/rules").join(file)).unwrap();
    let mut found = Vec::new();
    let mut lines = text.lines().peekable();
    while let Some(line) = lines.next() {
        let Some(expression) = line.trim_start().strip_prefix("expr: ") else { continue };
        let mut expression = expression.trim_start_matches(">-").to_owned();
        let indented = line.len() - line.trim_start().len();
        while let Some(more) =
            lines.next_if(|line| line.len() - line.trim_start().len() > indented && !line.trim().is_empty())
        {
            expression.push(' ');
            expression.push_str(more.trim());
        }
        found.push(expression);
    }
    assert!(found.len() > 10, "{file}: {found:?}");
    found
}

#[test]
fn rules_and_panels_name_only_metrics_that_are_catalogued_or_recorded() {
    let recorded = recorded();
    let is_known = |name: &str| {
        let of = |metric: &str| {
            ["", "_bucket", "_sum", "_count"].iter().any(|part| name == format!("{metric}{part}"))
        };
        recorded.contains(name)
            || name == "up"
            || name.starts_with("rabbitmq_")
            || catalogue().any(|metric| of(metric.name))
    };
    let rules = ["alerts.yml", "recording.yml"].map(expressions).concat();
    let asked = rules.into_iter().map(|rule| ("a rule".to_owned(), rule)).chain(panels());
    for (who, expression) in asked {
        let unknown: Vec<_> = metrics_in(&expression).into_iter().filter(|name| !is_known(name)).collect();
        assert!(unknown.is_empty(), "{who} asks for {unknown:?}: {expression}");
    }
}

#[tokio::test]
async fn no_rule_and_no_panel_watches_what_is_not_there() {
    let watched = Watched::start();
    let prometheus = Prometheus::start(&watched).await;
    eventually("Prometheus hears of all", || prometheus.all_targets_are_up());
    let admin = watched.be_used();

    let rules = prometheus.rules();
    assert!(rules.len() > 25, "{rules:?}");
    for rule in &rules {
        let (name, expression) = (rule["name"].as_str().unwrap(), rule["query"].as_str().unwrap());
        let metrics = metrics_in(expression);
        assert!(!metrics.is_empty(), "{name}");
        for metric in metrics {
            eventually(&format!("{metric} is there, as {name} wants"), || {
                // What is counted for the first time has not grown yet.
                watched.browse(&admin);
                prometheus.has(&metric)
            });
        }
        if rule["type"] == "recording" {
            eventually(&format!("{name} has a value"), || {
                watched.browse(&admin);
                prometheus.has(name)
            });
        }
    }
    for (panel, expression) in panels() {
        eventually(&format!("{panel} shows something"), || {
            watched.browse(&admin);
            prometheus.has(&expression)
        });
    }
    // Of a system that is well nothing is told.
    eventually("every rule has been judged", || prometheus.rules().iter().all(|rule| rule["health"] == "ok"));
    let told = prometheus.ask("query", &[("query", r#"ALERTS{alertstate="firing"}"#)]).unwrap();
    assert_eq!(told["result"], json!([]));
}
