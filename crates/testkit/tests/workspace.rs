//! Rules of the workspace that no compiler holds.

#![allow(clippy::unwrap_used, reason = "a rule that can't be read is broken")]

use std::{collections::BTreeSet, fs, path::Path};

use cargo_metadata::{DependencyKind, MetadataCommand};

/// What each crate of ours may depend on (tests aside). The arrows point one way, and no service knows another.
const ARROWS: &[(&str, &[&str])] = &[
    ("proto", &[]),
    // An example stands outside: it knows what is promised and nothing of ours.
    ("subscriber", &[]),
    ("money", &[]),
    ("identity", &[]),
    ("runtime", &["proto", "identity"]),
    ("messaging", &["proto", "runtime"]),
    ("user", &["proto", "identity", "runtime", "messaging"]),
    ("order", &["proto", "identity", "runtime", "messaging", "money"]),
    ("payment", &["proto", "identity", "runtime", "messaging", "money"]),
    ("gateway", &["proto", "identity", "runtime", "messaging", "money"]),
];
/// What stands above all of them and may use any.
const TOP: &[&str] = &["portico", "testkit", "bench", "faults"];

fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
}

#[test]
fn dependencies_point_one_way() {
    let metadata = MetadataCommand::new().manifest_path(root().join("Cargo.toml")).no_deps().exec().unwrap();
    let ours: BTreeSet<&str> = metadata.packages.iter().map(|package| package.name.as_str()).collect();
    for package in &metadata.packages {
        if TOP.contains(&package.name.as_str()) {
            continue;
        }
        let (_, allowed) = ARROWS
            .iter()
            .find(|(name, _)| *name == package.name.as_str())
            .unwrap_or_else(|| panic!("{} has no place in the tree: add it to ARROWS", package.name));
        for dependency in
            package.dependencies.iter().filter(|dependency| dependency.kind == DependencyKind::Normal)
        {
            let name = dependency.name.as_str();
            assert!(
                !ours.contains(name) || allowed.contains(&name),
                "{} must not depend on {name}",
                package.name
            );
        }
    }
}

#[test]
fn outbox_inbox_and_idempotency_are_the_same_sql_in_each_database() {
    for file in [
        "20261120000001_messaging.up.sql",
        "20261120000001_messaging.down.sql",
        "20261121000001_dead_letters.up.sql",
        "20261121000001_dead_letters.down.sql",
    ] {
        let [user, order, payment] = ["user", "order", "payment"].map(|service| migration(service, file));
        assert!(user == order && order == payment, "{file}");
    }
    for file in ["20261120000002_idempotency.up.sql", "20261120000002_idempotency.down.sql"] {
        assert_eq!(migration("order", file), migration("payment", file), "{file}");
    }
}

#[test]
fn the_services_have_the_same_file_names() {
    for service in ["user", "order", "payment"] {
        for file in ["main", "lib", "config", "app", "store", "grpc", "grpc/convert", "events", "error"] {
            let path = root().join(format!("services/{service}/src/{file}.rs"));
            assert!(path.exists(), "{} is missing", path.display());
        }
        let entity = root().join(format!("services/{service}/src/{service}.rs"));
        let use_cases = root().join(format!("services/{service}/src/{service}s.rs"));
        assert!(entity.exists() && use_cases.exists(), "{service}: the entity or its use cases");
        let main = fs::read_to_string(root().join(format!("services/{service}/src/main.rs"))).unwrap();
        assert!(main.lines().count() <= 30, "{service}: main.rs has more than 30 lines");
    }
}

#[test]
fn every_reason_of_a_refusal_is_in_the_contract_of_errors() {
    let contract = fs::read_to_string(root().join("docs/errors.md")).unwrap();
    let table = &contract[contract.find("## The reasons").unwrap()..];
    let told: BTreeSet<&str> = table.split('`').skip(1).step_by(2).filter(|word| is_a_reason(word)).collect();
    let mut given = BTreeSet::new();
    for folder in ["services/user", "services/order", "services/payment", "gateway", "crates/runtime"] {
        collect_reasons(&root().join(folder).join("src"), &mut given);
    }
    let given: BTreeSet<&str> =
        given.iter().map(String::as_str).filter(|word| !NO_REASONS.contains(word)).collect();
    assert_eq!(given, told, "left: in the code; right: in docs/errors.md");
}

/// Words of the same shape that are something else.
const NO_REASONS: &[&str] = &[
    "BAD_USER_INPUT",
    "FAILED_PRECONDITION",
    "RATE_LIMITED",
    "SCREAMING_SNAKE_CASE",
    "SOME_REASON",
    "NO_COLOR",
    // What a build knows of itself.
    "CARGO_PKG_VERSION",
    "PORTICO_COMMIT",
    "RUSTC_VERSION",
    // Values of metrics' labels: gRPC's names of its codes, and whatever is none.
    "ALREADY_EXISTS",
    "DATA_LOSS",
    "DEADLINE_EXCEEDED",
    "INVALID_ARGUMENT",
    "OUT_OF_RANGE",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "_OTHER",
];

/// Words of two parts or more; those of one, such as FORBIDDEN, are names of codes too.
fn is_a_reason(word: &str) -> bool {
    word.contains('_')
        && word.bytes().any(|byte| byte.is_ascii_uppercase())
        && word.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_')
}

/// `config.rs`, and what is in its folder.
fn is_of_settings(path: &Path) -> bool {
    path.ends_with("config.rs") || path.parent().is_some_and(|folder| folder.ends_with("config"))
}

/// Adds the literals of that shape in the sources below `folder`. Variables stand with the settings, or behind `env =`.
fn collect_reasons(folder: &Path, reasons: &mut BTreeSet<String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect_reasons(&path, reasons);
        } else if path.extension().is_some_and(|kind| kind == "rs") && !is_of_settings(&path) {
            let text = fs::read_to_string(&path).unwrap();
            let lines = text.lines().filter(|line| !line.contains("env =") && !line.contains("_URL\""));
            let literals = lines.flat_map(|line| line.split('"').skip(1).step_by(2).collect::<Vec<_>>());
            reasons.extend(literals.filter(|word| is_a_reason(word)).map(str::to_owned));
        }
    }
}

fn migration(service: &str, file: &str) -> String {
    fs::read_to_string(root().join("migrations").join(service).join(file)).unwrap()
}

/// The text of every test in the repository: Rust sources and those of Node.js and Python.
fn sources(folder: &Path, texts: &mut String) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() && !name.starts_with('.') && !["target", "node_modules", "vendor"].contains(&&*name)
        {
            sources(&path, texts);
        } else if ["rs", "mjs", "py"].iter().any(|ending| path.extension().is_some_and(|it| it == *ending)) {
            texts.push_str(&fs::read_to_string(&path).unwrap());
        }
    }
}

#[test]
fn every_test_that_the_page_on_security_names_is_there() {
    let page = fs::read_to_string(root().join("docs/security.md")).unwrap();
    let mut texts = String::new();
    sources(root(), &mut texts);
    let held_by =
        page.lines().filter(|line| line.starts_with("| ")).filter_map(|line| line.split('|').nth(2));
    let named: Vec<&str> = held_by.flat_map(|cell| cell.split('`').skip(1).step_by(2)).collect();
    assert!(named.len() > 20, "{named:?}");
    for test in named {
        let there = [format!("fn {test}("), format!("\"{test}\"")].iter().any(|form| texts.contains(form));
        assert!(there || root().join(test).exists(), "docs/security.md names {test}, which is nowhere");
    }
}
