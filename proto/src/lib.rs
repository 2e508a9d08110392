//! The contracts between the gateway, the services and the subscribers of events: what is generated from the
//! `.proto` files of this folder, and nothing else.

#![allow(missing_docs, clippy::all, clippy::pedantic)]

/// What all services share.
pub mod common {
    /// Version 1.
    pub mod v1 {
        tonic::include_proto!("common.v1");
        include!(concat!(env!("OUT_DIR"), "/common.v1.serde.rs"));
    }
}

/// The user service and its events.
pub mod user {
    /// Version 1.
    pub mod v1 {
        tonic::include_proto!("user.v1");
        include!(concat!(env!("OUT_DIR"), "/user.v1.serde.rs"));
    }
}

/// The order service and its events.
pub mod order {
    /// Version 1.
    pub mod v1 {
        tonic::include_proto!("order.v1");
        include!(concat!(env!("OUT_DIR"), "/order.v1.serde.rs"));
    }
}

/// The payment service and its events.
pub mod payment {
    /// Version 1.
    pub mod v1 {
        tonic::include_proto!("payment.v1");
        include!(concat!(env!("OUT_DIR"), "/payment.v1.serde.rs"));
    }
}

/// All of the above as an encoded `FileDescriptorSet`, for gRPC reflection.
pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));

/// The rule that an RPC declares for its callers. `path` is that of the HTTP request, such as
/// `/user.v1.UserService/GetUser`; an unknown one, or one without a rule, is `Unspecified`, which nobody passes.
pub fn access(path: &str) -> common::v1::Access {
    let number = include!(concat!(env!("OUT_DIR"), "/access.rs"));
    common::v1::Access::try_from(number).unwrap_or(common::v1::Access::Unspecified)
}

/// Whether an RPC may be made again when it is not known what became of it, as its `idempotency_level` declares. `path` is
/// that of the HTTP request; an unknown one may not.
pub fn is_repeatable(path: &str) -> bool {
    include!(concat!(env!("OUT_DIR"), "/repeatable.rs"))
}

/// A message that is the payload of an event. Implemented for those that declare it with the option
/// `common.v1.event`, and for no other.
pub trait DomainEvent: serde::Serialize {
    /// The event's name: `order.created`.
    const NAME: &'static str;
}

/// What a message declares of the event whose payload it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeclaredEvent {
    /// Its name: `order.created`.
    pub name: &'static str,
    /// The aggregate whose id is its subject: `order`.
    pub subject: &'static str,
    /// The full name of the message: `order.v1.OrderCreated`.
    pub message: &'static str,
    /// What happened.
    pub meaning: &'static str,
    /// When it is sent.
    pub sent: &'static str,
}

include!(concat!(env!("OUT_DIR"), "/events.rs"));
include!(concat!(env!("OUT_DIR"), "/rpcs.rs"));

#[cfg(test)]
mod tests {
    use super::*;
    use common::v1::Access;

    #[test]
    fn an_rpc_answers_to_its_declared_rule_and_an_unknown_one_to_nobody() {
        assert_eq!(access("/user.v1.UserService/Register"), Access::Public);
        assert_eq!(access("/user.v1.UserService/GetUser"), Access::SignedIn);
        assert_eq!(access("/order.v1.OrderService/UpsertProduct"), Access::Admin);
        assert_eq!(access("/user.v1.UserService/DropTables"), Access::Unspecified);
        assert!(RPCS.contains(&"/user.v1.UserService/GetUser"));
        assert!(RPCS.iter().all(|path| access(path) != Access::Unspecified));
    }

    #[test]
    fn what_only_reads_may_be_repeated_and_what_writes_may_not() {
        for path in RPCS {
            let name = path.rsplit('/').next().unwrap();
            let reads = ["Get", "List", "BatchGet", "BatchList"].iter().any(|verb| name.starts_with(verb));
            assert_eq!(is_repeatable(path), reads, "{path} needs NO_SIDE_EFFECTS, or must not have it");
        }
        assert!(!is_repeatable("/user.v1.UserService/GetTables") && !is_repeatable(""));
    }

    #[test]
    fn each_event_is_declared_once_with_what_it_means_and_when_it_is_sent() {
        let names: std::collections::BTreeSet<&str> = EVENTS.iter().map(|event| event.name).collect();
        assert_eq!((names.len(), EVENTS.len()), (11, 11));
        assert!(EVENTS.iter().all(|event| !event.meaning.is_empty() && event.sent.starts_with("Sent ")));
        let created = EVENTS.iter().find(|event| event.message == "order.v1.OrderCreated").unwrap();
        assert_eq!((created.name, created.subject), (order::v1::OrderCreated::NAME, "order"));
    }

    #[test]
    fn each_message_of_events_proto_is_an_event() {
        let pool = prost_reflect::DescriptorPool::decode(DESCRIPTORS).unwrap();
        let files = pool.files().filter(|file| file.name().ends_with("/events.proto"));
        let messages: Vec<String> = files
            .flat_map(|file| file.messages().map(|m| m.full_name().to_owned()).collect::<Vec<_>>())
            .collect();
        let undeclared: Vec<&String> =
            messages.iter().filter(|name| EVENTS.iter().all(|event| event.message != **name)).collect();
        assert!(undeclared.is_empty(), "without the option common.v1.event: {undeclared:?}");
    }

    #[test]
    fn what_is_empty_zero_or_false_is_sent_too() {
        let user = user::v1::User { first_name: String::new(), active: false, ..Default::default() };
        let json = serde_json::to_value(user).unwrap();
        assert_eq!((&json["firstName"], &json["active"]), (&"".into(), &false.into()));
        let free = common::v1::Money { minor_units: 0, currency: "USD".into() };
        assert_eq!(
            serde_json::to_value(free).unwrap(),
            serde_json::json!({ "minorUnits": "0", "currency": "USD" })
        );
    }
}
