//! The command as people use it: real processes, real clusters.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod amqp;
mod apart;
mod backups;
mod commands;
mod documents;
mod events;
mod faults;
mod graph;
mod metrics;
mod nginx;
mod observability;
mod rabbitmq;
mod restarts;
mod run;
mod scene;
mod secrets;
mod topology;
mod traces;
mod up;
mod watched;
mod watching;
mod with;
