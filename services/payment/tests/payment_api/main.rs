//! The payment service as its callers see it: over a real tonic server, on a real Postgres.

#![allow(clippy::unwrap_used, reason = "a test that can't be set up has failed")]

mod batch_get_payments;
mod batch_get_payments_by_orders;
mod consumers;
mod crashes;
mod create_payment;
mod expiry;
mod get_payment;
mod guard;
mod list_payments;
mod process;
mod process_payment;
mod races;
mod recoverer;
mod refund_payment;
mod world;
