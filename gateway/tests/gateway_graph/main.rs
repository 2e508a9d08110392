//! The graph over HTTP, in front of services that answer from memory: each file holds one promise of the gateway.
//! `real_services.rs`, `bad_input.rs` and `catalogue.rs` stand in front of the real ones, on real databases.

#![allow(clippy::unwrap_used, missing_docs, reason = "a test that can't go on has failed")]

mod access;
mod alone;
mod bad_input;
mod breakers;
mod caching;
mod cancels;
mod catalogue;
mod decimals;
mod entities;
mod examples;
mod explain;
mod field_order;
mod http_batches;
mod http_bytes;
mod http_headers;
mod http_requests;
mod http_schema;
mod limits;
mod live;
mod memory;
mod merging;
mod mutations;
mod operators;
mod outages;
mod persisted_queries;
mod rates;
mod real_services;
mod real_world;
mod rest;
mod rest_access;
mod rpc_counts;
mod schema;
mod server;
mod subscriptions;
mod subscriptions_broker;
mod subscriptions_limits;
mod subscriptions_protocol;
mod subscriptions_resume;
mod subscriptions_sessions;
mod subscriptions_sse;
mod tokens;
mod trusted_documents;
mod world;
