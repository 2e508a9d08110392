//! The order service: products, and the orders that are made of them.
//!
//! It owns the database `order`, computes every price from its own products, and says what happens to an order in
//! `order.created`, `order.status_changed` and `order.deleted`. It listens to payments: one that succeeds confirms its
//! order, one that is cancelled cancels it. Customers see and change their own orders, admins see all.
//!
//! The way of a request: `grpc` (text becomes types) -> `orders` or `products` (one transaction) -> `store` (SQL).
//! The rules themselves stand in `order` and `product`, without I/O.

mod app;
mod config;
mod error;
mod events;
mod grpc;
mod order;
mod orders;
mod product;
mod products;
mod store;

pub use app::{App, MIGRATOR, SeedProduct};
pub use config::Config;
