//! What publishing to RabbitMQ promises, against a real RabbitMQ and a real Postgres: one file per promise.

#![allow(clippy::unwrap_used, reason = "a test that can't be set up has failed")]

mod confirms;
mod cuts;
mod refusals;
mod replicas;
mod silence;
mod witness;
mod world;
