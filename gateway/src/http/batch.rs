//! Several operations in one POST: a JSON array of what would be the bodies, answered by an array in the same order.
//!
//! It saves a client connections and nothing else: each operation is checked, counted and answered as if it had come
//! alone, and what is wrong with one is told in its place. They run at the same time, so none may wait for another.

use std::{fmt, sync::Arc};

use axum::{http::StatusCode, response::Response};
use futures::future::join_all;
use runtime::{Kind, Refusal};
use serde::{
    Deserialize, Deserializer,
    de::{IgnoredAny, SeqAccess, Visitor},
};
use serde_json::value::RawValue;
use tokio::time::Instant;

use super::{
    Asked, Edge, Outcome,
    explain::Explain,
    negotiate::MediaType,
    not_streaming,
    read::{self, Source},
    respond::{self, Refused},
    run,
    viewer::Caller,
};

/// The most operations that any setting allows.
const MOST: usize = 10;

/// The operations of a batch; `None` where there are more than [`MOST`], of which none is kept.
struct Batch<'a>(Option<Vec<&'a RawValue>>);

/// The operations that were sent as an array; `None` when it is none. One may have up to `most` of them.
///
/// # Errors
/// When `most` is 0, or when it is no array of so many.
pub(super) fn operations(source: &Source, most: u8) -> Result<Option<Vec<&RawValue>>, Refused> {
    let Source::Body(body) = source else { return Ok(None) };
    if !body.trim_ascii_start().starts_with(b"[") {
        return Ok(None);
    }
    let most = usize::from(most);
    if most == 0 {
        return Err(refused(
            "BATCH_NOT_ALLOWED",
            "send one operation at a time: batches are switched off here",
        ));
    }
    let Batch(operations) =
        serde_json::from_slice(body).map_err(|_| read::malformed("the body is no JSON"))?;
    match operations {
        Some(operations) if operations.is_empty() => Err(read::malformed("the batch is empty")),
        Some(operations) if operations.len() <= most => Ok(Some(operations)),
        _ => Err(refused("BATCH_TOO_LARGE", format!("a batch has at most {most} operations"))),
    }
}

/// Answers a batch that this caller asks for, each operation by itself.
pub(super) async fn answer(
    edge: &Arc<Edge>,
    caller: &Arc<Caller>,
    operations: Vec<&RawValue>,
    (id, started): (&str, Instant),
    explain: &(impl Fn() -> Option<Explain> + Sync),
    media_type: MediaType,
) -> Response {
    let answers = operations.into_iter().enumerate().map(async |(at, operation)| {
        let work = async {
            // The first is the request itself, which was counted.
            if at > 0 {
                edge.rates.requests(caller, 1).map_err(Refused::by_kind)?;
            }
            let inquiry = read::posted(operation.get().as_bytes())?;
            let caller = caller.clone();
            let explain = explain();
            let asked = Asked { caller, id, started, streams: false, tells_cost: false, explain };
            match run(edge, asked, inquiry).await? {
                Outcome::Answer(answer) => Ok(answer),
                Outcome::Subscription(_) => Err(Refused::by_kind(not_streaming())),
            }
        };
        respond::payload(work.await, id)
    });
    respond::batch(&join_all(answers).await, media_type)
}

fn refused(reason: &'static str, message: impl Into<std::borrow::Cow<'static, str>>) -> Refused {
    Refused::by_http(StatusCode::BAD_REQUEST, Refusal::new(Kind::BadInput, reason, message))
}

impl<'de> Deserialize<'de> for Batch<'de> {
    fn deserialize<D: Deserializer<'de>>(json: D) -> Result<Self, D::Error> {
        struct Operations;

        impl<'de> Visitor<'de> for Operations {
            type Value = Batch<'de>;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a batch of operations")
            }

            /// A megabyte of commas must not become a list of as many.
            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
                let mut operations = Vec::new();
                while let Some(operation) = items.next_element()? {
                    if operations.len() == MOST {
                        while items.next_element::<IgnoredAny>()?.is_some() {}
                        return Ok(Batch(None));
                    }
                    operations.push(operation);
                }
                Ok(Batch(Some(operations)))
            }
        }

        json.deserialize_seq(Operations)
    }
}
