//! What consumers and listeners do with a real RabbitMQ, beyond what both brokers promise: one file per promise.

#![allow(clippy::unwrap_used, reason = "a test that can't be set up has failed")]

mod accounts;
mod bad_input;
mod connections;
mod delays;
mod limits;
mod listeners;
#[path = "../messaging_contract/recorder.rs"]
mod recorder;
mod stops;
mod topology;
mod world;
