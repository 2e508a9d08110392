//! Who may know the schema: its introspection, its SDL, and the names that may have been meant.

use serde_json::Value;

use crate::world::{World, reason};

/// As it is in production.
const HIDDEN: [&str; 4] = ["--ide", "off", "--introspection", "off"];

const QUESTIONS: [&str; 3] =
    ["{ __schema { queryType { name } } }", "{ __type(name: \"User\") { name } }", "{ _service { sdl } }"];

fn suggests(body: &Value) -> bool {
    body.to_string().contains("Did you mean")
}

#[tokio::test]
async fn an_admin_may_know_the_schema_where_others_may_not() {
    let world = World::with(&HIDDEN);
    let (admin, customer) = (world.admin(), world.customer("Ada"));
    for question in QUESTIONS {
        for who in [None, Some(&customer)] {
            let body = world.ask(who, question).await;
            assert_eq!(reason(&body), ("FORBIDDEN", "INTROSPECTION_DISABLED"), "{question}");
            assert!(body.get("data").is_none());
        }
        let body = world.ask(Some(&admin), question).await;
        assert!(body.get("errors").is_none() && body["data"].is_object(), "{question}: {body}");
    }
}

#[tokio::test]
async fn what_an_admin_asked_before_lets_nobody_else_in() {
    let world = World::with(&HIDDEN);
    let admin = world.admin();
    for question in QUESTIONS {
        // Twice: by then the document is known to be valid.
        for _ in 0..2 {
            assert!(world.ask(Some(&admin), question).await["data"].is_object(), "{question}");
        }
        assert_eq!(reason(&world.ask(None, question).await), ("FORBIDDEN", "INTROSPECTION_DISABLED"));
    }
}

#[tokio::test]
async fn a_name_that_may_have_been_meant_is_told_to_who_may_know_it() {
    let wrong = "{ prodcts { data { id } } }";
    let world = World::with(&HIDDEN);
    let (admin, customer) = (world.admin(), world.customer("Ada"));
    for who in [None, Some(&customer)] {
        let body = world.ask(who, wrong).await;
        assert_eq!(reason(&body), ("BAD_USER_INPUT", "GRAPHQL_INVALID"));
        assert!(!suggests(&body), "{body}");
    }
    assert!(suggests(&world.ask(Some(&admin), wrong).await));
    assert!(suggests(&World::new().ask(None, wrong).await), "everyone may know it in development");
    assert!(!suggests(&World::with(&["--introspection", "off"]).ask(None, wrong).await));
}
