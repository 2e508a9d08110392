//! nginx with the real configuration, in both of its forms: with the hash of bodies in the cache's key, and with the
//! bodies themselves. Most tests stand it before a gateway of their own making that says what the test wants; the leak
//! matrix and the streams before the real one.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod cache;
mod client;
mod crowds;
mod edge;
mod gateway;
mod identity;
mod leaks;
mod outages;
mod refusals;
mod several;
mod streams;
mod system;
mod tls;
