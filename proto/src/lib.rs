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
    }
}
