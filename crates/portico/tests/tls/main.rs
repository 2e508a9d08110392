//! TLS on every way of the system, with backends and processes of the test's own: docs/tls.md, put to the test.

#![allow(clippy::unwrap_used, reason = "what a test could not set up has failed")]

mod backends;
mod postgres;
mod rabbitmq;
mod system;
