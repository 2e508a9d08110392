//! What the relay, the bus and the inbox promise, against a real Postgres: one file per promise.

#![allow(clippy::unwrap_used, reason = "a test that can't be set up has failed")]

mod failures;
mod leadership;
mod once;
mod order;
mod pruning;
#[path = "../messaging_contract/recorder.rs"]
mod recorder;
mod waking;
mod world;
