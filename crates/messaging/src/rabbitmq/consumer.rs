//! What consumers get from RabbitMQ.

use std::sync::Arc;

use runtime::Stop;

use super::connection::{self, Address};
use crate::Consumer;

/// Hands events to these consumers until `stop`.
pub(super) async fn consume(address: &Address, _consumers: Vec<Arc<dyn Consumer>>, stop: Stop) {
    let stop = &stop;
    connection::keep(address, stop, |session| async move {
        session.ready();
        stop.cancelled().await;
        Ok(())
    })
    .await;
}
