//! Reading a request: POST with a JSON body, or GET with URL parameters, as GraphQL over HTTP defines them
//! (<https://graphql.github.io/graphql-over-http/draft/>).
//!
//! What can be read in two ways is not read at all: a member of the request twice, text that is no UTF-8, an array in
//! the place of an object. What stands between a client and us may have understood the other one.

use std::borrow::Cow;

use async_graphql::Variables;
use axum::{
    body::{Body, HttpBody},
    http::{HeaderMap, Method, StatusCode, header, request::Parts},
};
use bytes::Bytes;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use percent_encoding::percent_decode;
use runtime::{Kind, Refusal};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{negotiate::is_utf8, respond::Refused};

/// What a client asks.
pub(super) struct Inquiry<'a> {
    /// The text of the document; empty where it is asked for by name alone.
    pub(super) query: Cow<'a, str>,
    /// The identifier of the document.
    pub(super) document_id: Option<Cow<'a, str>>,
    /// Which of the document's operations is meant.
    pub(super) operation_name: Option<Cow<'a, str>>,
    /// The values of the operation's variables.
    pub(super) variables: Variables,
    /// The JSON object `extensions`, as it came.
    pub(super) extensions: Option<Cow<'a, str>>,
    /// Whether it came by GET, which must change nothing.
    pub(super) by_get: bool,
}

/// An inquiry as it came.
pub(super) enum Source {
    Body(Bytes),
    Parameters(Parameters),
}

/// The parameters of a GET; one that is empty is as good as none.
#[derive(Default)]
pub(super) struct Parameters {
    query: Option<String>,
    document_id: Option<String>,
    operation_name: Option<String>,
    variables: Option<String>,
    extensions: Option<String>,
}

/// The JSON of a POST. Other members are for others.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Posted<'a> {
    #[serde(borrow)]
    query: Option<Cow<'a, str>>,
    #[serde(borrow)]
    document_id: Option<Cow<'a, str>>,
    #[serde(borrow)]
    operation_name: Option<Cow<'a, str>>,
    #[serde(default)]
    variables: Variables,
    #[serde(borrow)]
    extensions: Option<&'a RawValue>,
}

/// Takes what carries the inquiry from the request: of a body at most `largest` bytes.
pub(super) async fn source(head: &Parts, body: Body, largest: usize) -> Result<Source, Refused> {
    match head.method {
        Method::POST => {
            require_json(&head.headers)?;
            Ok(Source::Body(collect(body, largest).await?))
        }
        Method::GET => Ok(Source::Parameters(parameters(head.uri.query().unwrap_or_default())?)),
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
    let message = "the body must be a JSON object with `query`, and `variables` and `extensions` as objects";
    // serde would take an array of the members' values too.
    if !is_object(body) {
        return Err(malformed(message));
    }
    let posted: Posted<'_> = serde_json::from_slice(body).map_err(|_| malformed(message))?;
    let Posted { query, document_id, operation_name, variables, extensions } = posted;
    let extensions = extensions.map(RawValue::get).filter(|json| *json != "null");
    if extensions.is_some_and(|json| !is_object(json.as_bytes())) {
        return Err(malformed(message));
    }
    let extensions = extensions.map(Cow::Borrowed);
    // Only what has a name may have no text, and the name may be an extension.
    if query.is_none() && document_id.is_none() && extensions.is_none() {
        return Err(without_query());
    }
    let query = query.unwrap_or_default();
    Ok(Inquiry { query, document_id, operation_name, variables, extensions, by_get: false })
}

fn asked(parameters: &Parameters) -> Result<Inquiry<'_>, Refused> {
    let query = parameters.query.as_deref();
    if query.is_none() && parameters.document_id.is_none() && parameters.extensions.is_none() {
        return Err(without_query());
    }
    let variables = parameters.variables.as_deref().map(serde_json::from_str).transpose();
    let variables = variables.map_err(|_| malformed("`variables` must be a JSON object"))?;
    let extensions = parameters.extensions.as_deref().filter(|json| json.trim() != "null");
    let well_formed =
        |json: &str| is_object(json.as_bytes()) && serde_json::from_str::<&RawValue>(json).is_ok();
    if extensions.is_some_and(|json| !well_formed(json)) {
        return Err(malformed("`extensions` must be a JSON object"));
    }
    Ok(Inquiry {
        query: query.unwrap_or_default().into(),
        document_id: parameters.document_id.as_deref().map(Cow::Borrowed),
        operation_name: parameters.operation_name.as_deref().map(Cow::Borrowed),
        variables: variables.unwrap_or_default(),
        extensions: extensions.map(Cow::Borrowed),
        by_get: true,
    })
}

fn is_object(json: &[u8]) -> bool {
    json.trim_ascii_start().starts_with(b"{")
}

/// The parameters in the query of a URL, which has the form of application/x-www-form-urlencoded.
fn parameters(query: &str) -> Result<Parameters, Refused> {
    let mut parameters = Parameters::default();
    for pair in query.split('&') {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let place = match decoded(name)?.as_ref() {
            "query" => &mut parameters.query,
            "documentId" => &mut parameters.document_id,
            "operationName" => &mut parameters.operation_name,
            "variables" => &mut parameters.variables,
            "extensions" => &mut parameters.extensions,
            // Others are for others.
            _ => continue,
        };
        let value = decoded(value)?;
        if value.is_empty() {
            continue;
        }
        if place.replace(value.into_owned()).is_some() {
            return Err(malformed("the URL has a parameter twice"));
        }
    }
    Ok(parameters)
}

fn decoded(text: &str) -> Result<Cow<'_, str>, Refused> {
    let spaced = if text.contains('+') { text.replace('+', " ").into() } else { Cow::Borrowed(text) };
    let decoded = match &spaced {
        Cow::Borrowed(text) => percent_decode(text.as_bytes()).decode_utf8(),
        Cow::Owned(text) => {
            percent_decode(text.as_bytes()).decode_utf8().map(|text| text.into_owned().into())
        }
    };
    decoded.map_err(|_| malformed("the URL's parameters are no UTF-8"))
}

/// A form or plain text can be sent by any page in a browser without asking first; JSON can't.
pub(crate) fn require_json(headers: &HeaderMap) -> Result<(), Refused> {
    let mut content_types = headers.get_all(header::CONTENT_TYPE).iter();
    let content_type = content_types.next().and_then(|value| value.to_str().ok()).unwrap_or_default();
    if content_types.next().is_some() || !is_json(content_type) {
        return Err(unsupported("send the body as Content-Type: application/json, in UTF-8"));
    }
    if headers.get(header::CONTENT_ENCODING).is_some_and(|coding| coding != "identity") {
        return Err(unsupported("send the body as it is, without Content-Encoding"));
    }
    Ok(())
}

fn is_json(content_type: &str) -> bool {
    let mut parts = content_type.split(';').map(str::trim);
    parts.next().is_some_and(|name| name.eq_ignore_ascii_case("application/json"))
        && parts.all(|parameter| match parameter.split_once('=') {
            Some((name, value)) => {
                !name.trim_end().eq_ignore_ascii_case("charset") || is_utf8(value.trim_start())
            }
            None => true,
        })
}

pub(crate) async fn collect(body: Body, largest: usize) -> Result<Bytes, Refused> {
    let too_large = || {
        let refusal = Refusal::new(
            Kind::BadInput,
            "BODY_TOO_LARGE",
            format!("the body is larger than {largest} bytes"),
        );
        Refused::by_http(StatusCode::PAYLOAD_TOO_LARGE, refusal)
    };
    // Said beforehand: none of it has to be read.
    if body.size_hint().lower() > largest as u64 {
        return Err(too_large());
    }
    match Limited::new(body, largest).collect().await {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(too_large()),
        Err(_) => Err(malformed("the body ended too early")),
    }
}

pub(super) fn malformed(message: &'static str) -> Refused {
    Refused::by_http(StatusCode::BAD_REQUEST, Refusal::new(Kind::BadInput, "REQUEST_MALFORMED", message))
}

fn unsupported(message: &'static str) -> Refused {
    let refusal = Refusal::new(Kind::BadInput, "MEDIA_TYPE_UNSUPPORTED", message);
    Refused::by_http(StatusCode::UNSUPPORTED_MEDIA_TYPE, refusal)
}

pub(super) fn without_query() -> Refused {
    malformed("`query` is missing")
}
