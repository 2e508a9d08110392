//! gRPC as all of Portico speaks it: one guard around each service, one kind of client to it, over the network or in
//! the process.

mod client;
mod deadline;
mod guard;
mod health;
mod incoming;
mod linger;
mod room;
mod server;
mod tls;

pub use client::{
    Batch, CallContext, CallLog, CallRecord, Client, ClientConfig, Transport, connect, in_process,
};
pub use deadline::time_left;
pub use guard::{GrpcService, Guard, Guarded, viewer};
pub use health::health;
pub use room::RoomConfig;
pub use server::Server;
pub use tls::{TlsConfig, certificates, certificates_in};

/// The metadata in which the gateway passes on the id of the client's request.
pub const REQUEST_ID: &str = "x-request-id";
/// The metadata in which the gateway passes on the client's address, for what counts per address.
pub const CLIENT_ADDRESS: &str = "x-client-address";
