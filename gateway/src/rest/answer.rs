//! The two forms of an answer: what was asked for, or why not.

use std::borrow::Cow;

use axum::{
    Json,
    http::{HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use runtime::Refusal;
use serde::Serialize;
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{ObjectBuilder, RefOr, Schema, Type},
};

use super::page::Standing;
use crate::{
    http::{Refused, refusal},
    measure,
};

/// What a handler comes to.
pub(super) type Outcome<T> = Result<Answer<T>, Failure>;

/// One thing that was asked for.
#[derive(Serialize, ToSchema)]
pub(super) struct Answer<T> {
    /// Always true.
    success: bool,
    /// What happened, for people.
    message: &'static str,
    data: T,
    meta: Meta,
    #[serde(skip)]
    status: StatusCode,
}

/// Null.
#[derive(Serialize)]
pub(super) struct Nothing;

impl PartialSchema for Nothing {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new().schema_type(Type::Null).into()
    }
}

impl ToSchema for Nothing {
    fn name() -> Cow<'static, str> {
        "Nothing".into()
    }
}

/// Nothing more to say.
#[derive(Serialize, ToSchema)]
struct Meta {}

/// A part of a list, the newest first.
#[derive(Serialize, ToSchema)]
pub(super) struct Listed<T> {
    /// Always true.
    success: bool,
    /// What happened, for people.
    message: &'static str,
    data: Vec<T>,
    meta: Standing,
}

/// Nobody may keep an answer, unless `Asked::keep` says otherwise.
const NO_STORE: [(HeaderName, &str); 1] = [(header::CACHE_CONTROL, "no-store")];

impl<T> Answer<T> {
    /// What was asked for is this.
    pub(super) fn of(message: &'static str, data: T) -> Self {
        Self { success: true, message, data, meta: Meta {}, status: StatusCode::OK }
    }

    /// What was asked for was made, and is this.
    pub(super) fn made(message: &'static str, data: T) -> Self {
        Self { status: StatusCode::CREATED, ..Self::of(message, data) }
    }
}

impl Answer<Nothing> {
    /// What was asked for was done, and there is nothing to tell.
    pub(super) fn done(message: &'static str) -> Self {
        Self::of(message, Nothing)
    }
}

impl<T> Listed<T> {
    /// The page that a service answered.
    pub(super) fn of<R>(rows: Vec<R>, page: Option<proto::common::v1::PageInfo>) -> Result<Self, Failure>
    where
        T: TryFrom<R, Error = Refusal>,
    {
        let data = rows.into_iter().map(T::try_from).collect::<Result<_, _>>()?;
        let meta = page.unwrap_or_default().into();
        Ok(Self { success: true, message: "a page of the list", data, meta })
    }
}

impl<T: Serialize> IntoResponse for Answer<T> {
    fn into_response(self) -> Response {
        (self.status, NO_STORE, Json(self)).into_response()
    }
}

impl<T: Serialize> IntoResponse for Listed<T> {
    fn into_response(self) -> Response {
        (NO_STORE, Json(self)).into_response()
    }
}

/// Why not.
#[derive(Debug)]
pub(super) struct Failure {
    status: StatusCode,
    refusal: Refusal,
}

impl Failure {
    /// Refused by HTTP's rules.
    pub(super) fn by_http(status: StatusCode, refusal: Refusal) -> Self {
        Self { status, refusal }
    }
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        let status = StatusCode::from_u16(refusal.kind.http()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        Self { status, refusal }
    }
}

impl From<Refused> for Failure {
    fn from(refused: Refused) -> Self {
        let (status, refusal) = refused.into_refusal();
        let failure = Self::from(refusal);
        Self { status: status.unwrap_or(failure.status), ..failure }
    }
}

/// The refusal rides along until [`finish`] writes it, where the request's id is known.
impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let mut response = self.status.into_response();
        response.extensions_mut().insert(self.refusal);
        response
    }
}

/// Why not, as a client reads it.
#[derive(Serialize, ToSchema)]
pub(super) struct Failed {
    error: Reason,
}

/// What went wrong.
#[derive(Serialize, ToSchema)]
#[schema(as = Error)]
struct Reason {
    /// What kind of failure it is, as in the graph.
    #[schema(schema_with = super::openapi::codes)]
    code: &'static str,
    /// One sentence for people. It may change.
    message: String,
    details: Details,
}

/// What programs compare.
#[derive(Serialize, ToSchema)]
#[schema(as = ErrorDetails)]
#[serde(rename_all = "camelCase")]
struct Details {
    /// The stable reason.
    #[schema(example = "ORDER_NOT_CANCELLABLE")]
    reason: String,
    /// Finds the log lines; it is also the header `x-request-id`.
    request_id: String,
    /// The fields of the input that break a rule.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    violations: Vec<Violation>,
    /// When to try again, in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    retry_after: Option<u64>,
}

/// A field that breaks a rule.
#[derive(Serialize, ToSchema)]
struct Violation {
    /// Its path in the input.
    #[schema(example = "items.0.quantity")]
    field: String,
    /// The rule.
    #[schema(example = "must be from 1 to 10000")]
    message: String,
}

/// Gives a failure its body.
pub(super) fn finish(response: &mut Response, id: &str) {
    let Some(refusal) = response.extensions_mut().remove::<Refusal>() else { return };
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.remove(header::CONTENT_LENGTH);
    refusal::tell(response, &refusal);
    measure::refused(refusal.kind.code(), &refusal.reason);
    match serde_json::to_vec(&Failed { error: Reason::of(refusal, id) }) {
        Ok(body) => *response.body_mut() = body.into(),
        Err(error) => tracing::error!(%error, "a failure can't be written as JSON"),
    }
}

impl Reason {
    fn of(refusal: Refusal, request_id: &str) -> Self {
        let retry_after = refusal.retry_after_seconds();
        let violations = refusal.violations.into_iter();
        let details = Details {
            reason: refusal.reason.into_owned(),
            request_id: request_id.to_owned(),
            violations: violations.map(|v| Violation { field: v.field, message: v.message }).collect(),
            retry_after,
        };
        Self { code: refusal.kind.code(), message: refusal.message.into_owned(), details }
    }
}
