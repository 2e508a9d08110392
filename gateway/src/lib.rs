//! The gateway: one graph over the user, order and payment services.
//!
//! A request goes one way: `http` reads it, finds out who asks, checks it whole, and runs it on the `graphql`
//! schema, whose resolvers call the services through `clients` with the caller's own token. The gateway keeps no
//! data and decides nothing about ownership: each service does that again for itself.

mod app;
mod clients;
mod config;
mod events;
mod graphql;
mod http;
mod ide;
mod jwks;
mod server;

pub use app::{App, Bound};
pub use clients::Clients;
pub use config::{Config, StreamConfig, Switch};
pub use graphql::sdl;
