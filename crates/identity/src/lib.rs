//! Who is asking: access tokens, the keys that sign and verify them, and the viewer that they stand for.
//!
//! Pure: no database, no network, and time is passed in. `runtime::sessions` feeds it with keys and revocations.
//! Tokens are JWTs of type `at+jwt` (RFC 9068), signed with Ed25519 (RFC 8037), good for [`TOKEN_LIFETIME`].

mod claims;
mod keys;
mod revocations;
mod verifier;
mod viewer;

pub use claims::{Claims, TOKEN_LIFETIME};
pub use keys::{KeyError, PublicKey, SigningKey, jwks};
pub use revocations::Revocations;
pub use verifier::{TokenRefusal, Verifier};
pub use viewer::{Role, SessionId, UserId, Viewer};
