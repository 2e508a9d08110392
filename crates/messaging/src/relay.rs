//! The relay: tells what waits in an outbox.
