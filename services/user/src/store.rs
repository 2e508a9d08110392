//! All SQL of the service: free functions on a connection. `tx` says that the caller owns the transaction and that the
//! function counts on it, for a lock or for the whole to commit together.

mod keys;
mod sessions;
mod users;

pub(crate) use keys::{delete_signing_keys, insert_signing_key, lock_signing_keys, signing_keys};
pub(crate) use sessions::{
    Opening, RevokedSession, exchange_token, lock_session_of_token, open_session, prune_sessions,
    prune_tokens, revoke_session, revoke_sessions_of, revoked_since, token_use,
};
pub(crate) use users::{
    UserFilter, active_credentials, another_active_admin, count_users, credentials_of, delete_user,
    find_users, insert_user, list_users, lock_admins, lock_user, set_password, update_user,
};
