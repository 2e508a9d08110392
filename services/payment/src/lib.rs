//! The payment service: one payment for each order, charged and refunded through a payment provider.
//!
//! What it guarantees, whatever crashes and whatever happens at the same time: a payment is charged at most once, and
//! never gives back more than was paid. Money that was taken for a cancelled order goes back.

pub mod app;
pub mod attempts;
pub mod config;
pub mod error;
pub mod events;
pub mod grpc;
pub mod payment;
pub mod payments;
pub mod provider;
pub mod store;

pub use app::{App, MIGRATOR};
pub use config::Config;
