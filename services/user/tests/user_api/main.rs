//! The user service as its callers see it: one file for each RPC, against a real Postgres and a real tonic server.

#![allow(clippy::unwrap_used, reason = "what a test could not set up has failed")]

mod access;
mod admins;
mod authenticate;
mod background;
mod batch_get_users;
mod change_password;
mod delete_user;
mod get_signing_keys;
mod get_user;
mod list_revoked_sessions;
mod list_users;
mod program;
mod refresh_session;
mod register;
mod revocations;
mod revoke_session;
mod schema;
mod set_user_active;
mod set_user_role;
mod support;
mod update_user;
