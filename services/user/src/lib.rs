//! The user service: accounts, their sessions, and the keys that sign access tokens.
//!
//! It is the one place that checks passwords and gives out tokens. Everyone else verifies those with the public keys
//! and the revocations that it lists.

mod app;
mod change;
mod config;
mod error;
mod events;
mod grpc;
mod keys;
pub mod measure;
mod password;
mod secret_key;
mod session;
mod sessions;
mod store;
mod throttle;
mod user;
mod users;

pub use app::{App, MIGRATOR};
pub use config::{Config, LoginLimits};
pub use error::Error;
pub use secret_key::SecretKey;
