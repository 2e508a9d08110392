//! Events that are never lost: the outbox in which they are written, the relay that tells them, and the inbox that
//! makes each consumer's effect happen once.
//!
//! What is promised: an event whose transaction committed is told, at least once; its effect in each consumer's
//! database happens once, or it rests there as a dead letter with the reason; the events of one aggregate are told in
//! their order, one after the other, and an aggregate whose event can't be handled yet holds up no other.

mod broker;
mod bus;
mod consumer;
pub mod dead_letters;
mod event;
mod inbox;
pub mod measure;
mod outbox;
mod part;
mod rabbitmq;
pub mod relay;
pub mod revocations;
mod store;
mod trace;

pub use broker::{Broker, BrokerConfig, Heard, Listener};
pub use bus::{Bus, Retries};
pub use consumer::{Consumer, Failure, with_faults};
pub use event::{CloudEvent, Event};
pub use outbox::{Outbox, OutboxStatus, traceparent};
pub use part::Part;
pub use rabbitmq::{RabbitMq, connect, topology};
pub use relay::RelayError;
