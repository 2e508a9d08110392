//! The documents of a client as a manifest, and what is wrong with them.

use std::fs;

use crate::run::{Folder, code, portico};

#[test]
fn a_folder_of_documents_becomes_a_manifest() {
    let (folder, clients) = (Folder::new(), Folder::new());
    fs::create_dir(clients.path().join("parts")).unwrap();
    fs::write(clients.path().join("shop.graphql"), "query Shop { products { data { ...part } } }\n").unwrap();
    fs::write(clients.path().join("parts/part.gql"), "fragment part on Product { id }\n").unwrap();
    fs::write(clients.path().join("readme.md"), "not a document").unwrap();
    let made =
        portico(&folder, &["documents", "manifest", clients.path().to_str().unwrap()]).output().unwrap();
    assert_eq!(code(made.status), Ok(0), "{}", String::from_utf8_lossy(&made.stderr));
    let manifest: serde_json::Value = serde_json::from_slice(&made.stdout).unwrap();
    assert_eq!(manifest["format"], "apollo-persisted-query-manifest");
    assert_eq!(manifest["operations"].as_array().unwrap().len(), 1);
    let body = manifest["operations"][0]["body"].as_str().unwrap();
    assert!(body.contains("fragment part on Product"), "{body}");
}

#[test]
fn what_is_wrong_with_a_document_is_told_with_its_file_and_line() {
    let (folder, clients) = (Folder::new(), Folder::new());
    fs::write(clients.path().join("shop.graphql"), "query Shop {\n  products { nonsense }\n}\n").unwrap();
    let refused =
        portico(&folder, &["documents", "manifest", clients.path().to_str().unwrap()]).output().unwrap();
    assert_eq!(code(refused.status), Ok(1));
    assert!(refused.stdout.is_empty());
    let told = String::from_utf8_lossy(&refused.stderr);
    assert!(told.contains("shop.graphql:2:14: ") && told.contains("nonsense"), "{told}");
}
