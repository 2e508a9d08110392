//! The access tokens of all users, always young enough for the next round.

use std::{
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use bytes::Bytes;
use identity::{Claims, Role, SessionId, SigningKey, UserId};
use portico::progress::Progress;
use runtime::Clock;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    client::Client,
    dataset::{USERS, user_id},
    memory::Key,
};

/// After how long new ones are fetched: a token is good for 15 minutes, and a round takes seconds.
const KEPT: Duration = Duration::from_secs(5 * 60);

/// Whoever gives tokens, and those that it gave last.
pub(crate) struct Tokens {
    giver: Giver,
    given: Option<(Vec<String>, Instant)>,
    file: PathBuf,
}

enum Giver {
    /// The graph, for refresh tokens: what a client does.
    Graph(Vec<String>),
    /// A key of our own, where the user service is ours too.
    Key(SigningKey),
}

/// The bytes of a refresh token for each user, nobody's but ours: they are as good as a password.
pub(crate) fn refresh_tokens() -> Vec<[u8; 32]> {
    let bytes = || {
        let mut bytes = [0; 32];
        bytes[..16].copy_from_slice(Uuid::now_v7().as_bytes());
        bytes[16..].copy_from_slice(Uuid::now_v7().as_bytes());
        bytes
    };
    (0..USERS).map(|_| bytes()).collect()
}

impl Tokens {
    /// Those that a graph gives for refresh tokens of these bytes. Files go to `folder`.
    pub(crate) fn of_graph(refresh: &[[u8; 32]], folder: &Path) -> Self {
        let refresh = refresh.iter().map(|bytes| URL_SAFE_NO_PAD.encode(bytes)).collect();
        Self { giver: Giver::Graph(refresh), given: None, file: folder.join("tokens") }
    }

    /// Those of a new key, and its public half.
    ///
    /// # Errors
    /// When no key can be made.
    pub(crate) fn of_new_key(folder: &Path) -> Result<(Self, Key)> {
        let (id, private) = SigningKey::generate()?;
        let key = SigningKey::from_pkcs8(id, &private)?;
        let public = Key::from(&key.public());
        Ok((Self { giver: Giver::Key(key), given: None, file: folder.join("tokens") }, public))
    }

    /// One for each user, from a key of our own.
    ///
    /// # Errors
    /// When they can't be signed.
    pub(crate) async fn own(&mut self) -> Result<&[String]> {
        Ok(self.young("").await?.0)
    }

    /// One for each user, by their number; and the file with one a line. `graph` is where new ones are asked for.
    ///
    /// # Errors
    /// When they are not given.
    pub(crate) async fn young(&mut self, graph: &str) -> Result<(&[String], &Path)> {
        let old = self.given.as_ref().is_none_or(|(_, since)| since.elapsed() > KEPT);
        if old {
            let step = Progress::on_stderr().step(&format!("Access tokens for {USERS} users"));
            let tokens = match &mut self.giver {
                Giver::Graph(refresh) => exchange(graph, refresh).await?,
                Giver::Key(key) => sign(key)?,
            };
            std::fs::write(&self.file, tokens.join("\n"))?;
            self.given = Some((tokens, Instant::now()));
            step.done("");
        }
        let tokens = self.given.as_ref().map(|(tokens, _)| tokens.as_slice()).unwrap_or_default();
        Ok((tokens, &self.file))
    }
}

/// Exchanges each refresh token for its successor and an access token.
async fn exchange(url: &str, refresh: &mut [String]) -> Result<Vec<String>> {
    let mut client = Client::connect(url).await?;
    let mut tokens = Vec::with_capacity(refresh.len());
    for token in refresh {
        let query = "mutation($t:String!){refreshToken(refreshToken:$t){token refreshToken}}";
        let body = json!({ "query": query, "variables": { "t": token } });
        let answer = client.post(None, Bytes::from(body.to_string())).await?;
        let answer: Value = serde_json::from_slice(&answer.body)?;
        let given = &answer["data"]["refreshToken"];
        let (Some(access), Some(next)) = (given["token"].as_str(), given["refreshToken"].as_str()) else {
            bail!("the graph gives no token: {answer}");
        };
        tokens.push(access.to_owned());
        *token = next.to_owned();
    }
    Ok(tokens)
}

fn sign(key: &SigningKey) -> Result<Vec<String>> {
    let now = Clock::system().now();
    let token = |n| {
        let session = SessionId(Uuid::now_v7());
        key.sign(&Claims::new("portico", "portico", UserId(user_id(n)), Role::Customer, session, now))
    };
    (0..USERS).map(token).collect::<Result<_, _>>().context("tokens can't be signed")
}
