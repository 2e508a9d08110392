//! Documents that a client asks for by name instead of sending them.
//!
//! Automatic persisted queries, as Apollo's clients speak them: a client sends the hash of its document; who does not
//! know that yet asks for both, and knows it from then on. What is kept is kept under the hash that was computed here, so
//! nobody can put one document in the place of another. Trusted documents are found by the same names (see [`trusted`]).
//!
//! [`trusted`]: super::trusted

use std::{borrow::Cow, fmt, sync::Arc};

use aws_lc_rs::digest::{SHA256, digest};
use identity::Viewer;
use moka::sync::Cache;
use runtime::{Kind, Refusal};
use serde::Deserialize;

use super::{
    Edge,
    document::Document,
    read::{self, Inquiry},
    respond::Refused,
};
use crate::{
    config::Switch,
    measure::{Named, PERSISTED},
};

/// The only version of the protocol that there is.
const VERSION: u32 = 1;
/// What stands before a hash where it is an identifier of GraphQL over HTTP (appendix A, "Persisted Documents").
const SHA256_PREFIX: &str = "sha256:";
/// About how much memory a document takes that is kept, beside its text, in bytes.
const BYTES_PER_DOCUMENT: usize = 200;

/// The document of a request.
pub(super) struct Found {
    pub(super) document: Arc<Document>,
    /// The trusted name under which its operations are counted, if it has one.
    pub(super) named: Option<Arc<Named>>,
    /// Under which hash it is to be kept, if it passes what is checked next.
    unknown: Option<Hash>,
}

/// Finds the document that is asked for, whatever it is named by, and fills in its text.
pub(super) fn find(edge: &Edge, inquiry: &mut Inquiry<'_>, viewer: Option<Viewer>) -> Result<Found, Refused> {
    let name = name(inquiry)?;
    let name = name.as_deref();
    if name.is_none() && inquiry.query.is_empty() {
        return Err(read::without_query());
    }
    if let Some(entry) = edge.trusted.find(name, inquiry)? {
        let (document, named) = (entry.document.clone(), Some(entry.named.clone()));
        return Ok(Found { document, named, unknown: None });
    }
    edge.trusted.admit(inquiry, viewer)?;
    let unknown = name.map(|name| edge.persisted.find(name, inquiry)).transpose()?.flatten();
    let document = edge.documents.parse(&inquiry.query, &edge.limits)?;
    edge.trusted.judge(inquiry, &document)?;
    Ok(Found { document, named: None, unknown })
}

impl Found {
    /// The document, which was found to be within the limits. From now on it can be asked for by its hash.
    pub(super) fn keep(self, edge: &Edge, text: &str) -> Arc<Document> {
        if let Some(hash) = self.unknown {
            edge.persisted.keep(hash, text);
        }
        self.document
    }
}

/// The part of `extensions` that is ours.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Extensions {
    persisted_query: Option<PersistedQuery>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PersistedQuery {
    version: u32,
    sha256_hash: String,
}

/// The name of the document that is asked for, if it has one: its hash, or an identifier out of a manifest.
fn name<'a>(inquiry: &Inquiry<'a>) -> Result<Option<Cow<'a, str>>, Refused> {
    if let Some(id) = &inquiry.document_id {
        let id = match id {
            Cow::Borrowed(id) => id.strip_prefix(SHA256_PREFIX).unwrap_or(id).into(),
            Cow::Owned(id) => id.strip_prefix(SHA256_PREFIX).unwrap_or(id).to_owned().into(),
        };
        return Ok(Some(id));
    }
    let Some(extensions) = &inquiry.extensions else { return Ok(None) };
    let extensions = serde_json::from_str::<Extensions>(extensions).map_err(|_| {
        let message = "`extensions.persistedQuery` must be an object with `version` and `sha256Hash`";
        refused("REQUEST_MALFORMED", message)
    })?;
    match extensions.persisted_query {
        Some(query) if query.version != VERSION => {
            Err(refused("PERSISTED_QUERY_VERSION_UNKNOWN", "persisted queries are spoken in version 1"))
        }
        query => Ok(query.map(|query| query.sha256_hash.into())),
    }
}

/// The SHA-256 of a document's text.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Hash([u8; 32]);

impl Hash {
    /// Of this text.
    pub(super) fn of(text: &str) -> Self {
        let mut hash = [0; 32];
        hash.copy_from_slice(digest(&SHA256, text.as_bytes()).as_ref());
        Self(hash)
    }

    /// Out of its 64 hexadecimal digits.
    fn read(text: &str) -> Option<Self> {
        let mut hash = [0; 32];
        let digits = text.as_bytes();
        if digits.len() != 2 * hash.len() || !digits.iter().all(u8::is_ascii_hexdigit) {
            return None;
        }
        for (byte, place) in hash.iter_mut().zip((0..digits.len()).step_by(2)) {
            *byte = u8::from_str_radix(&text[place..place + 2], 16).ok()?;
        }
        Some(Self(hash))
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(formatter, "{byte:02x}"))
    }
}

/// The documents that clients have sent with their hash. What was used least goes first.
pub(super) struct Persisted {
    /// `None` where they are switched off.
    texts: Option<Cache<Hash, Arc<str>>>,
}

impl Persisted {
    pub(super) fn new(switch: Switch, bytes: u64) -> Self {
        let texts = || {
            let size = |_: &Hash, text: &Arc<str>| {
                u32::try_from(text.len() + BYTES_PER_DOCUMENT).unwrap_or(u32::MAX)
            };
            Cache::builder().max_capacity(bytes).weigher(size).build()
        };
        Self { texts: (switch == Switch::On).then(texts) }
    }

    /// Fills in the text of the document of this name. Gives the hash of one that is not known yet and was sent with it.
    fn find(&self, name: &str, inquiry: &mut Inquiry<'_>) -> Result<Option<Hash>, Refused> {
        let sent = !inquiry.query.is_empty();
        let Some(texts) = &self.texts else {
            return if sent { Ok(None) } else { Err(not_supported()) };
        };
        let hash = Hash::read(name);
        if sent {
            let computed = Hash::of(&inquiry.query);
            if hash != Some(computed) {
                return Err(refused("PERSISTED_QUERY_HASH_WRONG", "the hash is not that of the document"));
            }
            return Ok(hash.filter(|hash| !texts.contains_key(hash)));
        }
        let text = hash.and_then(|hash| texts.get(&hash));
        PERSISTED.count(text.is_some());
        let text = text.ok_or_else(not_found)?;
        inquiry.query = text.to_string().into();
        Ok(None)
    }

    fn keep(&self, hash: Hash, text: &str) {
        if let Some(texts) = &self.texts {
            texts.insert(hash, text.into());
        }
    }
}

fn refused(reason: &'static str, message: &'static str) -> Refused {
    Refused::by_kind(Refusal::new(Kind::BadInput, reason, message))
}

/// The message is part of the protocol: by it clients know that they have to send the document.
fn not_found() -> Refused {
    Refused::by_kind(Refusal::new(
        Kind::PersistedQueryNotFound,
        "PERSISTED_QUERY_NOT_FOUND",
        "PersistedQueryNotFound",
    ))
}

/// The message is part of the protocol: by it clients know that they have to send all documents.
fn not_supported() -> Refused {
    refused("PERSISTED_QUERY_NOT_SUPPORTED", "PersistedQueryNotSupported")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_is_written_and_read_in_hexadecimal() {
        // The example of GraphQL over HTTP, appendix A.
        let text = "query($id:ID!){user(id:$id){name}}";
        let hex = "71f7dc5758652baac68e4a10c50be732b741c892ade2883a99358f52b555286b";
        assert_eq!(Hash::of(text).to_string(), hex);
        assert!(Hash::read(hex) == Some(Hash::of(text)));
        assert!(Hash::read(&hex.to_uppercase()) == Some(Hash::of(text)));
        for text in ["", "71f7", &hex[1..], &format!("{hex}0"), &hex.replace('7', "g"), &"é".repeat(32)] {
            assert!(Hash::read(text).is_none(), "{text}");
        }
    }

    #[test]
    fn the_documents_that_are_kept_stay_within_their_bytes() {
        let persisted = Persisted::new(Switch::On, 100_000);
        for n in 0..1_000 {
            let text = format!("{{ a{n}: me {{ id }} }} #{}", "x".repeat(1_000));
            persisted.keep(Hash::of(&text), &text);
        }
        let texts = persisted.texts.unwrap();
        texts.run_pending_tasks();
        assert!(texts.weighted_size() <= 100_000, "{}", texts.weighted_size());
        assert!((1..100).contains(&texts.entry_count()), "{}", texts.entry_count());
    }
}
