//! The fields of an object stand in the order in which they were asked for, whichever is there first.

use std::time::Duration;

use serde_json::json;

use crate::world::{Fault, World, post};

/// Where each of the words stands in the text.
fn places(text: &str, words: &[&str]) -> Vec<usize> {
    words
        .iter()
        .map(|word| text.find(&format!("\"{word}\":")).unwrap_or_else(|| panic!("{word} in {text}")))
        .collect()
}

#[tokio::test(start_paused = true)]
async fn fields_that_finish_in_another_order_are_answered_in_the_order_asked_for() {
    let world = World::with(&["--rpc-timeout", "5"]);
    let (ada, ..) = world.buyer();
    let delays =
        [("BatchGetUsers", 3), ("BatchGetPaymentsByOrders", 1), ("BatchGetProducts", 2), ("ListProducts", 4)];
    for (rpc, seconds) in delays {
        world.faults.set(rpc, Fault::Slow(Duration::from_secs(seconds)));
    }
    for words in [
        ["first", "user", "id", "payment", "items", "status"],
        ["status", "items", "payment", "id", "user", "first"],
        ["payment", "first", "items", "status", "id", "user"],
    ] {
        let selection = words.map(|word| match word {
            "first" => "first: user { email }".to_owned(),
            "user" => "user { firstName }".to_owned(),
            "payment" => "payment { amount }".to_owned(),
            "items" => "items { product { name } }".to_owned(),
            plain => plain.to_owned(),
        });
        let query = format!(
            "{{ last: products {{ data {{ name }} }} orders {{ data {{ {} }} }} }}",
            selection.join(" ")
        );
        let answer = world.send(post(Some(&ada), &json!({ "query": query }))).await;
        assert!(answer.body.get("errors").is_none(), "{}", answer.text);
        assert!(places(&answer.text, &["last", "orders"]).is_sorted(), "{}", answer.text);
        let found = places(&answer.text, &words);
        assert!(found.is_sorted(), "{words:?} in {}", answer.text);
    }
}

#[tokio::test]
async fn fields_of_fragments_stand_where_the_fragment_is_spread() {
    let world = World::new();
    let (ada, ..) = world.buyer();
    let query = "{ me { lastName ...names id ... { email } } } fragment names on User { fullName firstName }";
    let answer = world.send(post(Some(&ada), &json!({ "query": query }))).await;
    let words = ["lastName", "fullName", "firstName", "id", "email"];
    assert!(places(&answer.text, &words).is_sorted(), "{}", answer.text);
}
