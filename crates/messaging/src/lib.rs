//! Events that are never lost: the outbox in which they are written, the relay that tells them, and the inbox that
//! makes each consumer's effect happen once.

mod bus;
mod consumer;
mod event;
mod outbox;
mod relay;

pub use bus::Bus;
pub use consumer::{Consumer, Failure};
pub use event::{CloudEvent, Event};
pub use outbox::Outbox;
