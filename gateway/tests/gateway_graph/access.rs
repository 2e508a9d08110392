//! Who may use which root field: the whole schema, asked by everyone.

use std::collections::HashMap;

use async_graphql::parser::{
    parse_schema,
    types::{BaseType, FieldDefinition, InputValueDefinition, Type, TypeKind, TypeSystemDefinition},
};
use testkit::Caller;

use crate::{
    live::Live,
    world::{World, reason},
};

/// What needs no token.
const PUBLIC: [&str; 5] = ["product", "products", "register", "login", "refreshToken"];
/// What needs an admin's. Everything else needs a token, so a field that is new and named nowhere does.
const ADMIN: [&str; 7] = [
    "users",
    "setUserRole",
    "setUserActive",
    "updateOrderStatus",
    "upsertProduct",
    "refundPayment",
    "domainEvents",
];

struct Schema(HashMap<String, TypeKind>);

impl Schema {
    fn read() -> Self {
        let definitions = parse_schema(gateway::sdl()).unwrap().definitions.into_iter();
        let types = definitions.filter_map(|definition| match definition {
            TypeSystemDefinition::Type(ty) => Some((ty.node.name.node.to_string(), ty.node.kind)),
            _ => None,
        });
        Self(types.collect())
    }

    fn fields(&self, root: &str) -> Vec<FieldDefinition> {
        let TypeKind::Object(object) = &self.0[root] else { panic!("{root} is an object") };
        object.fields.iter().map(|field| field.node.clone()).collect()
    }

    /// The field with something of the right type for each argument that it needs.
    fn use_of(&self, field: &FieldDefinition) -> String {
        let arguments = self.members(field.arguments.iter().map(|argument| &argument.node));
        let arguments = if arguments.is_empty() { arguments } else { format!("({arguments})") };
        let BaseType::Named(ty) = &field.ty.node.base else { panic!("no root field is a list") };
        let selection = if self.0.contains_key(ty.as_str()) { "{ __typename }" } else { "" };
        format!("{}{arguments} {selection}", field.name.node)
    }

    fn members<'a>(&self, members: impl Iterator<Item = &'a InputValueDefinition>) -> String {
        let needed = members.filter(|member| !member.ty.node.nullable);
        needed
            .map(|member| format!("{}: {}", member.name.node, self.value(&member.ty.node)))
            .collect::<Vec<_>>()
            .join(", ")
    }

    fn value(&self, ty: &Type) -> String {
        let name = match &ty.base {
            BaseType::List(ty) => return format!("[{}]", self.value(ty)),
            BaseType::Named(name) => name.as_str(),
        };
        match (name, self.0.get(name)) {
            (_, Some(TypeKind::Enum(ty))) => ty.values[0].node.value.node.to_string(),
            (_, Some(TypeKind::InputObject(ty))) => {
                format!("{{ {} }}", self.members(ty.fields.iter().map(|field| &field.node)))
            }
            ("ID", _) => format!("\"{}\"", uuid::Uuid::now_v7()),
            ("Int", _) => "1".into(),
            ("Boolean", _) => "true".into(),
            ("Decimal", _) => "\"1.00\"".into(),
            _ => "\"USD\"".into(),
        }
    }
}

/// Code and reason with which the field is refused; empty when it ran.
async fn refused(world: &World, caller: Option<&Caller>, document: &str) -> (String, String, bool) {
    world.calls.take();
    let body = world.ask(caller, document).await;
    let (code, reason) = reason(&body);
    assert_ne!(reason, "GRAPHQL_INVALID", "{document}: {body}");
    assert_ne!(reason, "INPUT_INVALID", "{document}: {body}");
    (code.to_owned(), reason.to_owned(), !world.calls.take().is_empty())
}

#[tokio::test]
async fn every_root_field_is_refused_to_those_whom_its_rule_leaves_out() {
    let (schema, world) = (Schema::read(), World::new());
    let (customer, admin) = (world.customer("Ada"), world.admin());
    let mut seen = 0;
    for (root, operation) in [("Query", "query"), ("Mutation", "mutation")] {
        for field in schema.fields(root) {
            let (name, document) =
                (field.name.node.as_str(), format!("{operation} {{ {} }}", schema.use_of(&field)));
            let anonymous = refused(&world, None, &document).await;
            if PUBLIC.contains(&name) {
                assert!(anonymous.2, "{name} is open to all: {anonymous:?}");
            } else {
                assert_eq!(anonymous, ("UNAUTHENTICATED".into(), "TOKEN_MISSING".into(), false), "{name}");
            }
            let customers = refused(&world, Some(&customer), &document).await;
            if ADMIN.contains(&name) {
                assert_eq!(customers, ("FORBIDDEN".into(), "FORBIDDEN".into(), false), "{name}");
            } else {
                assert!(
                    customers.2 && customers.0 != "FORBIDDEN",
                    "{name} is open to customers: {customers:?}"
                );
            }
            let admins = refused(&world, Some(&admin), &document).await;
            assert!(admins.2 && admins.0 != "FORBIDDEN", "{name} is open to admins: {admins:?}");
            seen += 1;
        }
    }
    assert!(seen >= 29, "{seen}");
}

#[tokio::test]
async fn every_subscription_is_refused_to_those_whom_its_rule_leaves_out() {
    let (schema, live) = (Schema::read(), Live::new().await);
    let (customer, admin) = (live.world.customer("Ada"), live.world.admin());
    let mut nobody = live.connect().await;
    nobody.send(serde_json::json!({ "type": "connection_init" })).await;
    assert_eq!(nobody.receive().await["type"], "connection_ack");
    let (mut customers, mut admins) = (live.client(&customer).await, live.client(&admin).await);
    let fields = schema.fields("Subscription");
    for field in &fields {
        let (name, document) =
            (field.name.node.as_str(), format!("subscription {{ {} }}", schema.use_of(field)));
        nobody.subscribe(name, &document).await;
        assert_eq!(nobody.refused(name).await, ("UNAUTHENTICATED".into(), "TOKEN_MISSING".into()), "{name}");
        customers.subscribe(name, &document).await;
        if ADMIN.contains(&name) {
            assert_eq!(customers.refused(name).await, ("FORBIDDEN".into(), "FORBIDDEN".into()), "{name}");
        }
        customers.settle().await;
        admins.subscribe(name, &document).await;
        admins.settle().await;
    }
    assert!(fields.len() >= 3);
}

#[tokio::test]
async fn a_refused_field_of_a_query_leaves_the_public_ones_answered() {
    let world = World::new();
    world.store.add_product("prod-1", "Laptop", 99_999);
    let body = world.ask(None, "{ me { id } products { data { name } } }").await;
    assert_eq!(
        body["data"],
        serde_json::json!({ "me": null, "products": { "data": [{ "name": "Laptop" }] } })
    );
    assert_eq!(body["errors"][0]["path"], serde_json::json!(["me"]));
    assert_eq!(reason(&body), ("UNAUTHENTICATED", "TOKEN_MISSING"));
}

#[tokio::test]
async fn another_s_things_answer_as_missing_ones() {
    let world = World::new();
    let (ada, order, payment) = world.buyer();
    let stranger = world.customer("Mallory");
    let missing = uuid::Uuid::now_v7().to_string();
    let query = |user: &str, order: &str, payment: &str| {
        format!(
            r#"{{ user(id: "{user}") {{ id }} order(id: "{order}") {{ id }} payment(id: "{payment}") {{ id }}
                paymentByOrder(orderId: "{order}") {{ id }} }}"#
        )
    };
    let theirs = world.ask(Some(&stranger), &query(&ada.viewer.user_id.to_string(), &order, &payment)).await;
    let nobodys = world.ask(Some(&stranger), &query(&missing, &missing, &missing)).await;
    assert_eq!(theirs, nobodys);
    assert_eq!(theirs["data"]["order"], serde_json::Value::Null);
    let cancel = |id: &str| format!(r#"mutation {{ cancelOrder(id: "{id}") {{ id }} }}"#);
    let (theirs, nobodys) = (
        world.ask(Some(&stranger), &cancel(&order)).await,
        world.ask(Some(&stranger), &cancel(&missing)).await,
    );
    assert_eq!(reason(&theirs), ("NOT_FOUND", "NOT_FOUND"));
    assert_eq!(
        (reason(&theirs), &theirs["errors"][0]["message"]),
        (reason(&nobodys), &nobodys["errors"][0]["message"])
    );
}
