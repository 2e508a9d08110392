//! Asking a running gateway.

use std::time::Duration;

use serde_json::{Value, json};

/// A client of the graph at one address, with or without a token.
#[derive(Clone)]
pub(crate) struct Graph {
    url: String,
    token: Option<String>,
}

impl Graph {
    /// An anonymous client of the gateway at `url`, which ends in a slash or in nothing.
    pub(crate) fn at(url: &str) -> Self {
        Self { url: format!("{}/graphql", url.trim_end_matches('/')), token: None }
    }

    /// The same client with this token.
    pub(crate) fn with_token(&self, token: &str) -> Self {
        Self { url: self.url.clone(), token: Some(token.to_owned()) }
    }

    /// The client of the account with this email and password.
    pub(crate) fn log_in(&self, email: &str, password: &str) -> Self {
        let answer = self.ask(&format!(
            r#"mutation {{ login(input: {{email: "{email}", password: "{password}"}}) {{ token }} }}"#
        ));
        let token = answer["data"]["login"]["token"].as_str();
        self.with_token(token.unwrap_or_else(|| panic!("no token in {answer}")))
    }

    /// The token that this client sends.
    pub(crate) fn token(&self) -> &str {
        self.token.as_deref().unwrap()
    }

    /// The whole answer to `document`, whatever its HTTP status.
    pub(crate) fn ask(&self, document: &str) -> Value {
        self.ask_with(document, &[])
    }

    /// The same, asked with these headers.
    pub(crate) fn ask_with(&self, document: &str, headers: &[(&str, String)]) -> Value {
        let agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(Duration::from_secs(30)))
            .build()
            .new_agent();
        let mut request = agent.post(&self.url);
        for (name, value) in headers {
            request = request.header(*name, value);
        }
        if let Some(token) = &self.token {
            request = request.header("Authorization", format!("Bearer {token}"));
        }
        let mut answer = request.send_json(json!({ "query": document })).unwrap();
        answer.body_mut().read_json().unwrap()
    }

    /// The reason of the first error of the answer to `document`, if it has one.
    pub(crate) fn refusal(&self, document: &str) -> Option<String> {
        Some(self.ask(document)["errors"][0]["extensions"]["reason"].as_str()?.to_owned())
    }
}
