//! The catalogue of events says what is really sent: each event of a whole system is held against its schema there.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    sync::Arc,
    time::Duration,
};

use jsonschema::Validator;
use messaging::{CloudEvent, Heard, Listener};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::real_world::{Person, RealWorld};

fn catalogue() -> Value {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/events/asyncapi.json");
    serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

/// What is allowed of each event, by its name. Stricter than what subscribers are promised: what the catalogue doesn't
/// name is refused, so that nothing is sent which it leaves out.
fn schemas() -> BTreeMap<String, Validator> {
    let mut catalogue = catalogue();
    close(&mut catalogue["components"]["schemas"]);
    let channels: Vec<String> = catalogue["channels"].as_object().unwrap().keys().cloned().collect();
    let schema = |name: String| {
        // In draft 7 nothing but the definitions counts beside a reference.
        let schema = json!({
            "$schema": "http://json-schema.org/draft-07/schema#",
            "$ref": catalogue["components"]["messages"][&name]["payload"]["$ref"],
            "components": catalogue["components"],
        });
        let options = jsonschema::draft7::options()
            .with_format("uuid", |text: &str| Uuid::parse_str(text).is_ok())
            .should_validate_formats(true);
        (name, options.build(&schema).unwrap())
    };
    channels.into_iter().map(schema).collect()
}

/// Refuses fields without a name in the schema, in every object.
fn close(schema: &mut Value) {
    match schema {
        Value::Object(keywords) => {
            keywords.values_mut().for_each(close);
            if keywords.get("type") == Some(&"object".into()) && keywords.contains_key("properties") {
                keywords.insert("additionalProperties".into(), false.into());
            }
        }
        Value::Array(items) => items.iter_mut().for_each(close),
        _ => {}
    }
}

fn faults(schema: &Validator, event: &Value) -> Vec<String> {
    schema.iter_errors(event).map(|fault| format!("{}: {fault}", fault.instance_path())).collect()
}

/// Does all that anyone ever says an event of.
async fn everything(world: &RealWorld) {
    let (admin, ada) = (world.admin().await, world.register("ada").await);
    let id = &ada.id;
    world
        .data(
            &ada,
            &format!(r#"mutation {{ updateUser(id: "{id}", input: {{firstName: "Augusta"}}) {{ id }} }}"#),
        )
        .await;
    paid_shipped_refunded(world, &ada, &admin).await;
    paid_and_cancelled(world, &ada).await;
    // Never paid, and deleted.
    let (order, payment) = world.order(&ada).await;
    world.data(&ada, &format!(
        r#"mutation {{ processPayment(input: {{paymentId: "{payment}", token: "tok_declined"}}) {{ status }} }}"#
    )).await;
    world.data(&ada, &format!(r#"mutation {{ cancelOrder(id: "{order}") {{ id }} }}"#)).await;
    world.settle().await;
    world.data(&ada, &format!(r#"mutation {{ deleteOrder(id: "{order}") }}"#)).await;
    // A session ends by itself, and another with its account.
    world.data(&ada, "mutation { logout }").await;
    let ada = world.log_in("ada@example.com").await;
    world.data(&admin, &format!(r#"mutation {{ setUserRole(id: "{id}", role: ADMIN) {{ id }} }}"#)).await;
    world.data(&admin, &format!(r#"mutation {{ setUserActive(id: "{id}", active: false) {{ id }} }}"#)).await;
    world.data(&admin, &format!(r#"mutation {{ deleteUser(id: "{}") }}"#, ada.id)).await;
    world.settle().await;
}

async fn paid_shipped_refunded(world: &RealWorld, buyer: &Person, admin: &Person) {
    let (order, payment) = world.order(buyer).await;
    world.pay(buyer, &payment).await;
    for status in ["SHIPPED", "DELIVERED"] {
        world
            .data(
                admin,
                &format!(r#"mutation {{ updateOrderStatus(id: "{order}", status: {status}) {{ id }} }}"#),
            )
            .await;
    }
    world.data(admin, &format!(
        r#"mutation {{ refundPayment(input: {{paymentId: "{payment}", amount: "0.99"}}) {{ status }} }}"#
    )).await;
    world.settle().await;
}

async fn paid_and_cancelled(world: &RealWorld, buyer: &Person) {
    let (order, payment) = world.order(buyer).await;
    world.pay(buyer, &payment).await;
    world.data(buyer, &format!(r#"mutation {{ cancelOrder(id: "{order}") {{ id }} }}"#)).await;
    world.settle().await;
}

/// The ids and names of all that was ever said.
async fn said(world: &RealWorld) -> BTreeMap<Uuid, String> {
    let mut said = BTreeMap::new();
    for database in &world.databases {
        let rows: Vec<(Uuid, String)> =
            sqlx::query_as("SELECT id, name FROM outbox").fetch_all(database.pool()).await.unwrap();
        said.extend(rows);
    }
    said
}

/// Hears until each of these was told.
async fn hear(listener: &mut Listener, expected: &BTreeMap<Uuid, String>) -> Vec<Arc<CloudEvent>> {
    let mut heard = Vec::new();
    while heard.len() < expected.len() {
        if let Heard::Event(event) = listener.next().await {
            heard.push(event);
        }
    }
    assert!(heard.iter().all(|event| expected.contains_key(&event.id)));
    heard
}

#[tokio::test]
async fn everything_that_is_sent_is_as_the_catalogue_says_and_all_of_the_catalogue_is_sent() {
    let schemas = schemas();
    let declared: BTreeSet<&str> = proto::EVENTS.iter().map(|event| event.name).collect();
    assert_eq!(schemas.keys().map(String::as_str).collect::<BTreeSet<_>>(), declared);

    let world = RealWorld::new().await;
    let names: Vec<&'static str> = declared.iter().copied().collect();
    let mut listener = world.broker.listen(&names);
    assert!(matches!(listener.next().await, Heard::Anew));
    everything(&world).await;

    let said = said(&world).await;
    assert_eq!(said.values().map(String::as_str).collect::<BTreeSet<_>>(), declared, "left: what was said");
    let heard = tokio::time::timeout(Duration::from_secs(10), hear(&mut listener, &said)).await.unwrap();
    for event in heard {
        let name = event.name().unwrap();
        let sent = serde_json::to_value(&*event).unwrap();
        assert_eq!(faults(&schemas[name], &sent), [""; 0], "{sent:#}");
    }
}

#[test]
fn the_examples_of_the_catalogue_are_as_it_says() {
    let catalogue = catalogue();
    for (name, schema) in schemas() {
        let example = &catalogue["components"]["messages"][&name]["examples"][0]["payload"];
        assert_eq!(faults(&schema, example), [""; 0], "{name}");
    }
}

#[test]
fn an_event_that_differs_from_the_catalogue_in_anything_is_refused() {
    let example = &catalogue()["components"]["messages"]["order.created"]["examples"][0]["payload"];
    let schema = &schemas()["order.created"];
    let changed = |pointer: &str, value: Value| {
        let mut event = example.clone();
        *event.pointer_mut(pointer).unwrap() = value;
        faults(schema, &event)
    };
    for (pointer, value) in [
        ("/type", json!("portico.order.deleted.v1")),
        ("/source", json!("payment")),
        ("/subject", json!("order-1")),
        ("/sequence", json!(1)),
        ("/data/orderId", json!("order-1")),
        ("/data/total/minorUnits", json!(199_998)),
        ("/data/total/minorUnits", json!("1999.98")),
        ("/data/createdAt", json!("yesterday")),
        ("/data/items", json!({})),
        ("/data/items/0/quantity", json!("1")),
        ("/data/items/0/quantity", json!(1.5)),
        ("/data/items/0", json!({ "productId": "prod-1" })),
        ("/data", json!({ "order_id": "01a1f9ac-ae39-75c4-a266-c3f43b14eac8" })),
    ] {
        assert_ne!(changed(pointer, value.clone()), [""; 0], "{pointer} = {value}");
    }
    for (pointer, field) in
        [("", "more"), ("/data", "more"), ("/data/total", "more"), ("/data/items/0", "more")]
    {
        let mut event = example.clone();
        event.pointer_mut(pointer).unwrap()[field] = true.into();
        assert_ne!(faults(schema, &event), [""; 0], "{pointer}/{field}");
    }
}
