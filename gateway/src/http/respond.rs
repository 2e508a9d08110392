//! The answer: its status, its media type, and errors that tell a client all that it may know and nothing else.

use std::{any::Any, collections::BTreeMap, sync::Arc};

use async_graphql::{ErrorExtensionValues, Response as Executed, ServerError, Value};
use axum::{
    body::Body,
    http::{HeaderValue, StatusCode, header},
    response::Response,
};
use runtime::{Kind, Refusal};
use serde::{Serialize, Serializer, ser::Error as _};
use serde_json::value::{RawValue, to_raw_value};

use super::{execute::Answer, negotiate::MediaType, refusal, trace};
use crate::{graphql, measure};

/// A request of which nothing ran.
#[derive(Clone)]
pub(crate) struct Refused {
    /// The status whatever the media type; `None` where the refusal is GraphQL's own.
    status: Option<StatusCode>,
    errors: Vec<ServerError>,
    /// The methods that would have been allowed.
    allow: Option<&'static str>,
}

impl Refused {
    /// Refused by HTTP's rules.
    pub(super) fn by_http(status: StatusCode, refusal: Refusal) -> Self {
        Self { status: Some(status), errors: vec![error(refusal)], allow: None }
    }

    /// Refused for a reason of ours: bad input as GraphQL refuses it, anything else by the status of its kind.
    pub(super) fn by_kind(refusal: Refusal) -> Self {
        let status = match refusal.kind {
            Kind::BadInput | Kind::Forbidden | Kind::PersistedQueryNotFound => None,
            kind => StatusCode::from_u16(kind.http()).ok(),
        };
        Self { status, errors: vec![error(refusal)], allow: None }
    }

    /// Refused by GraphQL's rules.
    pub(super) fn by_graphql(errors: Vec<ServerError>) -> Self {
        Self { status: None, errors, allow: None }
    }

    /// The refusal, and the status of one by HTTP's rules.
    pub(crate) fn into_refusal(self) -> (Option<StatusCode>, Refusal) {
        let refusal = self.errors.first().and_then(|error| error.source::<Refusal>()).cloned();
        (self.status, refusal.unwrap_or_else(|| Refusal::internal("a refusal of GraphQL left the graph")))
    }

    /// What is told to the client.
    pub(super) fn errors(&self) -> &[ServerError] {
        &self.errors
    }

    /// Names the methods that would have been allowed.
    pub(super) fn with_allow(mut self, methods: &'static str) -> Self {
        self.allow = Some(methods);
        self
    }
}

/// The refusal as an error of GraphQL; it rides along and is read back in [`tell`].
fn error(refusal: Refusal) -> ServerError {
    ServerError {
        source: Some(Arc::new(refusal.clone()) as Arc<dyn Any + Send + Sync>),
        ..ServerError::new(refusal.message, None)
    }
}

/// The JSON of an answer. A request that was refused has no `data`, not even null.
struct Json<'a> {
    errors: &'a [ServerError],
    data: Option<&'a Value>,
    extensions: &'a BTreeMap<String, Value>,
}

/// Those of most answers.
const NO_EXTENSIONS: &BTreeMap<String, Value> = &BTreeMap::new();

/// Inside something else, it is read once more.
impl Serialize for Json<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let json: &RawValue = &write(self)
            .and_then(|json| serde_json::from_slice::<Box<RawValue>>(&json))
            .map_err(S::Error::custom)?;
        json.serialize(serializer)
    }
}

/// Writes the answer to the request with this id.
pub(super) fn respond(outcome: Result<Answer, Refused>, media_type: MediaType, request_id: &str) -> Response {
    let mut response = Response::new(Body::empty());
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, media_type.content_type());
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    let body = match outcome {
        Ok(Executed { mut errors, data, extensions, .. }) => {
            errors.iter_mut().for_each(|error| tell(error, request_id));
            if let Some(fault) = trace::fault(&errors) {
                response.extensions_mut().insert(fault);
            }
            write(&Json { errors: &errors, data: Some(&data), extensions: &extensions })
        }
        Err(Refused { status, mut errors, allow }) => {
            errors.iter_mut().for_each(|error| tell(error, request_id));
            if let Some(methods) = allow {
                headers.insert(header::ALLOW, HeaderValue::from_static(methods));
            }
            *response.status_mut() = status.unwrap_or_else(|| status_by_graphql(media_type, &errors));
            if let Some(refusal) = errors.first().and_then(|error| error.source::<Refusal>()) {
                refusal::tell(&mut response, refusal);
            }
            write(&Json { errors: &errors, data: None, extensions: NO_EXTENSIONS })
        }
    };
    match body {
        Ok(body) => *response.body_mut() = body.into(),
        Err(error) => {
            tracing::error!(%error, "an answer can't be written as JSON");
            *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
        }
    }
    response
}

/// Writes the answers to a batch, in their order.
pub(super) fn batch(answers: &[Box<RawValue>], media_type: MediaType) -> Response {
    let length: usize = answers.iter().map(|answer| answer.get().len() + 1).sum();
    let mut body = String::with_capacity(length + 1);
    for answer in answers {
        body.push(if body.is_empty() { '[' } else { ',' });
        body.push_str(answer.get());
    }
    body.push(']');
    let mut response = Response::new(Body::from(body));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, media_type.content_type());
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// The JSON of an answer that travels inside something else.
pub(super) fn payload(outcome: Result<Answer, Refused>, request_id: &str) -> Box<RawValue> {
    match outcome {
        Ok(Executed { mut errors, data, extensions, .. }) => {
            errors.iter_mut().for_each(|error| tell(error, request_id));
            raw(&Json { errors: &errors, data: Some(&data), extensions: &extensions })
        }
        Err(Refused { mut errors, .. }) => {
            errors.iter_mut().for_each(|error| tell(error, request_id));
            raw(&Json { errors: &errors, data: None, extensions: NO_EXTENSIONS })
        }
    }
}

/// The JSON of the list of errors with which an operation ends.
pub(super) fn errors(refused: Refused, request_id: &str) -> Box<RawValue> {
    let mut errors = refused.errors;
    errors.iter_mut().for_each(|error| tell(error, request_id));
    raw(&errors)
}

fn raw(json: &impl Serialize) -> Box<RawValue> {
    to_raw_value(json).unwrap_or_else(|error| {
        tracing::error!(%error, "an answer can't be written as JSON");
        RawValue::NULL.to_owned()
    })
}

fn write(json: &Json<'_>) -> serde_json::Result<Vec<u8>> {
    let mut body = graphql::Json::with_capacity(1024);
    if !json.errors.is_empty() {
        body.key("errors", true);
        body.raw(&serde_json::to_vec(json.errors)?);
    }
    if let Some(data) = json.data {
        body.key("data", json.errors.is_empty());
        body.value(data);
    }
    if !json.extensions.is_empty() {
        body.key("extensions", json.errors.is_empty() && json.data.is_none());
        body.raw(&serde_json::to_vec(json.extensions)?);
    }
    body.raw(b"}");
    Ok(body.into_bytes())
}

fn status_by_graphql(media_type: MediaType, errors: &[ServerError]) -> StatusCode {
    if media_type == MediaType::Json {
        return StatusCode::OK;
    }
    let refusal = errors.first().and_then(|error| error.source::<Refusal>());
    refusal
        .and_then(|refusal| StatusCode::from_u16(refusal.kind.http()).ok())
        .unwrap_or(StatusCode::BAD_REQUEST)
}

/// Fills in the extensions that the contract of errors promises. An error without a refusal comes from the GraphQL
/// crate: it is about the client's own document.
fn tell(error: &mut ServerError, request_id: &str) {
    let mut extensions = ErrorExtensionValues::default();
    match error.source::<Refusal>() {
        Some(refusal) => {
            measure::refused(refusal.kind.code(), &refusal.reason);
            tell_refusal(&mut extensions, refusal);
        }
        None => {
            let (code, reason) = (Kind::BadInput.code(), "GRAPHQL_INVALID");
            measure::refused(code, reason);
            extensions.set("code", code);
            extensions.set("reason", reason);
        }
    }
    extensions.set("requestId", request_id);
    error.extensions = Some(extensions);
}

fn tell_refusal(extensions: &mut ErrorExtensionValues, refusal: &Refusal) {
    extensions.set("code", refusal.kind.code());
    extensions.set("reason", refusal.reason.as_ref());
    if !refusal.violations.is_empty() {
        let violations = refusal.violations.iter().map(|violation| {
            let members = [("field", &violation.field), ("message", &violation.message)];
            Value::Object(members.map(|(name, text)| (async_graphql::Name::new(name), text.into())).into())
        });
        extensions.set("violations", Value::List(violations.collect()));
    }
    if let Some(seconds) = refusal.retry_after_seconds() {
        extensions.set("retryAfter", seconds);
    }
}
