//! The committed catalogue is the one that the protos make, and breaks nobody.

use super::*;

fn docs() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs")
}

fn catalogue(folder: &Path) -> Catalogue {
    Catalogue { folder: folder.to_owned(), allow_breaking: false }
}

/// A folder with the committed contract, and with one promise more that nobody keeps.
fn docs_with_a_broken_promise(name: &str) -> PathBuf {
    let folder = std::env::temp_dir().join(format!("portico-catalogue-{name}-{}", std::process::id()));
    fs::create_dir_all(folder.join("events")).unwrap();
    let promised = read(&docs().join(CONTRACT)).unwrap();
    fs::write(folder.join(CONTRACT), promised + "order.created  giftWrap  flag always\n").unwrap();
    folder
}

#[test]
fn no_promise_is_broken() {
    let promised: Contract = read(&docs().join(CONTRACT)).unwrap().parse().unwrap();
    let breaks = promised.broken_by(&Contract::of(&shape::events().unwrap()));
    assert!(breaks.is_empty(), "{}", contract::advice(&breaks));
}

#[test]
fn the_committed_catalogue_is_up_to_date() {
    for (file, text) in files(&shape::events().unwrap()).unwrap() {
        let committed = fs::read_to_string(docs().join(file)).unwrap();
        assert!(committed == text, "docs/{file} is not what the protos say: run `make events-catalogue`");
    }
}

#[test]
fn a_change_that_breaks_a_promise_is_refused_and_nothing_is_written() {
    let folder = docs_with_a_broken_promise("refused");
    let before = fs::read(folder.join(CONTRACT)).unwrap();
    let error = catalogue(&folder).run().unwrap_err().to_string();
    assert!(error.contains("order.created: giftWrap is gone or has another name"), "{error}");
    assert_eq!(fs::read(folder.join(CONTRACT)).unwrap(), before);
    assert!(!folder.join(PAGE).exists() && !folder.join(ASYNCAPI).exists());
    fs::remove_dir_all(folder).unwrap();
}

#[test]
fn a_break_is_written_only_when_it_is_asked_for() {
    let folder = docs_with_a_broken_promise("allowed");
    Catalogue { allow_breaking: true, ..catalogue(&folder) }.run().unwrap();
    assert_eq!(fs::read(folder.join(CONTRACT)).unwrap(), fs::read(docs().join(CONTRACT)).unwrap());
    fs::remove_dir_all(folder).unwrap();
}

#[test]
fn without_the_contract_nothing_is_written() {
    let folder = std::env::temp_dir().join(format!("portico-catalogue-empty-{}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    let error = catalogue(&folder).run().unwrap_err().to_string();
    assert!(error.contains("what was promised"), "{error}");
    assert!(!folder.join(PAGE).exists());
    fs::remove_dir_all(folder).unwrap();
}

#[test]
fn every_field_says_what_it_is() {
    fn silent(object: &shape::Object, found: &mut Vec<String>) {
        for field in &object.fields {
            if field.description.is_empty() {
                found.push(format!("{}.{}", object.name, field.name));
            }
            match &field.kind {
                shape::Kind::Object(inner) => silent(inner, found),
                shape::Kind::List(item) => {
                    if let shape::Kind::Object(inner) = &**item {
                        silent(inner, found);
                    }
                }
                _ => {}
            }
        }
    }
    let mut found = Vec::new();
    shape::events().unwrap().iter().for_each(|event| silent(&event.data, &mut found));
    assert!(found.is_empty(), "without a comment in their proto: {found:?}");
}
