//! The command as people use it: real processes, real clusters.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod apart;
mod commands;
mod graph;
mod run;
mod up;
mod with;
