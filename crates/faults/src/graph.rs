//! The graph as a client sees it: a request gets an answer, a refusal, or nothing that can be relied on.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use anyhow::{Context, Result};
use bytes::Bytes;
use http::{Request, StatusCode, header};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::{net::TcpStream, time::timeout};

/// How long a request may take: a little more than the gateway gives it.
const PATIENCE: Duration = Duration::from_secs(12);

/// The codes after which the same request may be sent again, as docs/errors.md has them.
const AGAIN: [&str; 4] = ["TIMEOUT", "SERVICE_UNAVAILABLE", "INTERNAL", "RATE_LIMITED"];

/// What became of a request.
#[derive(Debug, PartialEq)]
pub(crate) enum Answer {
    /// The value of the one field that was asked for.
    Given(Value),
    /// It can't be now, or whether it happened is not known: to be sent again. With the reason.
    Again(String),
    /// It will not be, for this reason.
    Refused(String),
}

/// A way to the graph. Connections are kept, and given up at the first failure.
pub(crate) struct Graph {
    address: String,
    kept: Mutex<Vec<SendRequest<Full<Bytes>>>>,
}

impl Graph {
    /// That at `address` (host and port). Does no I/O.
    pub(crate) fn at(address: String) -> Self {
        Self { address, kept: Mutex::default() }
    }

    /// Sends a document of one field.
    pub(crate) async fn ask(&self, token: Option<&str>, document: &str, variables: &Value) -> Answer {
        let body = json!({ "query": document, "variables": variables }).to_string();
        match timeout(PATIENCE, self.post(token, body)).await {
            Ok(Ok((status, body))) => read(status, &body),
            Ok(Err(_)) => Answer::Again("connection lost".to_owned()),
            Err(_) => Answer::Again("no answer".to_owned()),
        }
    }

    async fn post(&self, token: Option<&str>, body: String) -> Result<(StatusCode, Bytes)> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let mut connection = match kept {
            Some(connection) if connection.is_ready() => connection,
            _ => self.connect().await?,
        };
        let mut request = Request::post("/graphql")
            .header(header::HOST, &self.address)
            .header(header::CONTENT_TYPE, "application/json");
        if let Some(token) = token {
            request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
        }
        let answer = connection.send_request(request.body(Full::new(body.into()))?).await?;
        let status = answer.status();
        let body = answer.into_body().collect().await?.to_bytes();
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).push(connection);
        Ok((status, body))
    }

    async fn connect(&self) -> Result<SendRequest<Full<Bytes>>> {
        let stream = TcpStream::connect(&self.address).await.context("nobody answers")?;
        stream.set_nodelay(true)?;
        let (mut sender, connection) = handshake(TokioIo::new(stream)).await?;
        // It ends with the sender; what breaks it, the request tells.
        tokio::spawn(connection);
        sender.ready().await?;
        Ok(sender)
    }
}

/// Whether `url` answers 200 within two seconds.
pub(crate) async fn is_ready(address: &str, path: &str) -> bool {
    let ask = async {
        let mut connection = Graph::at(address.to_owned()).connect().await?;
        let request = Request::get(path).header(header::HOST, address).body(Full::default())?;
        anyhow::Ok(connection.send_request(request).await?.status())
    };
    timeout(Duration::from_secs(2), ask).await.is_ok_and(|status| status.is_ok_and(|s| s == StatusCode::OK))
}

fn read(status: StatusCode, body: &[u8]) -> Answer {
    let Ok(answer) = serde_json::from_slice::<Value>(body) else {
        return Answer::Again(format!("HTTP {status} without JSON"));
    };
    if let Some(error) = answer["errors"].get(0) {
        let extensions = &error["extensions"];
        let text = |name: &str| extensions[name].as_str().unwrap_or_default().to_owned();
        let (code, reason) = (text("code"), text("reason"));
        return if AGAIN.contains(&code.as_str()) { Answer::Again(reason) } else { Answer::Refused(reason) };
    }
    match answer["data"].as_object().and_then(|data| data.values().next()) {
        Some(value) => Answer::Given(value.clone()),
        None => Answer::Again(format!("HTTP {status} without data")),
    }
}

/// Refusals that end by themselves: asked again, the same request gets an answer.
pub(crate) fn passes(reason: &str) -> bool {
    ["IDEMPOTENCY_IN_PROGRESS", "PAYMENT_IN_PROGRESS", "ORDER_NOT_READY"].contains(&reason)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(code: &str, reason: &str) -> Answer {
        let extensions = json!({ "code": code, "reason": reason });
        let body = json!({ "data": null, "errors": [{ "extensions": extensions }] });
        read(StatusCode::OK, body.to_string().as_bytes())
    }

    #[test]
    fn only_what_may_have_happened_or_can_be_later_is_sent_again() {
        assert_eq!(refusal("TIMEOUT", "SERVICE_TIMEOUT"), Answer::Again("SERVICE_TIMEOUT".into()));
        assert_eq!(refusal("FAILED_PRECONDITION", "X_Y"), Answer::Refused("X_Y".into()));
        assert_eq!(read(StatusCode::OK, br#"{"data":{"a":{"id":"1"}}}"#), Answer::Given(json!({"id": "1"})));
        assert!(matches!(read(StatusCode::BAD_GATEWAY, b"<html>"), Answer::Again(_)));
    }
}
