//! What every process of Portico is made of: settings, logs, metrics and traces, start and stop, health, the Postgres pool,
//! gRPC clients and servers, and the form in which a refusal travels between them.

mod accept;
pub mod admin;
pub mod clock;
pub mod config;
pub mod faults;
pub mod grpc;
pub mod health;
pub mod idempotency;
pub mod lifecycle;
pub mod measure;
pub mod migrate;
pub mod page;
pub mod postgres;
pub mod program;
pub mod refusal;
pub mod sessions;
pub mod status;
mod stop;
pub mod telemetry;
pub mod trace;

pub use accept::{Accepting, Port};
pub use clock::Clock;
pub use faults::Faults;
pub use refusal::{Kind, Refusal};
pub use sessions::Sessions;
pub use stop::Stop;
