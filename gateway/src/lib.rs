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
pub mod measure;
mod rest;
mod server;

pub use app::{App, Bound};
pub use clients::Clients;
pub use config::{
    Config, DocumentConfig, LimitConfig, Limiting, Origin, RateConfig, RequestConfig, StreamConfig, Switch,
    Trusting,
};
pub use graphql::sdl;
pub use http::{DocumentFault, DocumentFile, Manifest, manifest};
pub use rest::openapi;
