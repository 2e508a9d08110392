//! What listeners hear from RabbitMQ.

use tokio::sync::mpsc;

use super::connection::Address;
use crate::Listener;

/// Hears the events of these names.
pub(super) fn listen(_address: Address, _names: Vec<&'static str>) -> Listener {
    let (sender, heard) = mpsc::channel(1);
    std::mem::forget(sender);
    Listener { heard }
}
