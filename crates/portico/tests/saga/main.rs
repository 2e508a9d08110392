//! The saga of orders and payments: the two services together, each on its own Postgres, with events between them. One
//! file for each race, whose both sides are forced; the last two let chance decide.

#![allow(clippy::unwrap_used, reason = "a test that can't be set up has failed")]

mod at_once;
mod cancel_and_success;
mod expiry;
mod out_of_order;
mod permutations;
mod repeats;
mod stories;
mod world;
