//! What a request carries, read as the graph reads its inputs: the same types, checks and words.

use std::sync::{Arc, LazyLock};

use async_graphql::{
    EmptyMutation, EmptySubscription, InputType, Name, Object, Schema, Value, indexmap::IndexMap,
};
use axum::{
    body::Body,
    extract::{FromRequest, FromRequestParts, Query, RawPathParams, Request},
    http::request::Parts,
    response::{IntoResponse, Response},
};
use identity::Viewer;
use runtime::{Kind, Refusal};
use utoipa::IntoParams;

use super::{answer::Failure, orders, page, payments, stages::Asking, users};
use crate::{
    clients::Calls,
    http::{Edge, Inputs, Keeping, collect, require_json},
};

/// The header that names a request which may be repeated
/// (<https://datatracker.ietf.org/doc/draft-ietf-httpapi-idempotency-key-header/>).
const IDEMPOTENCY_KEY: &str = "idempotency-key";

/// The types of bodies and of the parameters of lists.
static INPUTS: LazyLock<Inputs> = LazyLock::new(|| {
    let schema = Schema::build(Nothing, EmptyMutation, EmptySubscription)
        .register_input_type::<page::Wanted>()
        .register_input_type::<users::List>()
        .register_input_type::<crate::graphql::RegisterInput>()
        .register_input_type::<crate::graphql::LoginInput>()
        .register_input_type::<users::RefreshInput>()
        .register_input_type::<crate::graphql::UpdateUserInput>()
        .register_input_type::<orders::List>()
        .register_input_type::<crate::graphql::CreateOrderInput>()
        .register_input_type::<orders::StatusInput>()
        .register_input_type::<payments::List>()
        .register_input_type::<payments::ProcessInput>()
        .register_input_type::<payments::RefundInput>();
    Inputs::of(&schema.finish().sdl())
});

/// A schema needs something to ask for.
struct Nothing;

#[Object]
impl Nothing {
    async fn nothing(&self) -> bool {
        true
    }
}

/// A request that passed all stages and its route's rule.
pub(super) struct Asked {
    edge: Arc<Edge>,
    calls: Calls,
    asking: Asking,
    path: Vec<(String, String)>,
    head: Parts,
    body: Body,
}

impl FromRequest<Arc<Edge>> for Asked {
    type Rejection = Failure;

    async fn from_request(request: Request, edge: &Arc<Edge>) -> Result<Self, Failure> {
        let (mut head, body) = request.into_parts();
        let asking = head.extensions.remove::<Asking>();
        let asking = asking.ok_or_else(|| Refusal::internal("a request came past the stages"))?;
        let path = RawPathParams::from_request_parts(&mut head, edge).await;
        let path = path.map_err(|_| malformed("the path can't be read"))?;
        let path = path.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        let context = asking.caller.context(asking.id.as_str(), asking.started);
        let calls = Calls::new(edge.services.clone(), context, edge.rpc_timeout);
        Ok(Self { edge: edge.clone(), calls, asking, path, head, body })
    }
}

impl Asked {
    /// Calls in the client's name.
    pub(super) fn calls(&self) -> &Calls {
        &self.calls
    }

    /// Who asks, or UNAUTHENTICATED.
    pub(super) fn viewer(&self) -> Result<Viewer, Refusal> {
        self.asking.caller.viewer.ok_or_else(Refusal::unauthenticated)
    }

    /// Counts an attempt at what the graph's mutation `field` does.
    ///
    /// # Errors
    /// ATTEMPT_RATE_EXCEEDED.
    pub(super) fn attempt(&self, field: &str) -> Result<(), Refusal> {
        self.edge.rates.attempts(field, &self.asking.caller, 1)
    }

    /// This part of the path.
    pub(super) fn path(&self, name: &str) -> String {
        let part = self.path.iter().find(|(part, _)| part == name);
        part.map(|(_, value)| value.clone()).unwrap_or_default()
    }

    /// The parameters of the URL.
    ///
    /// # Errors
    /// BAD_USER_INPUT that names the parameter, also for one that is unknown or there twice.
    pub(super) fn parameters<T: InputType>(&self) -> Result<T, Failure> {
        let pairs = Query::<Vec<(String, String)>>::try_from_uri(&self.head.uri);
        let Query(pairs) = pairs.map_err(|_| malformed("the URL's parameters can't be read"))?;
        let mut members = IndexMap::new();
        for (name, text) in pairs {
            // A name that is none in GraphQL is none of ours.
            let value = INPUTS.read_text(&T::type_name(), &name, text);
            if members.insert(Name::new(&name), value).is_some() {
                return Err(Refusal::bad_input("INPUT_INVALID", name, "must be there once").into());
            }
        }
        Ok(read(Value::Object(members))?)
    }

    /// The body.
    ///
    /// # Errors
    /// BAD_USER_INPUT that names the member, also for one that is unknown; 413 and 415 by HTTP's rules.
    pub(super) async fn input<T: InputType>(&mut self) -> Result<T, Failure> {
        require_json(&self.head.headers)?;
        let body = collect(std::mem::take(&mut self.body), self.edge.largest_body).await?;
        let value = serde_json::from_slice(&body).map_err(|_| malformed("the body must be JSON"))?;
        Ok(read(value)?)
    }

    /// The answer, which is the same for everyone, with what caches are told about it.
    pub(super) async fn keep(self, answer: impl IntoResponse) -> Response {
        match Keeping::of_public(&self.head, self.edge.public_max_age) {
            Some(keeping) => keeping.tell(answer.into_response()).await,
            None => answer.into_response(),
        }
    }

    /// Refuses parameters where there are none.
    pub(super) fn without_parameters(&self) -> Result<(), Refusal> {
        let given = self.head.uri.query().is_some_and(|query| !query.is_empty());
        if given { Err(malformed("this path takes no parameters")) } else { Ok(()) }
    }

    /// The idempotency key of the request: that of the header, or that of the body; empty without either.
    ///
    /// # Errors
    /// IDEMPOTENCY_KEY_INVALID where the two differ, or the header is there twice, empty or no text.
    pub(super) fn key(&self, in_body: String) -> Result<String, Refusal> {
        let refuse = |rule: &str| Refusal::bad_input("IDEMPOTENCY_KEY_INVALID", "Idempotency-Key", rule);
        let mut headers = self.head.headers.get_all(IDEMPOTENCY_KEY).iter();
        let Some(header) = headers.next() else { return Ok(in_body) };
        let key = header.to_str().unwrap_or_default();
        if key.is_empty() || headers.next().is_some() {
            return Err(refuse("must be one header with 1 to 128 characters of ASCII"));
        }
        if !in_body.is_empty() && in_body != key {
            return Err(refuse("must be the same in the header and in the body"));
        }
        Ok(key.to_owned())
    }
}

/// What makes a request safe to repeat.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
pub(super) struct Repeatable {
    /// A text of the client's own making: a repeat with the same one has no second effect and gets the first answer.
    /// It may stand in the body instead.
    #[param(
        rename = "Idempotency-Key",
        min_length = 1,
        max_length = 128,
        pattern = "^[!-~]+$",
        nullable = false
    )]
    #[expect(dead_code, reason = "it is read by `Asked::key`")]
    key: Option<String>,
}

/// Checks the value against its type, and takes it.
fn read<T: InputType>(value: Value) -> Result<T, Refusal> {
    INPUTS.check_value(&value, &T::type_name())?;
    // The check has refused all that does not fit.
    T::parse(Some(value)).map_err(|error| Refusal::internal(error.into_server_error(Default::default())))
}

fn malformed(message: &'static str) -> Refusal {
    Refusal::new(Kind::BadInput, "REQUEST_MALFORMED", message)
}
