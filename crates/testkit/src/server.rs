//! Services behind real sockets.

use std::net::SocketAddr;

use runtime::{
    Stop,
    config::Environment,
    grpc::{GrpcService, Guarded, Server, TlsConfig, Transport, connect},
};

/// Serves `service` on a free port until the process ends, and gives the way to it over the network.
pub async fn serve<S: GrpcService>(service: Guarded<S>) -> (SocketAddr, Transport) {
    let server = Server::bind("127.0.0.1:0", "127.0.0.1:0").await.unwrap();
    let address = server.grpc_address().unwrap();
    tokio::spawn(server.serve(service, Environment::Development, vec![], Stop::new()));
    (address, connect(&format!("http://{address}"), &TlsConfig::default()).unwrap())
}
