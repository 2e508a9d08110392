//! The user service, as its callers see it: one file for each RPC.
