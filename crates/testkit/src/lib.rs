//! What the tests of several crates share: a database and a virtual host of RabbitMQ for each test, callers with real
//! tokens, and services behind real sockets. A dev-dependency only. What goes wrong here panics, which fails the test
//! that asked.

#![allow(clippy::unwrap_used, reason = "a test that can't be set up has failed")]

mod authority;
mod broker;
mod calls;
mod collector;
mod database;
mod proxy;
mod server;
mod tokens;
mod until;

pub use authority::{Authority, Issued};
pub use broker::{Broker, Permissions};
pub use calls::Calls;
pub use collector::{Collected, Collector};
pub use database::Database;
pub use proxy::Proxy;
pub use server::serve;
pub use tokens::{Caller, Tokens, anonymous};
pub use until::until;

/// What a service refused, read as the gateway reads it.
pub fn refusal(status: &tonic::Status) -> runtime::Refusal {
    status.into()
}
