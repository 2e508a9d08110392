//! Which documents are taken, by which names they can be asked for, and how long public answers may be kept. See
//! "Documents" and "Caching" in docs/edge.md.

use std::sync::Arc;

use clap::{Args, ValueEnum};

use super::Switch;
use crate::http::Manifest;

/// What becomes of documents that are not in the manifest of trusted ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Trusting {
    /// They run; the manifest is not looked at.
    Off,
    /// They run, and the log tells of each once.
    Log,
    /// They are refused.
    Enforce,
}

/// Settings of documents and of what caches may do with their answers.
#[derive(Args, Clone, Debug)]
pub struct DocumentConfig {
    /// How long caches may keep an answer that is the same for everyone, in seconds. With 0 they may not, and queries
    /// under way at the same time are not merged.
    #[arg(long, env = "GATEWAY_PUBLIC_MAX_AGE", default_value_t = 60)]
    pub public_max_age: u32,
    /// Whether clients may ask for a document by its hash once one of them has sent it.
    #[arg(long, env = "GATEWAY_PERSISTED_QUERIES", value_enum, default_value = "on")]
    pub persisted_queries: Switch,
    /// How much memory the documents may take that are kept for that, in bytes.
    #[arg(long, env = "GATEWAY_PERSISTED_QUERY_BYTES", default_value_t = 4 * 1024 * 1024)]
    pub persisted_query_bytes: u64,
    /// A manifest of trusted documents, as `portico documents manifest` or Apollo's tools make it.
    #[arg(long, env = "GATEWAY_TRUSTED_DOCUMENTS", value_name = "FILE", value_parser = Manifest::read)]
    pub trusted_documents: Option<Arc<Manifest>>,
    /// What becomes of documents that are not in it.
    #[arg(long, env = "GATEWAY_TRUSTED_DOCUMENTS_MODE", value_enum, default_value = "off",
        requires_ifs = [("log", "trusted_documents"), ("enforce", "trusted_documents")])]
    pub trusted_documents_mode: Trusting,
}
