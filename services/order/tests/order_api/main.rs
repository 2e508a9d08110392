//! The order service as its callers see it: one file for each RPC, against a real Postgres and a real tonic server.

#![allow(clippy::unwrap_used, reason = "what a test could not set up has failed")]

mod access;
mod batch_get_orders;
mod batch_get_products;
mod batch_list_orders_by_users;
mod budget;
mod cancel_order;
mod create_order;
mod delete_order;
mod get_order;
mod idempotency;
mod list_orders;
mod list_products;
mod payments;
mod process;
mod replica;
mod schema;
mod seeding;
mod support;
mod update_order_status;
mod upsert_product;
