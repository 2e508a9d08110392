//! Callers with real tokens, for services that do not sign them themselves.

use identity::{Claims, Role, SessionId, SigningKey, UserId, Viewer};
use runtime::{Clock, Sessions, sessions::TokenConfig};
use secrecy::{ExposeSecret, SecretString};
use tonic::Request;
use uuid::Uuid;

/// Signs tokens with a key of its own.
pub struct Tokens {
    key: SigningKey,
    config: TokenConfig,
}

/// Somebody who calls a service.
#[derive(Clone, Debug)]
pub struct Caller {
    /// Whom the token stands for.
    pub viewer: Viewer,
    /// The token.
    pub token: SecretString,
}

impl Default for Tokens {
    fn default() -> Self {
        Self::new()
    }
}

impl Tokens {
    /// A new key.
    pub fn new() -> Self {
        let (id, der) = SigningKey::generate().unwrap();
        let config = TokenConfig { token_issuer: "portico".into(), token_audience: "portico".into() };
        Self { key: SigningKey::from_pkcs8(id, &der).unwrap(), config }
    }

    /// Sessions that accept this signer's tokens by the time of `clock`.
    pub fn sessions(&self, clock: &Clock) -> Sessions {
        let sessions = Sessions::new(&self.config, clock.clone());
        sessions.set_keys(vec![self.key.public()]);
        sessions.set_loaded();
        sessions
    }

    /// A new customer.
    pub fn customer(&self) -> Caller {
        self.caller(UserId(Uuid::now_v7()), Role::Customer)
    }

    /// A new admin.
    pub fn admin(&self) -> Caller {
        self.caller(UserId(Uuid::now_v7()), Role::Admin)
    }

    /// A new session of this user.
    pub fn caller(&self, user: UserId, role: Role) -> Caller {
        let claims = self.claims(user, role);
        let viewer = claims.viewer().unwrap();
        Caller { viewer, token: self.sign(&claims) }
    }

    /// The claims of a good token that starts now, to be spoilt by a test.
    pub fn claims(&self, user: UserId, role: Role) -> Claims {
        let config = &self.config;
        let now = Clock::system().now();
        Claims::new(&config.token_issuer, &config.token_audience, user, role, SessionId(Uuid::now_v7()), now)
    }

    /// Signs any claims.
    pub fn sign(&self, claims: &Claims) -> SecretString {
        self.key.sign(claims).unwrap().into()
    }
}

impl Caller {
    /// A request with this caller's token.
    pub fn request<T>(&self, message: T) -> Request<T> {
        with_token(message, self.token.expose_secret())
    }
}

/// A request without a token.
pub fn anonymous<T>(message: T) -> Request<T> {
    Request::new(message)
}

fn with_token<T>(message: T, token: &str) -> Request<T> {
    let mut request = Request::new(message);
    request.metadata_mut().insert("authorization", format!("Bearer {token}").parse().unwrap());
    request
}
