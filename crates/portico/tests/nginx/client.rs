//! Who asks nginx: a client that sends exactly what it is told.

use std::time::Duration;

use ureq::Agent;
use ureq::http::{HeaderMap, Method, Request};

/// Where the graph is asked.
#[derive(Clone)]
pub(crate) struct Client {
    url: String,
    agent: Agent,
}

/// A request.
#[derive(Clone, Debug)]
pub(crate) struct Ask {
    pub(crate) method: Method,
    /// From the path on.
    pub(crate) target: String,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: Option<String>,
}

/// What was answered.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

impl Ask {
    /// A GET of this target.
    pub(crate) fn get(target: impl Into<String>) -> Self {
        Self { method: Method::GET, target: target.into(), headers: Vec::new(), body: None }
    }

    /// A POST of this JSON to the graph.
    pub(crate) fn post(body: impl Into<String>) -> Self {
        let ask = Self { method: Method::POST, body: Some(body.into()), ..Self::get("/graphql") };
        ask.header("Content-Type", "application/json")
    }

    /// The same with one header more.
    pub(crate) fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }
}

impl Client {
    /// Of whatever is at this URL. Each has connections of its own.
    pub(crate) fn of(url: &str) -> Self {
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(Duration::from_secs(30)))
            .max_redirects(0)
            .accept("")
            .user_agent("")
            .accept_encoding("");
        Self { url: url.to_owned(), agent: config.build().into() }
    }

    /// Asks, and waits for the whole answer.
    pub(crate) fn ask(&self, ask: &Ask) -> Answer {
        let mut request = Request::builder().method(&ask.method).uri(format!("{}{}", self.url, ask.target));
        for (name, value) in &ask.headers {
            request = request.header(*name, value);
        }
        let asked = match &ask.body {
            Some(body) => self.agent.run(request.body(body.as_str()).unwrap()),
            None => self.agent.run(request.body(()).unwrap()),
        };
        let mut answer = asked.unwrap_or_else(|error| panic!("{error} to {ask:?}"));
        let body = answer.body_mut().read_to_string().unwrap();
        Answer { status: answer.status().as_u16(), headers: answer.headers().clone(), body }
    }

    /// Asks again for what this one answer was given for, and says from where it came.
    pub(crate) fn cached(&self, ask: &Ask) -> String {
        self.ask(ask).header("x-cache-status").to_owned()
    }
}

impl Answer {
    /// A header's value; empty where there is none.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// The answer as JSON.
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The code of its first error.
    pub(crate) fn code(&self) -> String {
        self.json()["errors"][0]["extensions"]["code"].as_str().unwrap_or_default().to_owned()
    }
}
