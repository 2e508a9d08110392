//! `_entities`, by which a supergraph joins ours: as strict as the query fields.

use serde_json::{Value, json};
use testkit::Caller;

use crate::world::{World, reason};

const QUERY: &str = "query($keys: [_Any!]!) { _entities(representations: $keys) {
    __typename ... on User { email } ... on Product { name } ... on Order { totalAmount } ... on Payment { amount } } }";

async fn entity(world: &World, caller: Option<&Caller>, typename: &str, id: &str) -> Value {
    let keys = json!({ "keys": [{ "__typename": typename, "id": id }] });
    world.ask_with(caller, QUERY, keys).await
}

#[tokio::test]
async fn every_entity_is_shown_to_those_alone_who_may_see_it() {
    let world = World::new();
    let (owner, order, payment) = world.buyer();
    let (stranger, admin) = (world.customer("Mallory"), world.admin());
    let user = owner.viewer.user_id.to_string();
    for (typename, id, field, value) in [
        ("User", user.as_str(), "email", "ada@example.com"),
        ("Order", &order, "totalAmount", "999.99"),
        ("Payment", &payment, "amount", "999.99"),
    ] {
        let shown = json!({ "data": { "_entities": [{ "__typename": typename, field: value }] } });
        let hidden = json!({ "data": { "_entities": [null] } });
        assert_eq!(entity(&world, Some(&owner), typename, id).await, shown);
        assert_eq!(entity(&world, Some(&admin), typename, id).await, shown);
        assert_eq!(entity(&world, Some(&stranger), typename, id).await, hidden);
        assert_eq!(entity(&world, Some(&owner), typename, &uuid::Uuid::now_v7().to_string()).await, hidden);
        assert_eq!(entity(&world, Some(&owner), typename, "no uuid").await, hidden);
        let anonymous = entity(&world, None, typename, id).await;
        assert_eq!(anonymous["data"], hidden["data"], "{typename}");
        assert_eq!(reason(&anonymous), ("UNAUTHENTICATED", "TOKEN_MISSING"), "{typename}");
    }
    let product = json!({ "data": { "_entities": [{ "__typename": "Product", "name": "Laptop" }] } });
    for caller in [None, Some(&stranger), Some(&owner), Some(&admin)] {
        assert_eq!(entity(&world, caller, "Product", "prod-1").await, product);
    }
}

#[tokio::test]
async fn every_type_that_can_be_joined_is_asked_for_above() {
    let keys = gateway::sdl().matches("@key(fields: \"id\")").count();
    assert_eq!(keys, 4, "User, Order, Payment and Product; a new one belongs into the test before this");
}

#[tokio::test]
async fn one_entity_that_fails_leaves_the_others() {
    let world = World::new();
    let (owner, order, _) = world.buyer();
    world.faults.set("user", crate::world::Fault::Down);
    let keys = json!({ "keys": [
        { "__typename": "User", "id": owner.viewer.user_id.to_string() },
        { "__typename": "Order", "id": order },
    ] });
    let body = world.ask_with(Some(&owner), QUERY, keys).await;
    assert_eq!(body["data"]["_entities"], json!([null, { "__typename": "Order", "totalAmount": "999.99" }]));
    assert_eq!(reason(&body), ("SERVICE_UNAVAILABLE", "SERVICE_UNAVAILABLE"));
}

#[tokio::test]
async fn what_is_no_entity_is_refused() {
    let world = World::new();
    let (owner, ..) = world.buyer();
    for key in [
        json!({ "__typename": "OrderItem", "id": "1" }),
        json!({ "__typename": "Nothing" }),
        json!({ "__typename": "User" }),
        json!({ "id": "1" }),
        json!("User"),
        json!(7),
    ] {
        let body = world.ask_with(Some(&owner), QUERY, json!({ "keys": [key] })).await;
        assert_eq!(reason(&body), ("BAD_USER_INPUT", "GRAPHQL_INVALID"), "{key}: {body}");
    }
}

#[tokio::test]
async fn representations_written_into_the_document_count_too() {
    let world = World::new();
    let admin = world.admin();
    let one = r#"{ __typename: "Product", id: "prod-1" },"#;
    let field = |name: &str, n: usize| {
        format!("{name}: _entities(representations: [{}]) {{ __typename }}", one.repeat(n))
    };
    let body = world.ask(Some(&admin), &format!("{{ {} {} }}", field("a", 600), field("b", 401))).await;
    assert_eq!(reason(&body), ("BAD_USER_INPUT", "TOO_MANY_KEYS"));
}

#[tokio::test]
async fn the_service_tells_its_schema_only_where_schemas_may_be_asked_for() {
    let open = World::new();
    let body = open.ask(None, "{ _service { sdl } }").await;
    assert!(body["data"]["_service"]["sdl"].as_str().unwrap().contains("type Order @key"), "{body}");
    let closed = World::with(&["--introspection", "off"]);
    for query in [
        "{ _service { sdl } }",
        "{ __schema { types { name } } }",
        "{ ...a } fragment a on Query { x: __type(name: \"User\") { name } }",
    ] {
        let body = closed.ask(None, query).await;
        assert_eq!(reason(&body), ("FORBIDDEN", "INTROSPECTION_DISABLED"), "{query}");
        assert!(body.get("data").is_none());
    }
    let body = closed.ask(None, "{ nonsense }").await;
    assert!(!body.to_string().contains("Did you mean"), "{body}");
}
