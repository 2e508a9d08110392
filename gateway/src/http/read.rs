//! Reading a request: POST with a JSON body, or GET with URL parameters, as GraphQL over HTTP defines them
//! (<https://graphql.github.io/graphql-over-http/draft/>).

use std::borrow::Cow;

use async_graphql::Variables;
use axum::{
    body::Body,
    extract::Query,
    http::{HeaderMap, Method, StatusCode, header, request::Parts},
};
use bytes::Bytes;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use runtime::{Kind, Refusal};
use serde::Deserialize;

use super::respond::Refused;

/// The largest body, in bytes.
const LARGEST_BODY: usize = 1024 * 1024;

/// What a client asks.
pub(super) struct Inquiry<'a> {
    /// The text of the document.
    pub(super) query: Cow<'a, str>,
    /// Which of the document's operations is meant.
    pub(super) operation_name: Option<Cow<'a, str>>,
    /// The values of the operation's variables.
    pub(super) variables: Variables,
    /// Whether it came by GET, which must change nothing.
    pub(super) by_get: bool,
}

/// An inquiry as it came.
pub(super) enum Source {
    Body(Bytes),
    Parameters(Parameters),
}

/// The parameters of a GET.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Parameters {
    query: Option<String>,
    operation_name: Option<String>,
    variables: Option<String>,
}

/// The JSON of a POST. Other members, such as `extensions`, are for others.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Posted<'a> {
    #[serde(borrow)]
    query: Option<Cow<'a, str>>,
    #[serde(borrow)]
    operation_name: Option<Cow<'a, str>>,
    #[serde(default)]
    variables: Variables,
}

/// Takes what carries the inquiry from the request.
pub(super) async fn source(head: &Parts, body: Body) -> Result<Source, Refused> {
    match head.method {
        Method::POST => {
            require_json(&head.headers)?;
            Ok(Source::Body(collect(body).await?))
        }
        Method::GET => {
            let parameters = Query::try_from_uri(&head.uri)
                .map_err(|_| malformed("the URL's parameters can't be read"))?;
            Ok(Source::Parameters(parameters.0))
        }
        _ => Err(Refused::by_http(
            StatusCode::METHOD_NOT_ALLOWED,
            Refusal::new(Kind::BadInput, "METHOD_NOT_ALLOWED", "send the request by POST or GET"),
        )
        .with_allow("GET, POST")),
    }
}

/// Reads the inquiry.
pub(super) fn inquiry(source: &Source) -> Result<Inquiry<'_>, Refused> {
    match source {
        Source::Body(body) => posted(body),
        Source::Parameters(parameters) => asked(parameters),
    }
}

/// Reads the inquiry in this JSON.
pub(super) fn posted(body: &[u8]) -> Result<Inquiry<'_>, Refused> {
    let posted: Posted<'_> = serde_json::from_slice(body).map_err(|_| {
        malformed("the body must be a JSON object with `query`, and `variables` as an object")
    })?;
    let Posted { query, operation_name, variables } = posted;
    Ok(Inquiry { query: query.ok_or_else(without_query)?, operation_name, variables, by_get: false })
}

fn asked(parameters: &Parameters) -> Result<Inquiry<'_>, Refused> {
    let query = parameters.query.as_deref().ok_or_else(without_query)?;
    let variables = match parameters.variables.as_deref() {
        None | Some("") => Variables::default(),
        Some(json) => {
            serde_json::from_str(json).map_err(|_| malformed("`variables` must be a JSON object"))?
        }
    };
    let operation_name =
        parameters.operation_name.as_deref().filter(|name| !name.is_empty()).map(Cow::Borrowed);
    Ok(Inquiry { query: query.into(), operation_name, variables, by_get: true })
}

/// A form or plain text can be sent by any page in a browser without asking first; JSON can't.
fn require_json(headers: &HeaderMap) -> Result<(), Refused> {
    let media_type =
        headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = media_type.split(';').next().unwrap_or_default().trim();
    if essence.eq_ignore_ascii_case("application/json") {
        return Ok(());
    }
    let message = "send the body as Content-Type: application/json";
    let refusal = Refusal::new(Kind::BadInput, "MEDIA_TYPE_UNSUPPORTED", message);
    Err(Refused::by_http(StatusCode::UNSUPPORTED_MEDIA_TYPE, refusal))
}

async fn collect(body: Body) -> Result<Bytes, Refused> {
    match Limited::new(body, LARGEST_BODY).collect().await {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => {
            let refusal = Refusal::new(Kind::BadInput, "BODY_TOO_LARGE", "the body is larger than 1 MiB");
            Err(Refused::by_http(StatusCode::PAYLOAD_TOO_LARGE, refusal))
        }
        Err(_) => Err(malformed("the body ended too early")),
    }
}

fn malformed(message: &'static str) -> Refused {
    Refused::by_http(StatusCode::BAD_REQUEST, Refusal::new(Kind::BadInput, "REQUEST_MALFORMED", message))
}

fn without_query() -> Refused {
    malformed("`query` is missing")
}
