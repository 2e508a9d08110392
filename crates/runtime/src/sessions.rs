//! Who may come in, in this process: a verifier of tokens that is kept fed with keys and revocations.
//!
//! Before it is loaded nobody is let in. From then on new revocations are fetched every two seconds, and keys again when a
//! token names one that is not known, at most once in two seconds. A user service that is away stops nothing.

use std::{sync::Arc, time::Duration};

use chrono::{DateTime, Utc};
use clap::Args;
use identity::{PublicKey, SessionId, TOKEN_LIFETIME, TokenRefusal, Verifier, Viewer};
use proto::user::v1::{
    GetSigningKeysRequest, ListRevokedSessionsRequest, user_service_client::UserServiceClient,
};
use tokio::{sync::Mutex, time::Instant};
use tonic::Status;

use crate::{
    Clock, Kind, Refusal, Stop,
    admin::Check,
    grpc::{Client, Transport},
};

/// How often revocations are asked for, and how often keys at most.
const POLL: Duration = Duration::from_secs(2);
/// After how long keys are fetched again although none is missing, so that one that was withdrawn is forgotten.
const KEYS_KEPT: Duration = Duration::from_secs(60);
/// How far back each poll looks behind the last: revocations do not commit in the order of their times.
const OVERLAP: Duration = Duration::from_secs(30);

/// Whose tokens are accepted, and for whom they must be.
#[derive(Args, Clone, Debug)]
pub struct TokenConfig {
    /// The issuer (`iss`) of access tokens.
    #[arg(long, env = "TOKEN_ISSUER", default_value = "portico")]
    pub token_issuer: String,
    /// The audience (`aud`) of access tokens.
    #[arg(long, env = "TOKEN_AUDIENCE", default_value = "portico")]
    pub token_audience: String,
}

/// The sessions as this process knows them. Clones share their knowledge.
#[derive(Clone)]
pub struct Sessions {
    shared: Arc<Shared>,
}

struct Shared {
    verifier: Verifier,
    audience: String,
    clock: Clock,
    /// Where keys and revocations come from, once it is known; and when keys were last fetched.
    source: Mutex<Option<Source>>,
    loaded: std::sync::atomic::AtomicBool,
}

struct Source {
    users: UserServiceClient<Client>,
    keys_fetched: Option<Instant>,
}

impl Sessions {
    /// Knows nothing yet, and lets nobody in.
    pub fn new(config: &TokenConfig, clock: Clock) -> Self {
        Self {
            shared: Arc::new(Shared {
                verifier: Verifier::new(&config.token_issuer, &config.token_audience),
                audience: config.token_audience.clone(),
                clock,
                source: Mutex::default(),
                loaded: false.into(),
            }),
        }
    }

    /// The issuer and the audience of the tokens that are accepted here.
    pub fn issuer_and_audience(&self) -> (&str, &str) {
        (self.shared.verifier.issuer(), &self.shared.audience)
    }

    /// The viewer for whom `token` speaks.
    ///
    /// # Errors
    /// A refusal with TOKEN_INVALID, TOKEN_EXPIRED, SESSION_REVOKED or TOKENS_NOT_READY.
    pub async fn viewer(&self, token: &str) -> Result<Viewer, Refusal> {
        if !self.is_loaded() {
            return Err(refusal(TokenRefusal::NotReady));
        }
        match self.shared.verifier.verify(token, self.shared.clock.now()) {
            Err(TokenRefusal::UnknownKey) if self.refetch_keys().await => {
                self.shared.verifier.verify(token, self.shared.clock.now()).map_err(refusal)
            }
            outcome => outcome.map_err(refusal),
        }
    }

    /// Whether one who was let in before still would be: tokens end and sessions are revoked while a stream is open.
    ///
    /// # Errors
    /// A refusal with TOKEN_EXPIRED or SESSION_REVOKED.
    pub fn still(&self, viewer: &Viewer) -> Result<(), Refusal> {
        if self.is_revoked(viewer.session_id) {
            return Err(refusal(TokenRefusal::Revoked));
        }
        if viewer.expires_at <= self.shared.clock.now() {
            return Err(refusal(TokenRefusal::Expired));
        }
        Ok(())
    }

    /// Refuses the tokens of `session` from now on.
    pub fn revoke(&self, session: SessionId, revoked_at: DateTime<Utc>) {
        self.shared.verifier.revocations.add(session, revoked_at);
    }

    /// Whether `session` was revoked, as far as this process knows.
    pub fn is_revoked(&self, session: SessionId) -> bool {
        self.shared.verifier.revocations.contains(session)
    }

    /// The keys that verify tokens, for the JWKS.
    pub fn keys(&self) -> Vec<PublicKey> {
        self.shared.verifier.public_keys()
    }

    /// Takes these keys in place of those that were known. For tests and for the service that makes them.
    pub fn set_keys(&self, keys: Vec<PublicKey>) {
        self.shared.verifier.set_keys(keys);
    }

    /// Says that keys and revocations are known, so that tokens may be judged. For tests; [`Sessions::follow`] does it.
    pub fn set_loaded(&self) {
        self.shared.loaded.store(true, std::sync::atomic::Ordering::Release);
    }

    /// Whether tokens can be judged.
    pub fn is_loaded(&self) -> bool {
        self.shared.loaded.load(std::sync::atomic::Ordering::Acquire)
    }

    /// Not ready before keys and revocations are loaded.
    pub fn check(&self) -> Check {
        let sessions = self.clone();
        Check::new("sessions", move || {
            let loaded = sessions.is_loaded();
            async move { loaded.then_some(()).ok_or_else(|| "keys and revocations not loaded".to_owned()) }
        })
    }

    /// Loads keys and revocations from the user service behind `users`, and follows them until `stop`.
    pub async fn follow(self, users: Transport, stop: Stop) {
        let users = UserServiceClient::new(Client::vital("user", users));
        *self.shared.source.lock().await = Some(Source { users: users.clone(), keys_fetched: None });
        let mut since = self.shared.clock.now() - TOKEN_LIFETIME;
        let mut ticks = tokio::time::interval(POLL);
        let mut quick = tokio::time::interval(Duration::from_millis(50));
        loop {
            // Until the first load, every 50 ms: at a common start the user service is up in a moment.
            let tick = if self.is_loaded() { &mut ticks } else { &mut quick };
            tokio::select! {
                () = stop.cancelled() => return,
                _ = tick.tick() => {}
            }
            match self.poll(users.clone(), since).await {
                Ok(asked_at) => since = asked_at - OVERLAP,
                Err(status) => tracing::debug!(%status, "revocations can't be fetched; trying again"),
            }
        }
    }

    /// Fetches what was revoked since then, and the keys if none are known. Gives the time of its question.
    async fn poll(
        &self,
        mut users: UserServiceClient<Client>,
        since: DateTime<Utc>,
    ) -> Result<DateTime<Utc>, Status> {
        let asked_at = self.shared.clock.now();
        let mut since = since;
        loop {
            let asked_from = since;
            let page =
                users.list_revoked_sessions(ListRevokedSessionsRequest { since: Some(since.into()) }).await?;
            let page = page.into_inner();
            for revoked in page.sessions {
                let at = revoked.revoked_at.and_then(|at| DateTime::try_from(at).ok()).unwrap_or(asked_at);
                since = since.max(at);
                if let Ok(session) = revoked.session_id.parse() {
                    self.revoke(session, at);
                }
            }
            // A page that ends where it began would come again for ever.
            if !page.has_more || since <= asked_from {
                break;
            }
        }
        self.shared.verifier.revocations.prune(asked_at);
        let keys_are_old =
            match self.shared.source.lock().await.as_ref().and_then(|source| source.keys_fetched) {
                Some(fetched) => fetched.elapsed() > KEYS_KEPT,
                None => true,
            };
        if keys_are_old {
            self.refetch_keys().await;
        }
        if !self.keys().is_empty() {
            self.set_loaded();
        }
        Ok(asked_at)
    }

    /// Fetches the keys, unless that was done a moment ago: a stranger can make up key names without end. Says
    /// whether it fetched. Those who ask meanwhile wait for the same answer.
    async fn refetch_keys(&self) -> bool {
        let mut source = self.shared.source.lock().await;
        let Some(source) = source.as_mut() else { return false };
        if !self.keys().is_empty() && source.keys_fetched.is_some_and(|at| at.elapsed() < POLL) {
            return true;
        }
        match source.users.get_signing_keys(GetSigningKeysRequest {}).await {
            Ok(answer) => {
                let keys = answer.into_inner().keys.into_iter();
                let keys =
                    keys.filter_map(|k| Some(PublicKey { id: k.id, bytes: k.public_key.try_into().ok()? }));
                self.set_keys(keys.collect());
                source.keys_fetched = Some(Instant::now());
                true
            }
            Err(status) => {
                tracing::debug!(%status, "signing keys can't be fetched; trying again");
                false
            }
        }
    }
}

fn refusal(why: TokenRefusal) -> Refusal {
    let (kind, reason) = match why {
        TokenRefusal::Invalid | TokenRefusal::UnknownKey => (Kind::Unauthenticated, "TOKEN_INVALID"),
        TokenRefusal::Expired => (Kind::Unauthenticated, "TOKEN_EXPIRED"),
        TokenRefusal::Revoked => (Kind::Unauthenticated, "SESSION_REVOKED"),
        TokenRefusal::NotReady => (Kind::Unavailable, "TOKENS_NOT_READY"),
    };
    Refusal::new(kind, reason, why.to_string())
}
